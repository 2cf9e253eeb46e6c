"""A process dies at each crash point: nothing is lost, nothing is doubled, and the replay ends as undisturbed.

Several deaths share a replay; `tests.chaos.soak --points` runs each alone.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from christmas.telemetry.crash import POINTS
from tests.chaos import points
from tests.chaos.findings import findings
from tests.chaos.replays import Outcome, Scene, Stores, crash_points_left, of_bars, outcome_now, start, wrong

pytestmark = pytest.mark.timeout(400)
GROUPS = points.groups(6)


def test_every_point_is_in_one_of_the_replays() -> None:
    names = [name for group in (*GROUPS, points.TRIMMING) for name in group]
    assert sorted(names) == sorted(POINTS)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group[0])
def test_deaths_at_crash_points_change_nothing(
    spot: Scene, undisturbed: Outcome, tmp_path: Path, group: list[str]
) -> None:
    with start(spot, tmp_path, Stores(), crash_at=",".join(map(points.spec, group))) as run:
        report = run.report(within_s=240.0)
    assert crash_points_left(run) == [], "nothing came to these"
    assert wrong(spot, outcome_now(run, report, Stores()), undisturbed) == []


def test_deaths_while_redis_is_trimmed(shared_data: Path, tmp_path: Path) -> None:
    """What is removed has been stored before, also when the remover dies in the midst of it."""
    scene = of_bars(tmp_path, shared_data)
    with start(scene, tmp_path / "state", Stores(), crash_at=",".join(map(points.spec, points.TRIMMING))) as run:
        report = run.report(within_s=240.0)
    assert crash_points_left(run) == [], "nothing came to these"
    ended = outcome_now(run, report, Stores())
    assert findings(ended.books, ticks=scene.rows) == []
    assert ended.audit == ""
