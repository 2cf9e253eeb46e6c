"""Recursions over whole arrays, in the very operations of the incremental forms: equal to the last bit.

Plain loops, since each value needs the one before. Re-ordering them into matrix products would be
faster and off by the last bits, enough for a rule to fire in a backtest and not live when a flat
market leaves two averages a rounding apart.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from christmas.analysis.arrays.rolling import FloatArray
from christmas.analysis.indicators.windows import mean


def seed_mean(values: FloatArray) -> float:
    return mean(deque(values.tolist()))


def sequential_sum(values: FloatArray) -> float:
    """Added one by one, as an incremental indicator does (not pairwise, as ``numpy.sum``)."""
    return float(np.add.accumulate(values)[-1]) if len(values) else 0.0


def exponential(values: FloatArray, seed: float, weight: float) -> FloatArray:
    """The seed, and the exponential average after each value."""
    average = seed
    return np.array([seed, *[average := (value - average) * weight + average for value in values.tolist()]])


def wilder_average(values: FloatArray, seed: float, period: int) -> FloatArray:
    """The seed, and Wilder's average after each value."""
    average = seed
    kept = period - 1
    return np.array([seed, *[average := (average * kept + value) / period for value in values.tolist()]])


def wilder_sum(values: FloatArray, seed: float, period: int) -> FloatArray:
    """The seed, and Wilder's smoothed sum after each value."""
    total = seed
    return np.array([seed, *[total := total - total / period + value for value in values.tolist()]])
