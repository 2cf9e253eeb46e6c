"""Whether something grows: the test of Mann and Kendall, the slope of Theil and Sen, first and last third. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Final, NamedTuple

WARM_UP_S: Final = 600.0
"""Caches, pools and arenas fill in a process's first minutes, the fleet in those of a soak; that is no leak."""
_SAMPLES_MINIMUM: Final = 9
"""Fewer tell nothing: three in each third."""
_SURE_Z: Final = 2.326
"""One in a hundred, one-sided."""


class Point(NamedTuple):
    at_s: float
    value: float
    process: str = ""
    """What it is of: another begins anew."""


class Trend(NamedTuple):
    first: float
    """The median of the first third."""
    last: float
    per_hour: float
    minutes: float
    grows: bool
    """Surely, by more than ``allowed`` an hour."""
    known: bool
    """Enough samples of one process."""


def trend(points: Sequence[Point], *, allowed_per_hour: float, warm_up_s: float = WARM_UP_S) -> Trend:
    """Of the process that was seen longest, after its warm-up."""
    kept = _longest(points, warm_up_s)
    if len(kept) < _SAMPLES_MINIMUM:
        value = kept[-1].value if kept else 0.0
        return Trend(value, value, 0.0, 0.0, grows=False, known=False)
    third = len(kept) // 3
    slope = _slope(kept) * 3600
    return Trend(
        first=statistics.median(one.value for one in kept[:third]),
        last=statistics.median(one.value for one in kept[-third:]),
        per_hour=slope,
        minutes=(kept[-1].at_s - kept[0].at_s) / 60,
        grows=slope > allowed_per_hour and _certainty([one.value for one in kept]) > _SURE_Z,
        known=True,
    )


def _longest(points: Sequence[Point], warm_up_s: float) -> list[Point]:
    runs: list[list[Point]] = []
    for point in points:
        if not runs or runs[-1][-1].process != point.process:
            runs.append([])
        runs[-1].append(point)
    warm = [[one for one in run if one.at_s - run[0].at_s >= warm_up_s] for run in runs]
    return max(warm, key=len, default=[])


def _slope(points: Sequence[Point]) -> float:
    """Per second: the median of the slopes between any two points."""
    return statistics.median(
        (later.value - point.value) / (later.at_s - point.at_s)
        for index, point in enumerate(points)
        for later in points[index + 1 :]
        if later.at_s > point.at_s
    )


def _certainty(values: Sequence[float]) -> float:
    """How many standard deviations the rises outnumber the falls by; ties counted as neither."""
    n = len(values)
    score = sum((later > value) - (later < value) for i, value in enumerate(values) for later in values[i + 1 :])
    ties = sum(t * (t - 1) * (2 * t + 5) for t in (values.count(value) for value in set(values)))
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18
    if variance <= 0 or score == 0:
        return 0.0
    return (score - math.copysign(1, score)) / math.sqrt(variance)
