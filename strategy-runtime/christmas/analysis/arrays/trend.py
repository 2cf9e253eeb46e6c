"""Directed movement over whole arrays; the formulas are those of `christmas.analysis.indicators.trend`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from christmas.analysis.arrays.recursions import sequential_sum, wilder_average, wilder_sum
from christmas.analysis.arrays.rolling import FloatArray, floats, padded
from christmas.analysis.arrays.volatility import true_range
from christmas.analysis.indicators.windows import RESOLUTION


class AdxArrays(NamedTuple):
    value: FloatArray
    plus_di: FloatArray
    minus_di: FloatArray


def adx(high: FloatArray, low: FloatArray, close: FloatArray, period: int = 14) -> AdxArrays:
    highs, lows, closes = floats(high), floats(low), floats(close)
    length = len(closes)
    if length < 2 * period:
        return AdxArrays(np.full(length, np.nan), np.full(length, np.nan), np.full(length, np.nan))
    up = np.diff(highs)
    down = -np.diff(lows)
    plus = _smoothed(np.where((up > down) & (up > 0.0), up, 0.0), period)
    minus = _smoothed(np.where((down > up) & (down > 0.0), down, 0.0), period)
    ranges = _smoothed(true_range(highs, lows, closes), period)
    moved = ranges > RESOLUTION * np.abs(closes[period:])
    nothing = np.zeros(len(ranges))
    plus_di = 100.0 * np.divide(plus, ranges, out=nothing.copy(), where=moved)
    minus_di = 100.0 * np.divide(minus, ranges, out=nothing.copy(), where=moved)
    both = plus_di + minus_di
    direction = 100.0 * np.divide(np.abs(plus_di - minus_di), both, out=nothing, where=both > 0.0)
    average = wilder_average(direction[period:], sequential_sum(direction[:period]) / period, period)
    start = period - 1
    return AdxArrays(padded(length, average), padded(length, plus_di[start:]), padded(length, minus_di[start:]))


def _smoothed(moves: FloatArray, period: int) -> FloatArray:
    """Wilder's sums from the ``period``-th move on; the first ``period`` - 1 moves are the seed."""
    return wilder_sum(moves[period - 1 :], sequential_sum(moves[: period - 1]), period)[1:]
