"""When the way of an order began, and how long it took until it was sent."""

from __future__ import annotations

import time
from typing import Final, NamedTuple

from christmas.brokers.gateway import metrics

_PLAUSIBLE_S: Final = 60.0


class Moments(NamedTuple):
    """By ``perf_counter``; None where it is not known."""

    cause_s: float | None = None
    """The ticks that led to it, or the clock, reached this gateway."""
    decided_s: float | None = None
    """The strategy was shown them."""
    received_s: float | None = None
    """The intent came in."""

    def sent(self) -> None:
        """The order is on disk and goes out now."""
        now_s = time.perf_counter()
        if self.received_s is not None:
            metrics.INTENT_TO_ORDER.observe(now_s - self.received_s)
        if self.cause_s is not None:
            metrics.TICK_TO_ORDER.observe(now_s - self.cause_s)
        # It is told by the peer: what is out of the question must not spoil the histogram.
        if self.decided_s is not None and 0 <= now_s - self.decided_s <= _PLAUSIBLE_S:
            metrics.SIGNAL_TO_ORDER.observe(now_s - self.decided_s)


UNKNOWN: Final = Moments()
