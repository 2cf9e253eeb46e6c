"""Bars out of ticks: as they arrive, and from a recording. Both give the same bars.

They agree because the gateway marks a tick that came after its second had been closed as late, in the
stream and in the recording alike, and because within a bar nothing depends on the order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from christmas.market.bar import Bar
from christmas.market.tick import MICROSECONDS_PER_SECOND, Tick
from christmas.market.trade_order import is_after, tick_key


class _Forming:
    """The bar that still takes ticks."""

    __slots__ = ("buy_lots", "end_us", "first", "high", "last", "lots", "low", "price_lots", "sell_lots", "ticks")

    def __init__(self, first: Tick, end_us: int) -> None:
        self.end_us = end_us
        self.first = first
        self.last = first
        self.high = first.price if first.high is None else first.high
        self.low = first.price if first.low is None else first.low
        self.lots = 0
        self.buy_lots = 0
        self.sell_lots = 0
        self.price_lots = Decimal(0)
        self.ticks = 0
        self._count(first)

    def add(self, tick: Tick) -> None:
        if is_after(tick, self.last):
            self.last = tick
        elif is_after(self.first, tick):
            self.first = tick
        high = tick.price if tick.high is None else tick.high
        low = tick.price if tick.low is None else tick.low
        self.high = max(self.high, high)
        self.low = min(self.low, low)
        self._count(tick)

    def _count(self, tick: Tick) -> None:
        lots = tick.lots
        self.lots += lots
        if tick.taker_side == "buy":
            self.buy_lots += lots
        elif tick.taker_side == "sell":
            self.sell_lots += lots
        self.price_lots += tick.price * lots
        self.ticks += 1

    def close(self, symbol: str, timeframe_us: int) -> Bar:
        return Bar(
            symbol=symbol,
            start_us=self.end_us - timeframe_us,
            end_us=self.end_us,
            open=self.first.price if self.first.open is None else self.first.open,
            high=self.high,
            low=self.low,
            close=self.last.price,
            lots=self.lots,
            buy_lots=self.buy_lots,
            sell_lots=self.sell_lots,
            price_lots=self.price_lots,
            ticks=self.ticks,
        )


class BarBuilder:
    """Builds the bars of one symbol from the stream of its ticks and of the market's clock.

    ``timeframe_us`` is a whole number of seconds; bars are aligned to the epoch. A bar closes when the
    clock reaches its end, told by `advance` or by a tick at or after the end. Late ticks, and ticks of a
    bar that has closed, are ignored.
    """

    __slots__ = ("_closed_us", "_forming", "_symbol", "_timeframe_us")

    def __init__(self, symbol: str, timeframe_us: int) -> None:
        if timeframe_us <= 0 or timeframe_us % MICROSECONDS_PER_SECOND:
            raise ValueError(f"a bar lasts a whole number of seconds, not {timeframe_us} µs")
        self._symbol = symbol
        self._timeframe_us = timeframe_us
        self._forming: _Forming | None = None
        self._closed_us = 0

    @property
    def pending_end_us(self) -> int | None:
        """When the bar that is being built ends; None while no tick has come for one."""
        return None if self._forming is None else self._forming.end_us

    def add(self, tick: Tick) -> list[Bar]:
        """Take a tick; answers the bar that it closes by being at or after its end."""
        forming = self._forming
        time_us = tick.time_us
        if tick.late or time_us < self._closed_us:
            return []
        if forming is not None:
            if time_us < forming.end_us:
                forming.add(tick)
                return []
            closed = self.advance(time_us)
        else:
            closed = []
        start_us = time_us - time_us % self._timeframe_us
        self._closed_us = start_us
        self._forming = _Forming(tick, start_us + self._timeframe_us)
        return closed

    def advance(self, clock_us: int) -> list[Bar]:
        """The clock has come to ``clock_us``; answers the bar that ends by then, if there is one."""
        boundary_us = clock_us - clock_us % self._timeframe_us
        self._closed_us = max(self._closed_us, boundary_us)
        forming = self._forming
        if forming is None or clock_us < forming.end_us:
            return []
        self._forming = None
        return [forming.close(self._symbol, self._timeframe_us)]


def bars_from_ticks(ticks: Iterable[Tick], timeframe_us: int, *, until_us: int | None = None) -> list[Bar]:
    """The bars of one symbol's recorded ticks, given in any order, oldest bar first.

    Only bars that end by ``until_us`` are given; without it the last one too, as if the market had
    ended with the last tick.
    """
    ordered = sorted((tick for tick in ticks if not tick.late), key=tick_key)
    if not ordered:
        return []
    builder = BarBuilder(ordered[0].symbol, timeframe_us)
    bars: list[Bar] = []
    for tick in ordered:
        bars += builder.add(tick)
    if builder.pending_end_us is not None:
        bars += builder.advance(builder.pending_end_us)
    return [bar for bar in bars if until_us is None or bar.end_us <= until_us]
