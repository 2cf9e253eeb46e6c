"""What is decided depends on the market alone: not on the speed, not on the future, not on the wall's clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from tests.integration.replay import manifests
from tests.integration.replay.conftest import Cut
from tests.integration.replay.fleet import Decisions, FleetRun, decision_bytes, replay
from tests.support.data import SPOT_BTC

pytestmark = pytest.mark.timeout(300)
Replayed = Callable[[Path, Path, str], FleetRun]
ROWS = 2_600
"""Of the spot file, about a minute and a half."""


@pytest.fixture(scope="module")
def everyone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return manifests.write(tmp_path_factory.mktemp("everyone"), [manifests.broker(), *manifests.everyone()])


@pytest.fixture(scope="module")
def replayed(everyone: Path, store_urls: tuple[str, str]) -> Replayed:
    """``replayed(file, state, speed)``: the finished run."""

    def run(file: Path, state: Path, speed: str) -> FleetRun:
        return replay(everyone, [file], state, speed=speed, database_url=store_urls[0], redis_url=store_urls[1])[0]

    return run


@pytest.fixture(scope="module")
def full(replayed: Replayed, cut: Cut, tmp_path_factory: pytest.TempPathFactory) -> FleetRun:
    """At full speed, to the end of `ROWS`."""
    return replayed(cut(SPOT_BTC, ROWS), tmp_path_factory.mktemp("full"), "max")


def test_speed_changes_nothing(full: FleetRun, replayed: Replayed, cut: Cut, tmp_path: Path) -> None:
    paced = replayed(cut(SPOT_BTC, ROWS), tmp_path, "20x")
    assert decision_bytes(paced.decisions()) == decision_bytes(full.decisions())
    assert set(full.decisions()) == {"stopping", "patient", "trailing", "aging", "ticker"}


@pytest.mark.parametrize("rows", [600, 1_300, 2_000])
def test_nobody_knows_the_future(full: FleetRun, replayed: Replayed, cut: Cut, tmp_path: Path, rows: int) -> None:
    """A market that ends early is the same market before: all that was decided before the cut, and in that order."""
    file = cut(SPOT_BTC, rows)
    short = _before(replayed(file, tmp_path, "max"), _last_us(file))
    whole = _before(full, _last_us(file))
    assert decision_bytes(short) == decision_bytes(whole)
    assert sum(len(decisions) for decisions in whole.values()) > 20


def _before(run: FleetRun, time_us: int) -> Decisions:
    return {
        name: [decision for decision in decisions if decision.decided_us < time_us]
        for name, decisions in run.decisions().items()
    }


def _last_us(file: Path) -> int:
    moment = datetime.fromisoformat(file.read_text().splitlines()[-1].split(",")[0])
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond
