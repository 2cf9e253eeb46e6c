"""Volume indicators over whole arrays; the formulas are those of `christmas.analysis.indicators.volume`."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from christmas.analysis.arrays.rolling import FloatArray, floats, padded, rolling_mean, rolling_sum
from christmas.analysis.indicators.volume import SESSION_US


class VwapArrays(NamedTuple):
    value: FloatArray
    deviation: FloatArray


class FlowImbalanceArrays(NamedTuple):
    value: FloatArray
    delta: FloatArray


def vwap(
    notional: FloatArray, volume: FloatArray, close: FloatArray, start_us: npt.NDArray[np.int64], period: int = 0
) -> VwapArrays:
    closes = floats(close)
    length = len(closes)
    if period:
        first = period - 1
        weighted = rolling_sum(floats(notional), period)[first:]
        weights = rolling_sum(floats(volume), period)[first:]
    else:
        first = 0
        weighted = _session_totals(floats(notional), start_us)
        weights = _session_totals(floats(volume), start_us)
    newest = closes[first:]
    value = np.divide(weighted, weights, out=newest.copy(), where=weights > 0.0)
    ratio = np.divide(newest, value, out=np.ones(len(value)), where=value != 0.0)
    return VwapArrays(padded(length, value), padded(length, 100.0 * (ratio - 1.0)))


def obv(close: FloatArray, volume: FloatArray, period: int = 0) -> FloatArray:
    closes, volumes = floats(close), floats(volume)
    signed = np.sign(np.diff(closes)) * volumes[1:]
    if period:
        return padded(len(closes), rolling_sum(signed, period)[period - 1 :])
    return np.add.accumulate(np.concatenate((volumes[:1], signed)))


def flow_imbalance(buy_volume: FloatArray, sell_volume: FloatArray, period: int = 20) -> FlowImbalanceArrays:
    bought = rolling_sum(floats(buy_volume), period)
    sold = rolling_sum(floats(sell_volume), period)
    delta = bought - sold
    both = bought + sold
    share = np.divide(delta, both, out=np.where(np.isnan(both), np.nan, 0.0), where=both > 0.0)
    return FlowImbalanceArrays(share, delta)


def relative_volume(volume: FloatArray, period: int = 20) -> FloatArray:
    volumes = floats(volume)
    usual = rolling_mean(volumes, period)
    return np.divide(volumes, usual, out=np.where(np.isnan(usual), np.nan, 1.0), where=usual > 0.0)


def _session_totals(values: FloatArray, start_us: npt.NDArray[np.int64]) -> FloatArray:
    """The sum since the session began, added one by one as the incremental form does."""
    sessions = np.asarray(start_us, dtype=np.int64) // SESSION_US
    result = np.empty(len(values))
    starts = np.concatenate(([0], np.flatnonzero(np.diff(sessions)) + 1, [len(values)]))
    for start, end in pairwise(starts.tolist()):
        np.add.accumulate(values[start:end], out=result[start:end])
    return result
