"""The paper venue: an exchange of our own behind the port that real ones use."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from christmas.brokers.paper.account import Account
from christmas.brokers.paper.delivery import Delivery
from christmas.brokers.paper.faults import FaultSwitch
from christmas.brokers.paper.ledger import Ledger, LedgerState, Statement
from christmas.brokers.paper.matching import PaperOrder
from christmas.brokers.paper.simulation import Simulation
from christmas.brokers.paper.tape import Tape
from christmas.brokers.paper.terms import terms_of
from christmas.brokers.port import (
    FeedPosition,
    ReportHandler,
    VenueAmbiguous,
    VenueBalance,
    VenueOrder,
    VenueRateLimited,
    VenueRejected,
    VenueReport,
)
from christmas.execution.order import Fill, OrderIntent, OrderStatus
from christmas.execution.protocol import Fees
from christmas.market.instrument import Instrument
from christmas.market.tick import Tick
from christmas.resources.broker import BrokerSpec

_logger = logging.getLogger(__name__)
LEDGER_FILE: Final = "venue.sqlite"
RETRY_AFTER_S: Final = 1.0
POSITION_WRITE_S: Final = 0.2
"""How often the feed's position is written while nothing else changes: prints after it, shown again,
bring the same state about, so no write is owed for each batch."""

_TRY_AGAIN_S: Final = 0.25
"""How often books that could not be written are tried."""


class PaperVenue:
    """One simulated account. Everything it tells is on disk before it is told.

    ``submit`` answers ACCEPTED as soon as an order has been received; at its effective time
    (``decided_us`` + order latency) the venue looks at cash, position and market, and what it then
    refuses comes as a report with REJECTED. Only faults that show on sight raise VenueRejected.
    """

    def __init__(self, broker: BrokerSpec, state_dir: Path) -> None:
        """``state_dir`` holds ``venue.sqlite`` and, when somebody puts it there, ``faults.json``.

        Raises LedgerUnusable.
        """
        self._terms = terms_of(broker)
        self._ledger = Ledger(state_dir / LEDGER_FILE)
        self._faults = FaultSwitch(self._terms.faults, state_dir)
        self._delivery = Delivery(self._faults, self._terms.report_latency_us)
        state = self._ledger.state() or LedgerState(initial_cash=self._terms.cash, cash=self._terms.cash)
        self._initial_cash = state.initial_cash
        self._requests = state.requests
        tapes = {symbol: Tape(self._terms.queue_window_us) for symbol in self._terms.instruments}
        for symbol, tape in tapes.items():
            self._ledger.restore_tape(symbol, tape)
        self._written = {symbol: tape.position() for symbol, tape in tapes.items()}
        account = Account(state.cash, dict(state.positions), self._terms.instruments, self._terms.fees)
        self._simulation = Simulation(self._terms, account, tapes)
        self._simulation.restore(self._ledger.open_orders(), state.clock_us)
        self._written_at = 0.0
        self._unwritten: str | None = None
        """Why the books cannot be written: nothing is told or answered until they can."""
        self._publishing: asyncio.Future[None] | None = None

    # --- the port ------------------------------------------------------------------------------

    async def connect(self, on_report: ReportHandler) -> None:
        self._delivery.connect(on_report)

    async def close(self) -> None:
        """Write where it stands and let go of the ledger. The simulation ends here."""
        self._delivery.connect(None)
        with contextlib.suppress(VenueAmbiguous):
            self._write()
        self._ledger.close()

    async def instruments(self) -> dict[str, Instrument]:
        return dict(self._terms.instruments)

    async def fees(self) -> Fees:
        return self._terms.fees

    async def submit(self, intent: OrderIntent) -> VenueOrder:
        number = self._request()
        known = self._find(intent.client_order_id)
        if known is None:
            if self._faults.strikes("reject", number):
                known = self._simulation.refuse(intent, "rejected on request (fault)")
            else:
                known = self._simulation.submit(intent)
            if known.status is OrderStatus.REJECTED:
                self._simulation.forget_changes(intent.client_order_id)
            await self._published()
        if self._faults.strikes("timeout_after_accepting", number):
            raise VenueAmbiguous("no answer in time (fault)")
        if known.status is OrderStatus.REJECTED:
            raise VenueRejected(known.reason)
        return _as_venue_order(known)

    async def cancel(self, client_order_id: str, decided_us: int = 0) -> VenueOrder:
        """See the port. While the cancel is under way the answer is the order as it still stands."""
        number = self._request()
        order = self._find(client_order_id)
        if order is None:
            raise VenueRejected(f"unknown order {client_order_id}")
        self._simulation.cancel(order, decided_us)
        self._publish()
        if self._faults.strikes("timeout_after_accepting", number):
            raise VenueAmbiguous("no answer in time (fault)")
        return _as_venue_order(order)

    async def query(self, client_order_id: str) -> VenueOrder | None:
        self._request()
        order = self._find(client_order_id)
        return None if order is None else _as_venue_order(order)

    async def open_orders(self) -> Sequence[VenueOrder]:
        self._request()
        orders = sorted(self._simulation.orders.values(), key=lambda order: order.priority)
        return [_as_venue_order(order) for order in orders]

    async def fills(self, since_us: int) -> Sequence[Fill]:
        self._request()
        return self._ledger.fills(since_us)

    async def balance(self) -> VenueBalance:
        self._request()
        account = self._simulation.account
        return VenueBalance(
            cash=account.cash, positions={symbol: lots for symbol, lots in account.positions.items() if lots}
        )

    # --- moved by the gateway's ticks ----------------------------------------------------------

    def on_ticks(self, ticks: Sequence[Tick], clock_us: int) -> None:
        """Match open orders against prints, in their order. Raises KeyError for a symbol not traded here."""
        simulation = self._simulation
        on_tick = simulation.on_tick
        for tick in ticks:
            on_tick(tick)
        simulation.on_clock(clock_us)
        self._after_market()

    def on_clock(self, clock_us: int) -> None:
        self._simulation.on_clock(clock_us)
        self._after_market()

    def next_event_us(self) -> int | None:
        """Market time of the next thing that a clock alone brings: an order, a cancel or a held report."""
        waiting = (self._simulation.next_event_us(), self._delivery.next_event_us())
        return min((each for each in waiting if each is not None), default=None)

    def last_tick(self, symbol: str) -> FeedPosition | None:
        """Where the ledger stands. Prints up to there are skipped when they are shown again."""
        return self._written.get(symbol)

    def flush(self) -> None:
        """Write the feed's position now, so that `last_tick` is the last print shown."""
        self._write()

    @property
    def clock_us(self) -> int:
        """The market time that the venue was shown (0: none yet), in between prints in whole seconds."""
        return self._simulation.clock_us

    @property
    def report_latency_us(self) -> int:
        return self._terms.report_latency_us

    def statement(self) -> Statement:
        """Every order and fill of the account, its cash and its positions: for an audit."""
        self._write()
        return self._ledger.statement()

    # --- inside --------------------------------------------------------------------------------

    def _request(self) -> int:
        """Count a request and let it fail if the faults say so; returns its number."""
        self._requests += 1
        number = self._requests
        if self._unwritten is not None:
            # What it would answer is not on disk, and may not come true.
            raise VenueAmbiguous(self._unwritten)
        if self._faults.strikes("rate_limited", number):
            raise VenueRateLimited("429 too many requests (fault)", RETRY_AFTER_S)
        if self._faults.strikes("disconnect", number):
            self._delivery.disconnect(self._simulation.clock_us)
            raise VenueAmbiguous("the connection was lost (fault)")
        if self._faults.strikes("server_error", number):
            raise VenueAmbiguous("503 service unavailable (fault)")
        return number

    def _find(self, client_order_id: str) -> PaperOrder | None:
        return self._simulation.orders.get(client_order_id) or self._ledger.order(client_order_id)

    def _after_market(self) -> None:
        self._delivery.release(self._simulation.clock_us)
        waited_s = time.monotonic() - self._written_at
        if self._unwritten is not None and waited_s < _TRY_AGAIN_S:
            return
        if self._simulation.touched or self._simulation.changes or waited_s >= POSITION_WRITE_S:
            with contextlib.suppress(VenueAmbiguous):
                self._publish()

    def _published(self) -> asyncio.Future[None]:
        """Done when everything up to now is written and told: once for all requests that come in together."""
        if self._publishing is None:
            loop = asyncio.get_running_loop()
            self._publishing = loop.create_future()
            loop.call_soon(self._publish_together, self._publishing)
        # One that gives up waiting must not take the others with it.
        return asyncio.shield(self._publishing)

    def _publish_together(self, done: asyncio.Future[None]) -> None:
        self._publishing = None
        try:
            self._publish()
        except Exception as error:
            done.set_exception(error)
        else:
            done.set_result(None)

    def _publish(self) -> None:
        """Write, then tell."""
        changes = self._simulation.changes
        self._write()
        self._simulation.changes = []
        for change in changes:
            order = VenueOrder(
                client_order_id=change.client_order_id,
                venue_order_id=_venue_order_id(change.client_order_id),
                status=change.status,
                filled_lots=change.filled_lots,
                leaves_lots=change.leaves_lots,
                reason=change.reason,
            )
            report = VenueReport(
                order=order, fill=change.fill, time_us=change.time_us, effective_us=change.effective_us
            )
            self._delivery.send(report, self._simulation.clock_us)

    def _write(self) -> None:
        simulation = self._simulation
        # Orders that only moved up in their queue are part of the state of this moment too.
        orders = {**simulation.orders, **simulation.touched}
        state = LedgerState(
            initial_cash=self._initial_cash,
            cash=simulation.account.cash,
            positions=simulation.account.positions,
            clock_us=simulation.clock_us,
            requests=self._requests,
        )
        fills = [change.fill for change in simulation.changes if change.fill is not None]
        try:
            self._ledger.write(state, orders.values(), fills, simulation.tapes)
        except sqlite3.OperationalError as error:
            # The disk is full: all of it stays in memory, and is written when there is room.
            self._written_at = time.monotonic()
            if self._unwritten is None:
                _logger.warning("the venue's books cannot be written", extra={"error": str(error)})
            self._unwritten = f"the venue's books cannot be written: {error}"
            raise VenueAmbiguous(self._unwritten) from error
        if self._unwritten is not None:
            _logger.info("the venue's books are written again")
            self._unwritten = None
        simulation.touched = {}
        self._written = {symbol: tape.position() for symbol, tape in simulation.tapes.items()}
        self._written_at = time.monotonic()


def _venue_order_id(client_order_id: str) -> str:
    return f"paper-{client_order_id}"


def _as_venue_order(order: PaperOrder) -> VenueOrder:
    return VenueOrder(
        client_order_id=order.intent.client_order_id,
        venue_order_id=_venue_order_id(order.intent.client_order_id),
        status=order.status,
        filled_lots=order.filled_lots,
        leaves_lots=order.leaves_lots,
        reason=order.reason,
        effective_us=order.told_us,
    )
