"""A bar's numbers as binary floats, converted once for however many indicators read them."""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

from christmas.market.bar import Bar

Source = Literal["open", "high", "low", "close", "volume", "typical", "buy_volume", "sell_volume"]
"""The fields of a bar that a series indicator can read."""

SOURCES: Final[tuple[str, ...]] = get_args(Source)


class BarFloats(msgspec.Struct, frozen=True, gc=False):
    """What indicators read of a bar. Prices in quote currency, volumes in whole lots.

    Only indicators may use it: money is counted in the bar's own decimals.
    """

    start_us: int
    end_us: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    buy_volume: float
    """The part of ``volume`` whose taker bought."""
    sell_volume: float
    """The part of ``volume`` whose taker sold; unknown sides are in neither."""
    notional: float
    """The sum of price x lots over the bar's ticks."""

    @classmethod
    def from_bar(cls, bar: Bar) -> BarFloats:
        return cls(
            bar.start_us,
            bar.end_us,
            float(bar.open),
            float(bar.high),
            float(bar.low),
            float(bar.close),
            float(bar.lots),
            float(bar.buy_lots),
            float(bar.sell_lots),
            float(bar.price_lots),
        )

    @property
    def typical(self) -> float:
        """The typical price: (high + low + close) / 3."""
        return (self.high + self.low + self.close) / 3.0
