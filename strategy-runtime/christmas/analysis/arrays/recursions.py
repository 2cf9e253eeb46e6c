"""Recursions over whole arrays, in the very operations of the incremental forms: equal to the last bit.

A plain loop, since each value needs the one before. Re-ordering it into matrix products would be
faster and off by the last bits, enough for a rule to fire in a backtest and not live when a flat
market leaves two averages a rounding apart.
"""

from __future__ import annotations

from collections import deque
from itertools import accumulate

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

    def step(average: float, value: float) -> float:
        return (value - average) * weight + average

    return np.array(list(accumulate(values.tolist(), step, initial=seed)))


def wilder_average(values: FloatArray, seed: float, period: int) -> FloatArray:
    """The seed, and Wilder's average after each value."""
    kept = period - 1

    def step(average: float, value: float) -> float:
        return (average * kept + value) / period

    return np.array(list(accumulate(values.tolist(), step, initial=seed)))


def wilder_sum(values: FloatArray, seed: float, period: int) -> FloatArray:
    """The seed, and Wilder's smoothed sum after each value."""

    def step(total: float, value: float) -> float:
        return total - total / period + value

    return np.array(list(accumulate(values.tolist(), step, initial=seed)))
