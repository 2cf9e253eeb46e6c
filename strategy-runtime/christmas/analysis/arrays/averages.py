"""Moving averages over whole arrays; the formulas are those of `christmas.analysis.indicators.averages`."""

from __future__ import annotations

import numpy as np

from christmas.analysis.arrays.recursions import exponential, seed_mean
from christmas.analysis.arrays.rolling import FloatArray, floats, padded, rolling_mean, weighted_mean


def sma(values: FloatArray, period: int = 20) -> FloatArray:
    return rolling_mean(floats(values), period)


def ema(values: FloatArray, period: int = 20) -> FloatArray:
    series = floats(values)
    if len(series) < period:
        return np.full(len(series), np.nan)
    return padded(len(series), exponential(series[period:], seed_mean(series[:period]), 2.0 / (period + 1)))


def wma(values: FloatArray, period: int = 20) -> FloatArray:
    return weighted_mean(floats(values), period)
