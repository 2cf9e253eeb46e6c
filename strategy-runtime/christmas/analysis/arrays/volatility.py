"""Deviation, true range and bands over whole arrays; formulas as in `christmas.analysis.indicators.volatility`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from christmas.analysis.arrays.averages import ema
from christmas.analysis.arrays.recursions import seed_mean, wilder_average
from christmas.analysis.arrays.rolling import (
    FloatArray,
    floats,
    padded,
    rolling_maximum,
    rolling_mean_and_deviation,
    rolling_minimum,
)


class BollingerArrays(NamedTuple):
    lower: FloatArray
    middle: FloatArray
    upper: FloatArray
    width: FloatArray
    percent_b: FloatArray


class KeltnerArrays(NamedTuple):
    lower: FloatArray
    middle: FloatArray
    upper: FloatArray


class DonchianArrays(NamedTuple):
    upper: FloatArray
    lower: FloatArray
    middle: FloatArray


def stddev(values: FloatArray, period: int = 20) -> FloatArray:
    return rolling_mean_and_deviation(floats(values), period)[1]


def zscore(values: FloatArray, period: int = 20) -> FloatArray:
    series = floats(values)
    middle, deviation = rolling_mean_and_deviation(series, period)
    middle, deviation, newest = middle[period - 1 :], deviation[period - 1 :], series[period - 1 :]
    score = np.divide(newest - middle, deviation, out=np.zeros(len(middle)), where=deviation > 0.0)
    return padded(len(series), score)


def bollinger(values: FloatArray, period: int = 20, deviations: float = 2.0) -> BollingerArrays:
    series = floats(values)
    length = len(series)
    middle, deviation = rolling_mean_and_deviation(series, period)
    reach = deviations * deviation
    start = period - 1
    tail_middle, tail_reach, newest = middle[start:], reach[start:], series[start:]
    tail = len(newest)
    width = np.divide(2.0 * tail_reach, tail_middle, out=np.zeros(tail), where=tail_middle != 0.0)
    position = np.divide(newest - tail_middle, 2.0 * tail_reach, out=np.zeros(tail), where=tail_reach > 0.0)
    return BollingerArrays(
        middle - reach, middle, middle + reach, padded(length, width), padded(length, 0.5 + position)
    )


def true_range(high: FloatArray, low: FloatArray, close: FloatArray) -> FloatArray:
    """One fewer than bars: the first bar has no close before it."""
    before = close[:-1]
    return np.asarray(np.maximum(high[1:], before) - np.minimum(low[1:], before))


def atr(high: FloatArray, low: FloatArray, close: FloatArray, period: int = 14) -> FloatArray:
    closes = floats(close)
    if len(closes) <= period:
        return np.full(len(closes), np.nan)
    ranges = true_range(floats(high), floats(low), closes)
    return padded(len(closes), wilder_average(ranges[period:], seed_mean(ranges[:period]), period))


def keltner(
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    *,
    period: int = 20,
    atr_period: int = 10,
    multiplier: float = 2.0,
) -> KeltnerArrays:
    reach = multiplier * atr(high, low, close, atr_period)
    middle = np.where(np.isnan(reach), np.nan, ema(close, period))
    return KeltnerArrays(middle - reach, middle, middle + reach)


def donchian(high: FloatArray, low: FloatArray, period: int = 20) -> DonchianArrays:
    upper = rolling_maximum(floats(high), period)
    lower = rolling_minimum(floats(low), period)
    return DonchianArrays(upper, lower, (upper + lower) / 2.0)
