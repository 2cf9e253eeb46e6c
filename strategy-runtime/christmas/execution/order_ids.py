"""Which client order id comes next: never the id of another order, and the same one for a decision made again."""

from __future__ import annotations

from christmas.execution.order import client_order_id
from christmas.market.tick import Side


class OrderIds:
    """Counts a strategy's orders of each side within the bar that the clock is in.

    After a restart the ids that the journal knows are given to `know`. The counter begins at 0 again and skips
    them: a decision whose order never reached the journal gets the id it had, one that did gets the next.
    """

    def __init__(self, strategy_uid: str, timeframe_us: int) -> None:
        self._uid = strategy_uid
        self._timeframe_us = timeframe_us
        self._bar_us = -1
        self._next: dict[Side, int] = {}
        self._known: set[str] = set()

    def know(self, order_id: str) -> None:
        self._known.add(order_id)

    def next(self, clock_us: int, side: Side) -> str:
        """The id of the next order of ``side``; ``clock_us`` must not go back."""
        bar_us = clock_us - clock_us % self._timeframe_us
        if bar_us != self._bar_us:
            self._bar_us = bar_us
            self._next.clear()
        while True:
            sequence = self._next.get(side, 0)
            self._next[side] = sequence + 1
            order_id = client_order_id(self._uid, bar_us, side, sequence)
            if order_id not in self._known:
                return order_id
