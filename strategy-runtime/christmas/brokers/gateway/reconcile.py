"""Before trading, and after every loss of the venue: make the journal and the venue agree.

Orders, then fills, then a targeted query for every order that is not over, then what is held. A
question that is not answered is no answer: the attempt fails and is made again, and until one has
succeeded nothing is sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from christmas.brokers.gateway import metrics
from christmas.brokers.gateway.desk import Desk, as_seen
from christmas.brokers.gateway.ledger import Ledger
from christmas.brokers.gateway.orders import Order
from christmas.brokers.gateway.rate import Priority
from christmas.brokers.gateway.timing import Timing
from christmas.brokers.port import Venue, VenueError, VenueOrder, VenueRejected
from christmas.execution.order import OrderStatus
from christmas.telemetry import crash

logger = logging.getLogger(__name__)

_FILLS_MARGIN_US: Final = 300_000_000
_OWN: Final = "reconcile"
"""Under whose name the requests are counted in the budget."""


class Discrepancy(Exception):
    """The venue holds less than the journal says: an exit would sell what is not there."""


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What holdings tell: ``missing`` lots stop trading, ``surplus`` ones are another's business."""

    missing: dict[str, int]
    surplus: dict[str, int]


def compare_holdings(journal: Mapping[str, int], venue: Mapping[str, int]) -> Findings:
    """Lots by symbol in the journal's open positions against the account's."""
    symbols = journal.keys() | venue.keys()
    differences = {symbol: venue.get(symbol, 0) - journal.get(symbol, 0) for symbol in symbols}
    return Findings(
        missing={symbol: -lots for symbol, lots in differences.items() if lots < 0},
        surplus={symbol: lots for symbol, lots in differences.items() if lots > 0},
    )


class Reconciler:
    def __init__(
        self,
        *,
        desk: Desk,
        ledger: Ledger,
        venue: Venue,
        timing: Timing,
        on_change: Callable[[str | None], None],
    ) -> None:
        """``on_change`` is told why nothing can be traded, or None when it can."""
        self._desk = desk
        self._ledger = ledger
        self._venue = venue
        self._timing = timing
        self._on_change = on_change
        self._wanted = asyncio.Event()
        self._surplus: dict[str, int] = {}

    def request(self, reason: str) -> None:
        """Trade no more until the journal and the venue have been compared again."""
        if self._wanted.is_set():
            return
        self._block(f"reconciling: {reason}")
        self._wanted.set()

    async def run(self) -> None:
        """Reconcile whenever it is asked for, until it has succeeded. Runs until cancelled."""
        while True:
            await self._wanted.wait()
            with self._desk.working():
                await self._until_done()

    async def _until_done(self) -> None:
        attempt = 0
        while True:
            attempt += 1
            try:
                await self.reconcile()
            except (VenueError, Discrepancy) as error:
                metrics.RECONCILIATIONS.labels("failed").inc()
                self._block(f"not reconciled with the venue: {error}")
                if attempt == 1 or isinstance(error, Discrepancy):
                    self._desk.alert("critical", "NotReconciled", str(error))
                await self._timing.pause(attempt)
                continue
            crash.point("gateway.reconcile.done")
            metrics.RECONCILIATIONS.labels("done").inc()
            metrics.RECONCILED.set(1)
            self._wanted.clear()
            self._desk.blocked = None
            self._on_change(None)
            return

    async def reconcile(self) -> None:
        """One attempt; raises VenueError or Discrepancy."""
        ask, venue = self._desk.request, self._venue
        crash.point("gateway.reconcile.ask")
        book = self._ledger.book
        open_orders = await ask("open_orders", _OWN, Priority.REDUCES_RISK, venue.open_orders)
        pending = [order.written_us for order in book.open_orders()]
        since_us = max(0, min([book.last_fill_us, *pending]) - _FILLS_MARGIN_US)
        fills = await ask("fills", _OWN, Priority.REDUCES_RISK, lambda: venue.fills(since_us))
        for fill in fills:
            order = book.orders.get(fill.client_order_id)
            if order is None:
                self._desk.unmatched.fill(fill)
            else:
                effective_us = self._desk.fill_known_from(fill.time_us)
                self._ledger.observe(as_seen(order), fill, time_us=fill.time_us, effective_us=effective_us)
        for seen in open_orders:
            order = book.orders.get(seen.client_order_id)
            if order is None:
                self._desk.unmatched.order(seen.client_order_id)
            else:
                self._ledger.observe(seen, effective_us=self._known_from(seen, order))
        for order in book.open_orders():
            if not self._desk.is_placing(order.id):
                await self._settle(order.id)
        balance = await ask("balance", _OWN, Priority.REDUCES_RISK, venue.balance)
        self._judge(compare_holdings(book.held_lots(), balance.positions))

    async def _settle(self, key: str) -> None:
        """Find out what became of an order that is not over."""
        book = self._ledger.book
        order = book.orders[key]
        for attempt in range(1, 3):
            try:
                seen = await self._desk.request("query", _OWN, Priority.REDUCES_RISK, lambda: self._venue.query(key))
            except VenueRejected as error:
                raise VenueError(f"the venue would not tell of {key}: {error}") from error
            if seen is not None:
                self._ledger.observe(seen, effective_us=self._known_from(seen, order))
                order = book.orders.get(key, order)
                self._desk.resume(order)
                return
            await self._timing.pause(attempt)
        if self._timing.market_waits and not order.cancel_requested:
            self._desk.send_again(order)
            return
        ended = OrderStatus.CANCELLED if order.cancel_requested else OrderStatus.REJECTED
        self._ledger.end(key, ended, "it never reached the venue")

    def _known_from(self, seen: VenueOrder, order: Order) -> int:
        """When a strategy may know what the venue has just told of its order."""
        return seen.effective_us or self._desk.known_from(order.intent.decided_us)

    def _judge(self, found: Findings) -> None:
        if found.missing:
            # Its fills may only just have happened on the way of these questions; the next attempt tells.
            told = ", ".join(f"{lots} lots of {symbol}" for symbol, lots in sorted(found.missing.items()))
            raise Discrepancy(f"the venue does not have {told} that the journal holds")
        if found.surplus and found.surplus != self._surplus:
            told = ", ".join(f"{lots} lots of {symbol}" for symbol, lots in sorted(found.surplus.items()))
            self._desk.alert("info", "ForeignHoldings", f"the account holds {told} that no strategy bought")
        self._surplus = found.surplus

    def _block(self, reason: str) -> None:
        metrics.RECONCILED.set(0)
        self._desk.blocked = reason
        self._on_change(reason)
