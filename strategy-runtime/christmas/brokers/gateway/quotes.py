"""What the gateway knows of the market at this moment: clock, last prices, when ticks were received."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from decimal import Decimal
from typing import Final

from christmas.market.tick import Tick

_PLAUSIBLE_US: Final = 10_000_000
_RECEIPTS_MAXIMUM: Final = 4_096
_CLOCK: Final = ""


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
        self._note(symbol, sequence, received_s)

    def announced(self, clock_us: int, received_s: float) -> None:
        """The clock's ``clock_us`` became known at ``received_s``: by a tick, or by the timer."""
        self.advance(clock_us)
        self._note(_CLOCK, clock_us, received_s)

    def cause_s(self, symbol: str, sequence: int, clock_us: int) -> float | None:
        """When what led to an intent was received; None when it is unknown or too long ago."""
        if sequence:
            return self._find(symbol, sequence)
        return self._find(_CLOCK, clock_us) if clock_us else None

    def _note(self, stream: str, number: int, received_s: float) -> None:
        receipts = self._receipts.get(stream)
        if receipts is None:
            receipts = self._receipts[stream] = deque(maxlen=_RECEIPTS_MAXIMUM)
        receipts.append((number, received_s))

    def _find(self, stream: str, number: int) -> float | None:
        receipts = self._receipts.get(stream)
        if not receipts or receipts[0][0] > number:
            return None
        at = bisect_left(receipts, (number, 0.0))
        return receipts[at][1] if at < len(receipts) else None

    def decided_us(self, claimed_us: int) -> int:
        """The market time of a decision: as claimed when that is plausible, so that it does not depend
        on how fast the message travelled.
        """
        return min(self.clock_us, max(claimed_us, self.clock_us - _PLAUSIBLE_US))
