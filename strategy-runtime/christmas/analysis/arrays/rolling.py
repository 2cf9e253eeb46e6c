"""Statistics of sliding windows over whole arrays, equal to those of `christmas.analysis.indicators.windows`.

As there, nothing runs: no value that has left a window leaves a trace in what follows. Each function
returns an array as long as its input, nan before the first full window. Inputs must be finite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from christmas.analysis.indicators.windows import NEAR

FloatArray = npt.NDArray[np.float64]
Double = tuple[FloatArray, FloatArray]
"""Sums in double-double: a high part, and the rest that it could not hold."""

_CHUNK: Final = 8_192
"""Windows worked on at a time, so that the passes over them stay in the processor's cache."""


def floats(values: npt.ArrayLike) -> FloatArray:
    return np.ascontiguousarray(values, dtype=np.float64)


def padded(length: int, tail: npt.ArrayLike) -> FloatArray:
    """An array of that length which ends in ``tail`` and is nan before."""
    result = np.full(length, np.nan)
    end = np.asarray(tail, dtype=np.float64)
    if len(end):
        result[length - len(end) :] = end
    return result


def rolling_sum(values: FloatArray, period: int) -> FloatArray:
    """Sums of ``period`` values, rounded once, as by ``math.fsum``.

    (So for prices and volumes. Where a window's magnitudes span more than 1e12 : 1, the last bit may
    differ.) Windows are doubled (2, 4, 8, ... values) and put together from their powers of two, in
    double-double arithmetic (106 bits), so the cost grows with the logarithm of ``period``.
    """
    return _in_chunks(values, period, _window_sums)


def rolling_weighted_sum(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Sums of value x weight, each product rounded, their sum rounded once; the last weight is the newest's."""

    def sums(piece: FloatArray, period: int) -> FloatArray:
        count = len(piece) - period + 1
        high = np.zeros(count)
        low = np.zeros(count)
        for offset in range(period):
            high, error = _two_sum(high, piece[offset : offset + count] * weights[offset])
            low += error
        return high + low

    return _in_chunks(values, len(weights), sums)


def rolling_mean(values: FloatArray, period: int) -> FloatArray:
    """Arithmetic means; of equal values exactly that value."""
    means = rolling_sum(values, period) / period
    return _exact_when_constant(means, values, period, NEAR)


def rolling_mean_and_deviation(values: FloatArray, period: int) -> tuple[FloatArray, FloatArray]:
    """Means and population standard deviations, in two passes; of equal values exactly it and 0."""
    means = rolling_sum(values, period) / period
    squares = np.full(len(values), np.nan)
    for start in range(period - 1, len(values), _CHUNK):
        end = min(start + _CHUNK, len(values))
        middle = means[start:end]
        total = np.zeros(end - start)
        for back in range(period):
            distance = values[start - back : end - back] - middle
            distance *= distance
            total += distance
        squares[start:end] = total
    deviations = np.sqrt(squares) / np.sqrt(float(period))
    suspects = deviations <= NEAR * np.abs(values)
    if suspects.any():
        constant = suspects & (run_lengths(values) >= period)
        means[constant] = values[constant]
        deviations[constant] = 0.0
    return means, deviations


def rolling_maximum(values: FloatArray, period: int) -> FloatArray:
    return padded(len(values), _window_extremes(values, period, np.maximum))


def rolling_minimum(values: FloatArray, period: int) -> FloatArray:
    return padded(len(values), _window_extremes(values, period, np.minimum))


def weighted_mean(values: FloatArray, period: int) -> FloatArray:
    """Means with weights 1, 2, ... period, the newest the heaviest; of equal values exactly that value."""
    weights = np.arange(1.0, period + 1.0)
    means = rolling_weighted_sum(values, weights) / (period * (period + 1) / 2.0)
    return _exact_when_constant(means, values, period, 1e-13)


def run_lengths(values: FloatArray) -> npt.NDArray[np.int64]:
    """For each value, how many equal ones in a row end with it."""
    positions = np.arange(len(values))
    starts = np.zeros(len(values), dtype=np.int64)
    changed = np.flatnonzero(values[1:] != values[:-1]) + 1
    starts[changed] = changed
    return positions - np.maximum.accumulate(starts) + 1


def _exact_when_constant(means: FloatArray, values: FloatArray, period: int, near: float) -> FloatArray:
    suspects = (means != values) & (np.abs(means - values) <= near * np.abs(values))
    if suspects.any():
        constant = suspects & (run_lengths(values) >= period)
        means[constant] = values[constant]
    return means


def _in_chunks(values: FloatArray, period: int, sums: Callable[[FloatArray, int], FloatArray]) -> FloatArray:
    result = np.full(len(values), np.nan)
    chunk = max(_CHUNK, 2 * period)
    for start in range(0, len(values) - period + 1, chunk):
        piece = sums(values[start : start + chunk + period - 1], period)
        result[start + period - 1 : start + period - 1 + len(piece)] = piece
    return result


def _window_sums(values: FloatArray, period: int) -> FloatArray:
    power: Double = (values, np.zeros(len(values)))
    width = 1
    total: Double = (np.zeros(len(values)), np.zeros(len(values)))
    summed = 0
    while True:
        if period & width:
            total = _add(total, power, summed)
            summed += width
        if summed == period:
            return total[0] + total[1]
        power = _add(power, power, width)
        width *= 2


def _add(left: Double, right: Double, offset: int) -> Double:
    """left[i] + right[i + offset], for as long as both last."""
    count = min(len(left[0]), len(right[0]) - offset)
    end = offset + count
    total, error = _two_sum(left[0][:count], right[0][offset:end])
    error += left[1][:count] + right[1][offset:end]
    high = total + error
    return high, error - (high - total)


def _two_sum(left: FloatArray, right: FloatArray) -> Double:
    """left + right, and exactly what its rounding lost (Knuth, TAOCP 2, 4.2.2)."""
    total = left + right
    virtual = total - left
    return total, (left - (total - virtual)) + (right - virtual)


def _window_extremes(values: FloatArray, period: int, extreme: np.ufunc) -> FloatArray:
    """By doubling: the last two windows may overlap, as an extreme counts a value once or twice alike."""
    if len(values) < period:
        return np.empty(0)
    width = 1
    while 2 * width <= period:
        values = extreme(values[:-width], values[width:])
        width *= 2
    overlap = period - width
    return np.asarray(extreme(values[: len(values) - overlap], values[overlap:]))
