"""What waits for its market time: reports that may not be known yet, and positions to look at again."""

from __future__ import annotations

import heapq

from christmas.execution.order import OrderReport


class Schedule:
    """Two queues by due time. Nothing here asks what time it is: the engine says."""

    def __init__(self) -> None:
        self._reports: list[tuple[int, int, int, OrderReport]] = []
        self._arrivals = 0
        self._timers: list[tuple[int, str]] = []
        self._set: set[tuple[int, str]] = set()

    def hold(self, report: OrderReport) -> None:
        """Keep a report until its ``effective_us``; ties go by sequence, then by arrival."""
        self._arrivals += 1
        heapq.heappush(self._reports, (report.effective_us, report.sequence, self._arrivals, report))

    def wake(self, due_us: int, position_id: str) -> None:
        """Look at a position at ``due_us``; asking twice is once."""
        if (due_us, position_id) not in self._set:
            self._set.add((due_us, position_id))
            heapq.heappush(self._timers, (due_us, position_id))

    @property
    def next_due_us(self) -> int | None:
        """The earliest of all."""
        if self._reports and (not self._timers or self._reports[0][0] <= self._timers[0][0]):
            return self._reports[0][0]
        return self._timers[0][0] if self._timers else None

    def next_report(self, clock_us: int) -> OrderReport | None:
        """Take out the first report that is due."""
        if self._reports and self._reports[0][0] <= clock_us:
            return heapq.heappop(self._reports)[3]
        return None

    def next_timer(self, clock_us: int) -> str | None:
        """Take out the first position that is due."""
        if self._timers and self._timers[0][0] <= clock_us:
            timer = heapq.heappop(self._timers)
            self._set.discard(timer)
            return timer[1]
        return None
