"""The highest price since a moment not long ago."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Final

KEPT_US: Final = 60_000_000
"""How far back one may ask: longer than a report of a fill takes."""


class Highs:
    """Prices in the order of their arrival; only those are kept that none after them has reached."""

    __slots__ = ("_falling",)

    def __init__(self) -> None:
        self._falling: deque[tuple[int, Decimal]] = deque()

    def add(self, time_us: int, price: Decimal) -> None:
        falling = self._falling
        while falling and falling[-1][1] <= price:
            falling.pop()
        falling.append((time_us, price))
        while falling[0][0] < time_us - KEPT_US:
            falling.popleft()

    def since(self, time_us: int) -> Decimal | None:
        """The highest price at or after ``time_us``; None when there was none, or it is too long ago."""
        return next((price for moment, price in self._falling if moment >= time_us), None)
