"""The one place where orders change: each step goes into the book and the journal, and is told once
it is on disk.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from christmas.brokers.gateway import metrics
from christmas.brokers.gateway.book import Book
from christmas.brokers.gateway.journal import Journal
from christmas.brokers.gateway.orders import Order, Step, ended, observe, unknown
from christmas.brokers.gateway.positions import Position
from christmas.brokers.gateway.quotes import Quotes
from christmas.brokers.port import VenueOrder
from christmas.execution.journal import CancelWritten, FillRecorded, JournalEntry, OrderChanged, OrderWritten
from christmas.execution.order import CancelIntent, Fill, OrderIntent, OrderReport, OrderStatus
from christmas.telemetry.events import Event, FillEvent, OrderEvent, PositionEvent

logger = logging.getLogger(__name__)

REPORTS_KEPT: Final = 256
"""Of each strategy in memory; older ones are read from the journal when a runtime asks."""
REPORTED_STRATEGIES_KEPT: Final = 256
"""Those that were told something last; the others' reports are read from the journal, too."""


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Whose order it is."""

    strategy: str
    uid: str
    epoch: int


class Ledger:
    def __init__(
        self, journal: Journal, book: Book, quotes: Quotes, *, broker: str, publish: Callable[[Event], None]
    ) -> None:
        self.journal = journal
        self.book = book
        self.on_report: Callable[[str, OrderReport, OrderIntent], None] = lambda _uid, _report, _intent: None
        """Called with a strategy's uid for each report that is on disk, in the order of their sequence."""
        self.on_step: list[Callable[[str, OrderReport], None]] = []
        """Called at once for each step, before it is on disk, with the strategy's uid."""
        self._quotes = quotes
        self._broker = broker
        self._publish = publish
        self._reports: dict[str, deque[OrderReport]] = {}
        self._untold = 0
        self._all_told = asyncio.Event()
        self._all_told.set()

    def recover(self) -> None:
        """Build the book from the journal."""
        for entry in self.journal.recover():
            self.book.apply(entry)
        self._count()

    def write(
        self, *entries: JournalEntry, owner: str = "", then: Callable[[], None] | None = None, urgent: bool = True
    ) -> None:
        """Append and apply what is not an order's change: fences, halts, signals."""
        for entry in self.journal.append(entries, owner=owner, then=then, urgent=urgent):
            self.book.apply(entry)

    def new_order(
        self, intent: OrderIntent, owner: Owner, *, lot_size: Decimal, time_us: int, then: Callable[[], None]
    ) -> None:
        """Write an order down; ``then`` runs when it may be sent."""
        self.write(_written(intent, owner, lot_size, time_us), owner=owner.uid, then=then)
        self._count()

    def denied_order(
        self, intent: OrderIntent, owner: Owner, *, lot_size: Decimal, time_us: int, reason: str, effective_us: int
    ) -> None:
        """Write an order down that is not sent."""
        self.write(_written(intent, owner, lot_size, time_us), owner=owner.uid)
        self.end(intent.client_order_id, OrderStatus.DENIED, reason, time_us=time_us, effective_us=effective_us)

    def cancel_requested(self, intent: CancelIntent, owner: Owner, then: Callable[[], None]) -> None:
        entry = CancelWritten(time_us=self._quotes.clock_us, wall_us=_wall_us(), strategy=owner.strategy, intent=intent)
        self.write(entry, owner=owner.uid, then=then)

    def observe(
        self, seen: VenueOrder, fill: Fill | None = None, *, time_us: int = 0, effective_us: int = 0
    ) -> Order | None:
        """Take in what the venue says; None when the order is not ours."""
        order = self.book.orders.get(seen.client_order_id)
        if order is None:
            return None
        changed, step = observe(order, seen, fill)
        if step is not None:
            self._step(step, time_us or self._quotes.clock_us, effective_us)
        self.book.claim(changed)
        return self.book.orders.get(order.id)

    def end(
        self, client_order_id: str, status: OrderStatus, reason: str, *, time_us: int = 0, effective_us: int = 0
    ) -> None:
        """Our own word that an order is over."""
        order = self.book.orders.get(client_order_id)
        if order is None:
            return
        _, step = ended(order, status, reason)
        if step is not None:
            self._step(step, time_us or self._quotes.clock_us, effective_us)

    def unknown(self, client_order_id: str, reason: str, *, effective_us: int = 0) -> None:
        order = self.book.orders.get(client_order_id)
        if order is None:
            return
        _, step = unknown(order, reason)
        if step is not None:
            self._step(step, self._quotes.clock_us, effective_us)

    async def all_told(self) -> None:
        """Return when every step so far is on disk and has been reported."""
        await self._all_told.wait()

    def reports_after(self, uid: str, sequence: int) -> list[OrderReport]:
        """The durable reports that follow ``sequence``, oldest first."""
        recent = self._reports.get(uid, deque())
        if recent and recent[0].sequence <= sequence + 1:
            return [report for report in recent if report.sequence > sequence]
        reports: list[OrderReport] = []
        for number, (changed, filled) in enumerate(self.journal.changes_of(uid, sequence), start=sequence + 1):
            reports.append(
                OrderReport(
                    sequence=number,
                    client_order_id=changed.client_order_id,
                    status=changed.status,
                    filled_lots=changed.filled_lots,
                    leaves_lots=changed.leaves_lots,
                    fill=None if filled is None else filled.fill,
                    reason=changed.reason,
                    time_us=changed.time_us,
                    effective_us=changed.effective_us,
                )
            )
        return reports

    def effective_after(self, clock_us: int) -> list[int]:
        """Sorted: when strategies will know of those steps of the journal that they may not know of at ``clock_us``."""
        return sorted(
            entry.effective_us
            for entry in self.journal.recover()
            if isinstance(entry, OrderChanged) and entry.effective_us > clock_us
        )

    def _step(self, step: Step, time_us: int, effective_us: int) -> None:
        order, wall_us = step.order, _wall_us()
        entries: list[JournalEntry] = []
        if step.fill is not None:
            metrics.FILLS.inc()
            entries.append(
                FillRecorded(
                    time_us=step.fill.time_us,
                    wall_us=wall_us,
                    strategy=order.strategy,
                    position_id=order.intent.position_id,
                    purpose=order.intent.purpose,
                    lot_size=order.lot_size,
                    fill=step.fill,
                )
            )
        entries.append(
            OrderChanged(
                time_us=time_us,
                wall_us=wall_us,
                strategy=order.strategy,
                client_order_id=order.id,
                status=order.status,
                filled_lots=order.filled_lots,
                leaves_lots=order.leaves_lots,
                venue_order_id=order.venue_order_id,
                reason=step.reason,
                effective_us=effective_us,
            )
        )
        book = self.book.strategies[order.strategy_uid]
        report = OrderReport(
            sequence=book.reports + 1,
            client_order_id=order.id,
            status=order.status,
            filled_lots=order.filled_lots,
            leaves_lots=order.leaves_lots,
            fill=step.fill,
            reason=step.reason,
            time_us=time_us,
            effective_us=effective_us,
        )
        self._untold += 1
        self._all_told.clear()
        self.write(*entries, owner=order.strategy_uid, then=lambda: self._told(order, report))
        for callback in self.on_step:
            callback(order.strategy_uid, report)
        self._publish_step(order, step, time_us, book.position(order.intent.position_id))
        self._count()

    def _told(self, order: Order, report: OrderReport) -> None:
        recent = self._reports.pop(order.strategy_uid, None)
        if recent is None:
            recent = deque(maxlen=REPORTS_KEPT)
        recent.append(report)
        self._reports[order.strategy_uid] = recent
        if len(self._reports) > REPORTED_STRATEGIES_KEPT:
            del self._reports[next(iter(self._reports))]
        self.on_report(order.strategy_uid, report, order.intent)
        self._untold -= 1
        if not self._untold:
            self._all_told.set()

    def _publish_step(self, order: Order, step: Step, time_us: int, position: Position | None) -> None:
        intent = order.intent
        self._publish(
            OrderEvent(
                time_us=time_us,
                strategy=order.strategy,
                broker=self._broker,
                client_order_id=order.id,
                symbol=intent.symbol,
                side=intent.side,
                status=str(order.status),
                lots=intent.lots,
                filled_lots=order.filled_lots,
                price=intent.price,
                purpose=intent.purpose,
                position_id=intent.position_id,
                reason=step.reason or intent.reason,
            )
        )
        fill = step.fill
        if fill is None:
            return
        self._publish(
            FillEvent(
                time_us=fill.time_us,
                strategy=order.strategy,
                broker=self._broker,
                client_order_id=order.id,
                fill_id=fill.fill_id,
                symbol=fill.symbol,
                side=fill.side,
                price=fill.price,
                lots=fill.lots,
                fee=fill.fee,
                liquidity=fill.liquidity,
                position_id=intent.position_id,
            )
        )
        if position is not None:
            self._publish(
                PositionEvent(
                    time_us=fill.time_us,
                    strategy=order.strategy,
                    broker=self._broker,
                    position_id=position.position_id,
                    symbol=position.symbol,
                    lots=position.lots,
                    average_price=position.bought / (position.lot_size * position.entry_lots)
                    if position.entry_lots
                    else None,
                    realised_pnl=position.realised if position.is_closed else None,
                    closed=position.is_closed,
                )
            )

    def _count(self) -> None:
        live = [self.book.orders[key].status for book in self.book.strategies.values() for key in book.live]
        metrics.ORDERS_OPEN.set(len(live))
        metrics.ORDERS_UNKNOWN.set(live.count(OrderStatus.UNKNOWN))


def _written(intent: OrderIntent, owner: Owner, lot_size: Decimal, time_us: int) -> OrderWritten:
    return OrderWritten(
        time_us=time_us,
        wall_us=_wall_us(),
        strategy=owner.strategy,
        strategy_uid=owner.uid,
        epoch=owner.epoch,
        intent=intent,
        lot_size=lot_size,
    )


def _wall_us() -> int:
    return time.time_ns() // 1000
