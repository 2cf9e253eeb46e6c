"""When to start a failed process again."""

from __future__ import annotations

import random
from typing import Final

FIRST_S: Final = 0.5
LONGEST_S: Final = 30.0
STABLE_AFTER_S: Final = 60.0
"""A process that ran this long has not failed at starting: its count begins anew."""
CRASH_LOOP_FROM: Final = 3


def restart_delay(failures: int, jitter: random.Random) -> float:
    """Seconds to wait after the ``failures``-th failure in a row: doubling, half of it random.

    The jitter keeps a hundred runtimes that fell together from rising together.
    """
    full = min(LONGEST_S, FIRST_S * 2.0 ** min(failures - 1, 16))
    return full / 2 + full / 2 * jitter.random()


def failures_after(failures: int, ran_s: float) -> int:
    """The count of failures in a row, after another exit that followed ``ran_s`` seconds of running."""
    return 1 if ran_s >= STABLE_AFTER_S else failures + 1
