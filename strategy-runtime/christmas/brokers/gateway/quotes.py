"""What the gateway knows of the market at this moment: clock, last prices, when ticks were received."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from decimal import Decimal
from typing import Final

from christmas.market.tick import Tick

_PLAUSIBLE_US: Final = 10_000_000
_RECEIPTS_MAXIMUM: Final = 4_096


class Quotes:
    def __init__(self) -> None:
        self.clock_us = 0
        """The market's clock: the greatest of tick times and clock advances."""
        self.prices: dict[str, Decimal] = {}
        self.tick_us: dict[str, int] = {}
        self.sequences: dict[str, int] = {}
        self._receipts: dict[str, deque[tuple[int, float]]] = {}

    def saw(self, tick: Tick) -> None:
        if tick.late:
            return
        if tick.time_us >= self.tick_us.get(tick.symbol, 0):
            self.prices[tick.symbol] = tick.price
            self.tick_us[tick.symbol] = tick.time_us
        self.clock_us = max(self.clock_us, tick.time_us)

    def advance(self, clock_us: int) -> None:
        self.clock_us = max(self.clock_us, clock_us)

    def published(self, symbol: str, sequence: int, received_s: float) -> None:
        """A batch that ends with ``sequence`` was received at ``received_s`` (perf_counter)."""
        self.sequences[symbol] = sequence
        receipts = self._receipts.get(symbol)
        if receipts is None:
            receipts = self._receipts[symbol] = deque(maxlen=_RECEIPTS_MAXIMUM)
        receipts.append((sequence, received_s))

    def received_s(self, symbol: str, sequence: int) -> float | None:
        """When the batch with that tick came in; None when it is too long ago."""
        receipts = self._receipts.get(symbol)
        if not sequence or not receipts or receipts[0][0] > sequence:
            return None
        at = bisect_left(receipts, (sequence, 0.0))
        return receipts[at][1] if at < len(receipts) else None

    def decided_us(self, claimed_us: int) -> int:
        """The market time of a decision: as claimed when that is plausible, so that it does not depend
        on how fast the message travelled.
        """
        return min(self.clock_us, max(claimed_us, self.clock_us - _PLAUSIBLE_US))
