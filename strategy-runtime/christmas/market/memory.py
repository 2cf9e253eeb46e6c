"""What a reader still knows of the ticks it has delivered, to tell a repeated one from a new one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from christmas.market.tick import Tick

_HARD_LIMIT: Final = 20_000


class DeliveredTicks:
    """The last ticks of one symbol: those of the last ``window_us``, and ``at_least`` so many.

    Costs next to nothing while nothing goes wrong: the batches that were delivered anyway are kept, and a
    set of ids is made only when a reader has to compare.
    """

    __slots__ = ("_at_least", "_batches", "_count", "_ids", "_window_us", "floor_us", "held", "newest_us")

    def __init__(self, at_least: int, window_us: int) -> None:
        self._at_least = at_least
        self._window_us = window_us
        self._batches: deque[tuple[Tick, ...]] = deque()
        self._count = 0
        self._ids: set[str] | None = None
        self.floor_us = 0
        """Every delivered tick from this time on is remembered."""
        self.newest_us = 0
        self.held = False
        """While set, as little as possible is forgotten: a catch-up is about to be compared."""

    def add(self, ticks: tuple[Tick, ...]) -> None:
        self._ids = None
        batches = self._batches
        batches.append(ticks)
        self._count += len(ticks)
        self.newest_us = max(self.newest_us, ticks[-1].time_us)
        old_us = 0 if self.held else self.newest_us - self._window_us
        while self._count - len(batches[0]) >= self._at_least and (
            batches[0][-1].time_us < old_us or self._count > _HARD_LIMIT
        ):
            forgotten = batches.popleft()
            self._count -= len(forgotten)
            self.floor_us = max(self.floor_us, 1 + max(tick.time_us for tick in forgotten))

    def ids(self) -> set[str]:
        if self._ids is None:
            self._ids = {tick.trade_id for batch in self._batches for tick in batch}
        return self._ids

    def unseen(self, ticks: Iterable[Tick]) -> list[Tick]:
        """Those of ``ticks`` that are surely not delivered yet."""
        ids = self.ids()
        return [tick for tick in ticks if tick.time_us >= self.floor_us and tick.trade_id not in ids]
