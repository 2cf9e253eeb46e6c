"""Thirty kills of any process in one replay, the stores included: nothing is lost, nothing doubled.

`tests.chaos.soak --seeds 20` does it with other seeds.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import kills
from tests.chaos.replays import Outcome, Scene, Stores, crash_points_left, outcome_now, start, wrong
from tests.integration.replay.manifests import NAMES

pytestmark = pytest.mark.timeout(400)
KILLS = 30
FAULTY_SEEDS = (1,)
"""Seeds that have found a fault. 1: the database forgot commits, of which the recorder had already told the gateway."""


@pytest.mark.parametrize("seed", FAULTY_SEEDS)
def test_thirty_kills_change_nothing(spot: Scene, undisturbed: Outcome, tmp_path: Path, seed: int) -> None:
    planned = kills.plan(seed, NAMES, kills=KILLS)
    with start(spot, tmp_path, Stores()) as run:
        run.wait_for(lambda: run.orders_written() > 0)
        done = kills.carry_out(run, planned)
        report = run.report(within_s=240.0)
    assert len(done) == KILLS
    assert wrong(spot, outcome_now(run, report, Stores()), undisturbed) == []


def test_a_gateway_and_a_runtime_that_die_in_one_window_change_nothing(
    spot: Scene, undisturbed: Outcome, tmp_path: Path
) -> None:
    """What the one has decided and the other has not written down is decided anew, by two that know of nothing.

    A runtime dies with its decision just sent; the gateway keeps it until all have answered, and dies waiting for that.
    """
    deaths = ["runtime.submit.sent:5", "runtime.note.sent:25", "runtime.answer.send:150"]
    with start(spot, tmp_path, Stores(), crash_at=",".join(deaths)) as run:
        run.wait_for(lambda: run.orders_written() > 0)
        for left in reversed(range(len(deaths))):
            run.wait_for(lambda: len(crash_points_left(run)) <= left)  # noqa: B023
            kills.carry_out(run, [kills.Kill("gateway", 0.0)])
        report = run.report(within_s=240.0)
    assert wrong(spot, outcome_now(run, report, Stores()), undisturbed) == []


def test_a_plan_is_a_function_of_its_seed_and_hits_everybody() -> None:
    assert kills.plan(7, NAMES) == kills.plan(7, NAMES)
    assert kills.plan(7, NAMES) != kills.plan(8, NAMES)
    assert {kill.target for kill in kills.plan(7, NAMES)} == {
        *("gateway", "recorder", "valkey", "postgres", "postgres-backend"),
        *(f"runtime-{name}" for name in NAMES),
    }
