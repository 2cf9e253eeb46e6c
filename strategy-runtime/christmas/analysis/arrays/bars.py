"""Bars as columns, the form in which array indicators read them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from christmas.analysis.arrays.rolling import FloatArray
from christmas.analysis.indicators.bar_floats import BarFloats
from christmas.market.bar import Bar


class BarArrays(NamedTuple):
    """The bars of one symbol in order of time; all columns are of one length. Volumes in whole lots."""

    start_us: npt.NDArray[np.int64]
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    buy_volume: FloatArray
    sell_volume: FloatArray
    notional: FloatArray

    @classmethod
    def from_bars(cls, bars: Iterable[Bar]) -> BarArrays:
        return cls.from_floats(BarFloats.from_bar(bar) for bar in bars)

    @classmethod
    def from_floats(cls, bars: Iterable[BarFloats]) -> BarArrays:
        rows = list(bars)
        columns = {
            name: np.array([getattr(row, name) for row in rows], dtype=np.float64)
            for name in cls._fields
            if name != "start_us"
        }
        return cls(start_us=np.array([row.start_us for row in rows], dtype=np.int64), **columns)

    @property
    def typical(self) -> FloatArray:
        """The typical price: (high + low + close) / 3."""
        return np.asarray((self.high + self.low + self.close) / 3.0)
