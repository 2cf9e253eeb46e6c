"""How reports reach the account holder: in order and once, unless faults ask for worse."""

from __future__ import annotations

import msgspec

from christmas.brokers.paper.faults import FaultSwitch
from christmas.brokers.port import ReportHandler, VenueReport
from christmas.market.tick import MICROSECONDS_PER_SECOND
from christmas.resources.meta import duration_us

OUTAGE_US = MICROSECONDS_PER_SECOND
"""Market time until the session is back after a disconnect, and until a report that waits for the
next one to overtake it goes out alone."""


class Delivery:
    """Holds back, doubles and reorders reports. What it holds is lost with the process, as a pushed
    message is with its connection: whoever comes back asks the venue."""

    def __init__(self, faults: FaultSwitch, report_latency_us: int) -> None:
        self._faults = faults
        self._latency_us = report_latency_us
        self._handler: ReportHandler | None = None
        self._held: list[tuple[int, VenueReport]] = []
        self._overtaken: list[VenueReport] = []
        self._down_until_us = 0

    def connect(self, handler: ReportHandler | None) -> None:
        self._handler = handler

    def disconnect(self, clock_us: int) -> None:
        """Nothing comes through for `OUTAGE_US`; then everything that was missed does."""
        self._down_until_us = clock_us + OUTAGE_US

    def next_event_us(self) -> int | None:
        return min((due_us for due_us, _ in self._held), default=None)

    def send(self, report: VenueReport, clock_us: int) -> None:
        fill = report.fill
        if fill is not None and self._faults.strikes("late_fill", fill.fill_id):
            self._hold(report, report.time_us + duration_us(self._faults.current.late_fill_delay))
            return
        if fill is not None and self._faults.strikes("wrong_sequence", fill.fill_id):
            self._hold(report, report.time_us + OUTAGE_US)
            self._overtaken.append(report)
            return
        self._push(report, clock_us)
        if fill is not None and self._faults.strikes("duplicate_fill", fill.fill_id):
            self._push(report, clock_us)
        for overtaken in self._overtaken:
            self._held = [held for held in self._held if held[1] is not overtaken]
            self._push(msgspec.structs.replace(overtaken, effective_us=report.effective_us), clock_us)
        self._overtaken.clear()

    def release(self, clock_us: int) -> None:
        """Let go of everything that is due by ``clock_us``."""
        if not self._held:
            return
        due = [held for held in self._held if held[0] <= clock_us]
        if not due:
            return
        self._held = [held for held in self._held if held[0] > clock_us]
        for due_us, report in sorted(due, key=lambda held: held[0]):
            self._overtaken = [overtaken for overtaken in self._overtaken if overtaken is not report]
            seen_us = max(due_us, min(clock_us, -(-due_us // MICROSECONDS_PER_SECOND) * MICROSECONDS_PER_SECOND))
            self._push(msgspec.structs.replace(report, effective_us=seen_us + self._latency_us), clock_us)

    def _hold(self, report: VenueReport, due_us: int) -> None:
        self._held.append((due_us, report))

    def _push(self, report: VenueReport, clock_us: int) -> None:
        if clock_us < self._down_until_us:
            self._hold(report, self._down_until_us)
        elif self._handler is not None:
            self._handler(report)
