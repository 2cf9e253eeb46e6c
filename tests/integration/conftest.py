"""The replay that tests of crashes disturb, and what it comes to undisturbed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.replays import BAD_PRINT_EVERY, Outcome, Scene, Stores, everyone, outcome_now, start, with_bad_prints
from tests.support.data import SPOT_BTC

ROWS = 9_757


@pytest.fixture(scope="session")
def spot(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The whole spot recording, with refused prints among its own, for a strategy of each kind."""
    scene = everyone(tmp_path_factory.mktemp("spot"), shared_data / SPOT_BTC, ROWS)
    assert scene.rows == ROWS
    return with_bad_prints(scene, every=BAD_PRINT_EVERY)


@pytest.fixture(scope="session")
def undisturbed(spot: Scene, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    with start(spot, tmp_path_factory.mktemp("undisturbed"), Stores()) as run:
        report = run.report(within_s=120.0)
    return outcome_now(run, report, Stores())
