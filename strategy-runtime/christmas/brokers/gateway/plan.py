"""Where a lock-step replay must stop and ask its strategies: pure decisions over market times.

A strategy acts upon a bar's end, a report that it may know of, a timer of its own or (some) any tick.
What it decides at a market time d reaches the venue at d + the order latency, so prints before that
may be matched without asking, and none at or after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from christmas.market.tick import MICROSECONDS_PER_SECOND

TICKS_MAXIMUM: Final = 1_000
"""In one window: it is published at once."""


def whole_second_from(time_us: int) -> int:
    """The first whole second at or after ``time_us``."""
    return -(-time_us // MICROSECONDS_PER_SECOND) * MICROSECONDS_PER_SECOND


def next_boundary(pending_us: Iterable[int], clock_us: int, until_us: int) -> int | None:
    """The next whole second, after the clock and not after ``until_us``, by which something is due.

    ``pending_us``: ends of bars, reports' times, timers, arrivals at the venue. What is overdue counts
    for the next second.
    """
    soonest = min(pending_us, default=None)
    if soonest is None:
        return None
    boundary = max(whole_second_from(soonest), clock_us - clock_us % MICROSECONDS_PER_SECOND + MICROSECONDS_PER_SECOND)
    return boundary if boundary <= until_us else None


def market_end(last_us: int, timeframes_us: Iterable[int], answer_latency_us: int) -> int:
    """How far the clock goes on after the last print of a replay, the same at every speed.

    The last bars end, and the answers to what is decided upon them arrive. ``answer_latency_us``: of an order and
    its report together.
    """
    ends = (last_us - last_us % timeframe + timeframe for timeframe in timeframes_us)
    return max(ends, default=whole_second_from(last_us)) + whole_second_from(
        answer_latency_us + MICROSECONDS_PER_SECOND
    )


class Window(msgspec.Struct, kw_only=True):
    """The prints shown since strategies last answered."""

    ticks: int = 0
    decision_us: int | None = None
    """The earliest market time at which a strategy may decide something upon what is in the window."""

    def includes(self, tick_us: int, *, acts_on_ticks: bool, wakes_us: Iterable[int]) -> None:
        """A print was added; ``wakes_us``: reports' times and timers that any event at or after lets through."""
        self.ticks += 1
        if self.decision_us is None and (acts_on_ticks or min(wakes_us, default=tick_us + 1) <= tick_us):
            self.decision_us = tick_us

    def must_close_before(self, tick_us: int, order_latency_us: int) -> bool:
        """Whether a strategy must be asked before the print of ``tick_us`` is matched."""
        if self.ticks >= TICKS_MAXIMUM:
            return True
        return self.decision_us is not None and tick_us >= self.decision_us + order_latency_us


def joins_window(boundary_us: int, decision_us: int | None, order_latency_us: int) -> bool:
    """Whether a window that is about to close may tell of a boundary too, instead of that taking a window of its own.

    So it may before anything that was decided in the window can be at the venue: what happens there at the
    boundary happens in any case. The print of a bar is followed by the bar's end, a microsecond later.
    """
    return decision_us is not None and boundary_us < decision_us + order_latency_us


class OpenBars:
    """Ends of the bars that have a print and are not over, by timeframe."""

    def __init__(self) -> None:
        self._ends: dict[int, int] = {}

    def add(self, tick_us: int, timeframes_us: Iterable[int]) -> None:
        for timeframe in timeframes_us:
            end = tick_us - tick_us % timeframe + timeframe
            known = self._ends.get(timeframe)
            if known is None or known <= tick_us:
                self._ends[timeframe] = end

    def ends(self, clock_us: int) -> list[int]:
        return [end for end in self._ends.values() if end > clock_us]
