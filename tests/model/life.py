"""One life of a gateway's order side: everything but the feed and Redis, in this process, over real files.

A life may be killed at any await: its files are copied as they are on disk at that moment, and the next
life goes on from the copies. What the old one still does on its way out reaches nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import time
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from christmas.brokers.gateway.book import Book
from christmas.brokers.gateway.budget import RequestBudget
from christmas.brokers.gateway.commands import Commands
from christmas.brokers.gateway.desk import Desk
from christmas.brokers.gateway.journal import Journal
from christmas.brokers.gateway.ledger import Ledger
from christmas.brokers.gateway.quotes import Quotes
from christmas.brokers.gateway.reconcile import Reconciler
from christmas.brokers.gateway.risk import AccountBounds
from christmas.brokers.gateway.server import Identity, Server
from christmas.brokers.gateway.timing import Timing
from christmas.brokers.paper.faults import FAULTS_FILE
from christmas.brokers.paper.ledger import Statement
from christmas.brokers.paper.venue import LEDGER_FILE, PaperVenue
from christmas.brokers.permit import Limits, Permit, issue
from christmas.brokers.port import VenueOrder
from christmas.execution.journal import JournalEntry
from christmas.execution.order import OrderIntent
from christmas.market.tick import Tick
from christmas.resources.broker import BrokerSpec, Faults, FeesSpec, InstrumentSpec, PaperSpec
from christmas.telemetry.events import Event

SYMBOL: Final = "BTC/USDT"
LOT_SIZE: Final = Decimal("0.001")
CASH: Final = Decimal(1_000_000)
T0: Final = 1_700_000_000_000_000
KEY: Final = b"m" * 32
JOURNAL_FILE: Final = "journal.sqlite"
LATENCY_US: Final = 1_000
LIMITS: Final = Limits(
    symbols=(SYMBOL,),
    amount=Decimal(10_000_000),
    per_trade=Decimal(1_000_000),
    max_positions=1_000,
    max_orders_per_minute=6_000,
    max_open_orders=1_000,
    price_collar=Decimal("0.5"),
    stale_after_us=86_400_000_000,
)
_decoder: msgspec.json.Decoder[JournalEntry] = msgspec.json.Decoder(JournalEntry)


def broker_spec() -> BrokerSpec:
    return BrokerSpec(
        instruments=(InstrumentSpec(symbol=SYMBOL, price_increment="1", lot_size=str(LOT_SIZE), minimum_notional="0"),),
        fees=FeesSpec(maker="0.02%", taker="0.05%"),
        paper=PaperSpec(cash=str(CASH), order_latency="1ms", report_latency="1ms", participation="100%"),
    )


def permit_for(strategy: str, epoch: int, *, role: str = "strategy") -> str:
    now_us = time.time_ns() // 1000
    return issue(
        Permit(
            strategy=strategy,
            strategy_uid=f"uid-{strategy}",
            broker="paper",
            role="admin" if role == "admin" else "strategy",
            epoch=epoch,
            issued_us=now_us,
            expires_us=now_us + 3_600_000_000,
            limits=LIMITS,
        ),
        KEY,
    )


class JournalFile:
    """The journal as anybody else would read it from disk, also while it is written."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=5.0)

    def entries(self, *, after: int = 0) -> list[JournalEntry]:
        rows = self._connection.execute("SELECT body FROM entries WHERE sequence > ? ORDER BY sequence", (after,))
        return [_decoder.decode(body) for (body,) in rows.fetchall()]

    def has_order(self, client_order_id: str) -> bool:
        row = self._connection.execute(
            "SELECT 1 FROM entries WHERE kind = 'order_written' AND client_order_id = ?", (client_order_id,)
        ).fetchone()
        return row is not None

    def close(self) -> None:
        self._connection.close()


class WatchedVenue(PaperVenue):
    """The paper venue, which looks into the journal whenever an order comes."""

    def __init__(self, spec: BrokerSpec, folder: Path, journal: JournalFile) -> None:
        super().__init__(spec, folder)
        self._journal = journal
        self.broken: list[str] = []

    async def submit(self, intent: OrderIntent) -> VenueOrder:
        if not self._journal.has_order(intent.client_order_id):
            self.broken.append(f"{intent.client_order_id} came to the venue before it was in the journal")
        return await super().submit(intent)


class Life:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"unix:{folder}/g"
        self.journal = Journal(folder / JOURNAL_FILE, synced=False)
        self.file = JournalFile(folder / JOURNAL_FILE)
        self.venue = WatchedVenue(broker_spec(), folder, self.file)
        self.quotes = Quotes()
        self.events: list[Event] = []
        self.ledger = Ledger(self.journal, Book(), self.quotes, broker="paper", publish=self.events.append)
        self.ledger.recover()
        loop = asyncio.get_running_loop()
        self.budget = RequestBudget(10_000_000, loop.time, self_driven=True)
        timing = Timing(
            request_s=5.0,
            first_pause_s=0.0005,
            longest_pause_s=0.002,
            placings=1_000,
            answer_latency_us=2 * LATENCY_US,
            report_latency_us=LATENCY_US,
        )
        self.desk = Desk(
            ledger=self.ledger,
            venue=self.venue,
            quotes=self.quotes,
            budget=self.budget,
            timing=timing,
            bounds=AccountBounds(max_open_orders=10_000),
            broker="paper",
            publish=self.events.append,
        )
        self.server = Server(
            Identity(broker="paper", market="paper", mode="live", permit_key=KEY),
            ledger=self.ledger,
            desk=self.desk,
            quotes=self.quotes,
            publish=self.events.append,
        )
        self.reconciler = Reconciler(
            desk=self.desk,
            ledger=self.ledger,
            venue=self.venue,
            timing=timing,
            on_change=lambda _reason: self.server.tell_trading(),
        )
        self.desk.on_trouble = self.reconciler.request
        self.server.command = Commands(
            ledger=self.ledger,
            desk=self.desk,
            venue=self.venue,
            quotes=self.quotes,
            on_trading=self.server.tell_trading,
        ).run
        self._reconciling: asyncio.Task[None] | None = None

    async def start(self, shown: list[Tick], clock_us: int) -> None:
        """Begin, with the market's stream as it was: the venue is shown again what it may have missed."""
        await self.server.start(self.address)
        await self.venue.connect(self.desk.on_report)
        self.desk.instruments = await self.venue.instruments()
        self.server.fees = await self.venue.fees()
        for tick in shown:
            self.quotes.saw(tick)
            self.venue.on_ticks((tick,), tick.time_us)
        self.clock_to(clock_us)
        self.server.opened.set()
        self._reconciling = asyncio.create_task(self.reconciler.run())
        self.reconciler.request("start")

    def show(self, tick: Tick) -> None:
        self.quotes.saw(tick)
        self.venue.on_ticks((tick,), tick.time_us)

    def clock_to(self, clock_us: int) -> None:
        self.quotes.advance(clock_us)
        self.venue.on_clock(clock_us)

    async def settled(self) -> None:
        """Nothing is under way, everything is reported, the venue and the journal agree."""
        while True:
            await self.desk.settled()
            if self.desk.blocked is None:
                return
            await asyncio.sleep(0.001)

    def statement(self) -> Statement:
        return self.venue.statement()

    def copy_to(self, folder: Path) -> None:
        """The files as a SIGKILL at this moment leaves them."""
        folder.mkdir()
        for name in (JOURNAL_FILE, LEDGER_FILE):
            with (
                contextlib.closing(sqlite3.connect(self.folder / name)) as source,
                contextlib.closing(sqlite3.connect(folder / name)) as target,
            ):
                source.backup(target)
        if (self.folder / FAULTS_FILE).exists():
            shutil.copy(self.folder / FAULTS_FILE, folder / FAULTS_FILE)

    async def end(self) -> None:
        if self._reconciling is not None:
            self._reconciling.cancel()
            await asyncio.gather(self._reconciling, return_exceptions=True)
        await self.server.close()
        await self.desk.close()
        self.budget.close()
        self.journal.close()
        await self.venue.close()
        self.file.close()


def put_faults(folder: Path, faults: Faults | None) -> None:
    """Change the venue's weather; None: it is well."""
    part = folder / f"{FAULTS_FILE}.part"
    part.write_bytes(msgspec.json.encode(faults or Faults()))
    part.replace(folder / FAULTS_FILE)
