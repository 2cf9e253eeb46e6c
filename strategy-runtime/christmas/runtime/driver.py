"""Moves one engine by what arrives, and passes on what it decides: no I/O of its own, no decisions.

Both ways in which a market is shown (live, and lock-step) end here, so both move the engine alike.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, time
from typing import Final, Protocol

from christmas.execution.engine import Engine
from christmas.execution.order import CancelIntent, OrderIntent, OrderReport, OrderStatus
from christmas.execution.protocol import Cancel, SignalNote, Submit
from christmas.market.tick import ClockAdvance, TickBatch
from christmas.runtime import metrics

_WAITING_MAXIMUM: Final = 10_000
_RECORDED_S: Final = 3600.0
"""Prints older than this come from a file, and their age says nothing about us."""


class Outgoing(Protocol):
    """Where decisions go: the gateway session."""

    def submit(self, frame: Submit) -> None: ...

    def cancel(self, frame: Cancel) -> None: ...

    def note(self, frame: SignalNote) -> None: ...


class Driver:
    """Shows messages and reports to an engine and sends its output, with the latency of each order."""

    def __init__(
        self,
        engine: Engine,
        outgoing: Outgoing,
        *,
        known_us: int = 0,
        on_signal: Callable[[SignalNote], None] = lambda _: None,
    ) -> None:
        """``known_us``: market time up to which the stream is history, which the engine only absorbs."""
        self.engine = engine
        self._known_us = known_us
        self._outgoing = outgoing
        self._on_signal = on_signal
        self._decided_at: dict[str, float] = {}

    def show(self, message: TickBatch | ClockAdvance) -> None:
        """Let the engine see one message of the stream, and send what it decides."""
        started = perf_counter()
        if isinstance(message, ClockAdvance):
            if message.time_us > self._known_us:
                self.engine.on_clock(message.time_us)
                self._send(started, cause_clock_us=message.time_us)
        else:
            for tick in message.ticks:
                if tick.time_us > self._known_us:
                    self.engine.on_tick(tick)
                else:
                    self.engine.absorb_tick(tick)
            metrics.TICKS.labels(message.ticks[0].symbol).inc(len(message.ticks))
            self._send(started, cause_sequence=message.sequence)
            lag_s = time() - message.ticks[0].time_us / 1e6
            if lag_s < _RECORDED_S:
                metrics.TICK_LAG.observe(max(0.0, lag_s))
        metrics.DECISION.observe(perf_counter() - started)

    def report(self, report: OrderReport, intent: OrderIntent | None = None) -> None:
        """Let the engine know of a step in an order's life; ``intent`` comes with orders that are not its own."""
        started = perf_counter()
        if report.status is not OrderStatus.PENDING:
            decided_at = self._decided_at.pop(report.client_order_id, None)
            if decided_at is not None and report.status is not OrderStatus.DENIED:
                metrics.SIGNAL_TO_ORDER.observe(started - decided_at)
        self.engine.on_report(report, intent)
        self._send(started)

    def trading_state(self, enabled: bool, reason: str) -> None:
        metrics.TRADING.set(enabled)
        self.engine.on_trading_state(enabled, reason)
        self._send(perf_counter())

    def _send(self, decided_at: float, *, cause_sequence: int = 0, cause_clock_us: int = 0) -> None:
        for decision in self.engine.take_output():
            if isinstance(decision, OrderIntent):
                metrics.INTENTS.labels("submit").inc()
                if len(self._decided_at) < _WAITING_MAXIMUM:
                    self._decided_at[decision.client_order_id] = decided_at
                self._outgoing.submit(
                    Submit(
                        intent=decision,
                        cause_sequence=cause_sequence,
                        cause_clock_us=cause_clock_us,
                        decided_s=decided_at,
                    )
                )
            elif isinstance(decision, CancelIntent):
                metrics.INTENTS.labels("cancel").inc()
                self._outgoing.cancel(Cancel(intent=decision))
            else:
                metrics.SIGNALS.labels(decision.signal, str(decision.taken).lower()).inc()
                self._outgoing.note(decision)
                self._on_signal(decision)
