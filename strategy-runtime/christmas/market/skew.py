"""How the exchange's clock stands to ours, learnt from when prints arrive."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from math import ceil
from typing import Final

_QUICK_QUANTILE: Final = 0.9
_SLOW_QUANTILE: Final = 0.02


class SkewEstimator:
    """Estimates the exchange's time from the receiver's clock.

    A print's lead is its exchange time minus the receiver's clock at its arrival: the difference of the
    clocks minus the time on the way. The quickest prints tell the difference of the clocks best, so the
    offset is an upper quantile of the last ``window`` leads (not the maximum, which one wrong time stamp
    would move). The slowest tell how long to wait until nothing earlier is on its way any more. Without
    a sample both clocks are taken to agree.
    """

    def __init__(self, window: int = 256) -> None:
        self._window = window
        self._leads: deque[int] = deque()
        self._sorted: list[int] = []

    @property
    def samples(self) -> int:
        return len(self._leads)

    def observe(self, exchange_us: int, received_us: int) -> None:
        """A print of ``exchange_us`` arrived when our clock said ``received_us``."""
        lead = exchange_us - received_us
        if len(self._leads) == self._window:
            del self._sorted[bisect_left(self._sorted, self._leads.popleft())]
        self._leads.append(lead)
        insort(self._sorted, lead)

    @property
    def offset_us(self) -> int:
        """What to add to our clock to have the exchange's."""
        return self._quantile(_QUICK_QUANTILE)

    @property
    def jitter_us(self) -> int:
        """How much longer than a quick print a slow one is on its way."""
        return self._quantile(_QUICK_QUANTILE) - self._quantile(_SLOW_QUANTILE)

    def market_time_us(self, received_us: int) -> int:
        """The exchange's time when our clock says ``received_us``."""
        return received_us + self.offset_us

    def settled_us(self, received_us: int, grace_us: int = 0) -> int:
        """The market time before which no more prints are expected when our clock says ``received_us``.

        The live clock goes by it: a boundary is announced once it is settled, so that few prints are late.
        """
        return received_us + self._quantile(_SLOW_QUANTILE) - grace_us

    def _quantile(self, fraction: float) -> int:
        if not self._sorted:
            return 0
        return self._sorted[max(0, ceil(fraction * len(self._sorted)) - 1)]
