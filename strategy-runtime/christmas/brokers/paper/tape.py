"""What a symbol's prints have shown so far: there is no order book, so this is all that is known."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from christmas.brokers.port import FeedPosition
from christmas.market.tick import MICROSECONDS_PER_SECOND, Tick


class Tape:
    """The last prices by taker side, the volume of the last minute by price, and the position.

    A print counts once and in time order: one that was taken in before, or whose time lies before
    the last one's, is refused by `admits`. That makes showing prints again after a kill harmless.
    """

    __slots__ = ("ask", "bid", "buckets", "last", "ticks", "time_us", "trade_ids", "window_us")

    def __init__(self, window_us: int) -> None:
        self.window_us = window_us
        self.ask: Decimal | None = None
        """The last price that a taker bought at (any price, when sides are not told)."""
        self.bid: Decimal | None = None
        self.last: Decimal | None = None
        self.time_us = -1
        self.trade_ids: dict[str, None] = {}
        """Of the prints of the last microsecond, in their order."""
        self.ticks = 0
        self.buckets: deque[tuple[int, dict[Decimal, int]]] = deque()
        """Lots by price for each second of the window, oldest second first."""

    def admits(self, tick: Tick) -> bool:
        if tick.time_us != self.time_us:
            return tick.time_us > self.time_us
        return tick.trade_id not in self.trade_ids

    def record(self, tick: Tick) -> None:
        """Take in a print that `admits` let pass. Its volume counts by price unless it is a bar's."""
        time_us, price, side = tick.time_us, tick.price, tick.taker_side
        if time_us == self.time_us:
            self.trade_ids[tick.trade_id] = None
        else:
            self.time_us = time_us
            self.trade_ids = {tick.trade_id: None}
        self.ticks += 1
        self.last = price
        if side != "sell":
            self.ask = price
        if side != "buy":
            self.bid = price
        if tick.high is not None:
            return
        second = time_us // MICROSECONDS_PER_SECOND
        buckets = self.buckets
        if not buckets or buckets[-1][0] != second:
            self._drop_before(time_us - self.window_us)
            buckets.append((second, {}))
        traded = buckets[-1][1]
        traded[price] = traded.get(price, 0) + tick.lots

    def traded_at(self, price: Decimal, time_us: int) -> int:
        """Lots printed at ``price`` in the window before ``time_us``, which is counted in whole seconds."""
        oldest = (time_us - self.window_us) // MICROSECONDS_PER_SECOND
        return sum(traded.get(price, 0) for second, traded in self.buckets if second >= oldest)

    def position(self) -> FeedPosition | None:
        if not self.ticks:
            return None
        return FeedPosition(time_us=self.time_us, trade_ids=tuple(self.trade_ids), ticks=self.ticks)

    def _drop_before(self, time_us: int) -> None:
        oldest = time_us // MICROSECONDS_PER_SECOND
        while self.buckets and self.buckets[0][0] < oldest:
            self.buckets.popleft()
