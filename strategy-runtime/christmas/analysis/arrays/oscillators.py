"""Oscillators over whole arrays; the formulas are those of `christmas.analysis.indicators.oscillators`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from christmas.analysis.arrays.recursions import exponential, seed_mean, sequential_sum, wilder_average
from christmas.analysis.arrays.rolling import FloatArray, floats, padded, rolling_maximum, rolling_mean, rolling_minimum
from christmas.analysis.indicators.windows import RESOLUTION


class MacdArrays(NamedTuple):
    line: FloatArray
    signal: FloatArray
    histogram: FloatArray


class StochasticArrays(NamedTuple):
    k: FloatArray
    d: FloatArray


def rsi(values: FloatArray, period: int = 14) -> FloatArray:
    series = floats(values)
    if len(series) <= period:
        return np.full(len(series), np.nan)
    changes = np.diff(series)
    rises = np.maximum(changes, 0.0)
    falls = np.maximum(-changes, 0.0)
    gain = wilder_average(rises[period:], sequential_sum(rises[:period]) / period, period)
    loss = wilder_average(falls[period:], sequential_sum(falls[:period]) / period, period)
    total = gain + loss
    moved = total > RESOLUTION * np.abs(series[period:])
    share = np.divide(gain, total, out=np.full(len(total), 0.5), where=moved)
    return padded(len(series), 100.0 * share)


def macd(values: FloatArray, fast: int = 12, slow: int = 26, signal: int = 9) -> MacdArrays:
    series = floats(values)
    length = len(series)
    if length < slow + signal - 1:
        return MacdArrays(np.full(length, np.nan), np.full(length, np.nan), np.full(length, np.nan))
    fast_average = exponential(series[slow:], seed_mean(series[slow - fast : slow]), 2.0 / (fast + 1))
    slow_average = exponential(series[slow:], seed_mean(series[:slow]), 2.0 / (slow + 1))
    line = fast_average - slow_average
    smooth = exponential(line[signal:], seed_mean(line[:signal]), 2.0 / (signal + 1))
    line = line[signal - 1 :]
    return MacdArrays(padded(length, line), padded(length, smooth), padded(length, line - smooth))


def stochastic(
    high: FloatArray, low: FloatArray, close: FloatArray, *, period: int = 14, smooth: int = 3, signal: int = 3
) -> StochasticArrays:
    closes = floats(close)
    length = len(closes)
    highest = rolling_maximum(floats(high), period)[period - 1 :]
    lowest = rolling_minimum(floats(low), period)[period - 1 :]
    width = highest - lowest
    position = np.divide(closes[period - 1 :] - lowest, width, out=np.full(len(width), 0.5), where=width > 0.0)
    k = rolling_mean(100.0 * position, smooth)[smooth - 1 :]
    d = rolling_mean(k, signal)[signal - 1 :]
    return StochasticArrays(padded(length, k[signal - 1 :]), padded(length, d))


def roc(values: FloatArray, period: int = 10) -> FloatArray:
    series = floats(values)
    if len(series) <= period:
        return np.full(len(series), np.nan)
    before = series[:-period]
    ratio = np.divide(series[period:], before, out=np.ones(len(before)), where=before != 0.0)
    return padded(len(series), 100.0 * (ratio - 1.0))
