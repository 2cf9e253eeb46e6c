"""Many replays, each disturbed in another way: ``python -m tests.chaos.soak --seeds 20 --points``.

For each seed one replay of the whole spot recording with 30 random kills, stores included; with ``--points`` one
replay for each crash point alone. Ends with 1 when anything was lost, doubled or otherwise than undisturbed, and
keeps the state of those replays.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos import kills, points
from tests.chaos.replays import (
    BAD_PRINT_EVERY,
    Outcome,
    Scene,
    Stores,
    crash_points_left,
    everyone,
    outcome_now,
    start,
    with_bad_prints,
    wrong,
)
from tests.integration.replay.fleet import FleetRun, ReplayFailed
from tests.integration.replay.manifests import NAMES
from tests.support.data import SPOT_BTC, shared_data_folder

_REPLAY_S = 240.0
_ROWS = 9_757
_WORDS = 600


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=0, help="replays with random kills")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--kills", type=int, default=30, help="in each of them")
    parser.add_argument("--points", action="store_true", help="one replay for each crash point")
    chosen = parser.parse_args()
    data = shared_data_folder()
    if data is None:
        _say("no recorded market data; set CHRISTMAS_TEST_DATA")
        return 2
    folder = Path(tempfile.mkdtemp(prefix="christmas-soak-"))
    scene = with_bad_prints(everyone(folder, data / SPOT_BTC, _ROWS), every=BAD_PRINT_EVERY)
    undisturbed = _one(scene, folder / "undisturbed", lambda run: None)
    bad = 0
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        planned = kills.plan(seed, NAMES, kills=chosen.kills)
        disturb = functools.partial(kills.carry_out, kills=planned)
        bad += not _told(f"seed {seed}", scene, folder / f"seed-{seed}", undisturbed, disturb)
    if chosen.points:
        for name in points.groups(1)[0]:
            bad += not _told(name, scene, folder / name, undisturbed, lambda run: None, crash_at=points.spec(name))
    _say(f"{bad} of all went wrong" if bad else "nothing was lost, nothing doubled")
    if not bad:
        shutil.rmtree(folder, ignore_errors=True)
    return int(bad > 0)


def _told(
    what: str,
    scene: Scene,
    state: Path,
    undisturbed: Outcome,
    disturb: Callable[[FleetRun], object],
    *,
    crash_at: str = "",
) -> bool:
    """Whether a replay was as it should be; says so, and keeps the state of one that was not."""
    begun = time.monotonic()
    try:
        found = wrong(scene, _one(scene, state, disturb, crash_at=crash_at), undisturbed)
    except ReplayFailed as error:
        found = [str(error)[:_WORDS]]
    _say(f"{what}: {time.monotonic() - begun:.0f} s: {'; '.join(found) or 'as undisturbed'}")
    if not found:
        shutil.rmtree(state, ignore_errors=True)
    return not found


def _one(scene: Scene, state: Path, disturb: Callable[[FleetRun], object], *, crash_at: str = "") -> Outcome:
    with start(scene, state, Stores(), crash_at=crash_at) as run:
        run.wait_for(lambda: run.orders_written() > 0)
        disturb(run)
        report = run.report(within_s=_REPLAY_S)
    if crash_at and (left := crash_points_left(run)):
        raise ReplayFailed(f"nothing has died at {left}")
    return outcome_now(run, report, Stores())


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
