"""A desk with everything it needs over a real journal, so that tests can crash it and build it again."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import msgspec

from christmas.brokers.gateway.book import Book
from christmas.brokers.gateway.budget import RequestBudget
from christmas.brokers.gateway.desk import Desk
from christmas.brokers.gateway.journal import Journal
from christmas.brokers.gateway.ledger import Ledger, Owner
from christmas.brokers.gateway.quotes import Quotes
from christmas.brokers.gateway.reconcile import Reconciler
from christmas.brokers.gateway.risk import AccountBounds
from christmas.brokers.gateway.timing import Timing
from christmas.brokers.permit import Limits
from christmas.brokers.port import Venue
from christmas.execution.journal import JournalEntry
from christmas.execution.order import CancelIntent, OrderIntent, OrderReport
from christmas.market.tick import Tick
from christmas.telemetry.events import AlertEvent, Event
from tests.support.waiting import eventually
from tests.unit.gateway.scripted import INSTRUMENT

OWNER = Owner(strategy="scalper", uid="uid-1", epoch=1)
NOW_US = 1_700_000_000_000_000
LIMITS = Limits(
    symbols=(INSTRUMENT.symbol,),
    amount=Decimal(100_000),
    per_trade=Decimal(10_000),
    max_positions=10,
    max_orders_per_minute=100,
    max_open_orders=50,
    price_collar=Decimal("0.1"),
    stale_after_us=10_000_000,
)


class Bench:
    """One life of a gateway's order side."""

    def __init__(
        self,
        path: Path,
        venue: Venue,
        *,
        timing: Timing | None = None,
        per_minute: int = 100_000,
        reconciled: bool = True,
    ) -> None:
        self.path = path
        self.venue = venue
        self.events: list[Event] = []
        self.reports: list[OrderReport] = []
        self.journal = Journal(path)
        self.quotes = Quotes()
        self.ledger = Ledger(self.journal, Book(), self.quotes, broker="paper", publish=self.events.append)
        self.ledger.recover()
        self.ledger.on_report = lambda _uid, report, _intent: self.reports.append(report)
        self.book = self.ledger.book
        loop = asyncio.get_running_loop()
        self.skipped_s = 0.0
        self.budget = RequestBudget(per_minute, lambda: loop.time() + self.skipped_s, self_driven=True)
        self.timing = timing or Timing(request_s=0.2, first_pause_s=0.001, longest_pause_s=0.01)
        self.desk = Desk(
            ledger=self.ledger,
            venue=venue,
            quotes=self.quotes,
            budget=self.budget,
            timing=self.timing,
            bounds=AccountBounds(max_open_orders=100),
            broker="paper",
            publish=self.events.append,
        )
        self.desk.instruments = {INSTRUMENT.symbol: INSTRUMENT}
        self.blocked: list[str | None] = []
        self.reconciler = Reconciler(
            desk=self.desk, ledger=self.ledger, venue=venue, timing=self.timing, on_change=self.blocked.append
        )
        self.desk.on_trouble = self.reconciler.request
        if reconciled:
            self.desk.blocked = None
        self.tick("100")
        self._reconciling: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        await self.venue.connect(self.desk.on_report)

    async def reconcile(self) -> None:
        """Run the reconciler until it has succeeded."""
        await self.start_reconciling()
        await eventually(lambda: self.desk.blocked is None, within_s=5.0, what="reconciled")
        await self.ledger.all_told()

    async def start_reconciling(self) -> None:
        await self.connect()
        if self._reconciling is None:
            self._reconciling = asyncio.create_task(self.reconciler.run())
        self.reconciler.request("test")

    def tick(self, price: str, time_us: int = NOW_US) -> None:
        self.quotes.saw(
            Tick(time_us=time_us, symbol=INSTRUMENT.symbol, trade_id=str(time_us), price=Decimal(price), lots=1)
        )

    def submit(self, intent: OrderIntent, owner: Owner = OWNER, limits: Limits = LIMITS) -> None:
        self.desk.submit(intent, owner, limits)

    def cancel(self, client_order_id: str) -> None:
        self.desk.cancel(CancelIntent(client_order_id=client_order_id, decided_us=NOW_US), OWNER)

    async def settled(self) -> None:
        async with asyncio.timeout(5.0):
            await self.desk.settled()

    async def settled_but_reconciling(self) -> None:
        """Like `settled` while the reconciler keeps failing: what was submitted is on disk."""
        await self.journal.flushed()

    def statuses(self, client_order_id: str) -> list[str]:
        return [str(report.status) for report in self.reports if report.client_order_id == client_order_id]

    def alerts(self) -> list[str]:
        return [event.reason for event in self.events if isinstance(event, AlertEvent)]

    def entries(self) -> list[JournalEntry]:
        return list(self.journal.recover())

    async def crash(self) -> None:
        """Die: what the journal's thread has is on disk, nothing else survives."""
        if self._reconciling is not None:
            self._reconciling.cancel()
            await asyncio.gather(self._reconciling, return_exceptions=True)
        await self.desk.close()
        self.budget.close()
        self.journal.close()


def entry(number: int = 1, *, lots: int = 10, price: str | None = "100", **changes: object) -> OrderIntent:
    key = f"entry-{number}"
    return msgspec.structs.replace(
        OrderIntent(
            client_order_id=key,
            symbol=INSTRUMENT.symbol,
            side="buy",
            type="market" if price is None else "limit",
            price=None if price is None else Decimal(price),
            lots=lots,
            purpose="entry",
            position_id=key,
            decided_us=NOW_US,
        ),
        **changes,
    )


def exit_of(number: int = 1, *, lots: int = 10, price: str | None = "101", suffix: str = "") -> OrderIntent:
    return entry(
        number,
        lots=lots,
        price=price,
        client_order_id=f"exit-{number}{suffix}",
        side="sell",
        purpose="exit",
        position_id=f"entry-{number}",
    )
