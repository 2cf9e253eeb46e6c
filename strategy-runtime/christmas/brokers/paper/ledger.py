"""The venue's own books: SQLite, so that a killed gateway finds the exchange as it was.

WAL with synchronous=OFF: a killed process loses nothing, a power cut may; a simulator needs no more. One
`write` is one transaction and holds the whole state as of one moment, so the state read back is
always one that the venue was in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from christmas.brokers.paper.matching import PaperOrder
from christmas.brokers.paper.metrics import LEDGER_WRITES
from christmas.brokers.paper.tape import Tape
from christmas.execution.order import Fill
from christmas.telemetry import crash

SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY CHECK (id = 1), body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
    client_order_id TEXT PRIMARY KEY, sequence INTEGER NOT NULL, status TEXT NOT NULL, open INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS open_orders ON orders (sequence) WHERE open = 1;
CREATE TABLE IF NOT EXISTS fills (
    sequence INTEGER PRIMARY KEY, fill_id TEXT NOT NULL UNIQUE, time_us INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS fills_by_time ON fills (time_us, sequence);
CREATE TABLE IF NOT EXISTS tapes (symbol TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS traded (
    symbol TEXT NOT NULL, second INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (symbol, second)
) WITHOUT ROWID;
"""
_PUT_ORDER: Final = """
INSERT INTO orders (client_order_id, sequence, status, open, body)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (client_order_id) DO UPDATE SET status = excluded.status, open = excluded.open, body = excluded.body
"""


class LedgerState(msgspec.Struct, frozen=True, kw_only=True):
    """What the account holds, and where the simulation stands."""

    initial_cash: Decimal
    cash: Decimal
    positions: dict[str, int] = {}
    clock_us: int = 0
    requests: int = 0
    """Counted for the faults, which are a function of it."""


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that ever happened on the account, oldest first: for an audit."""

    state: LedgerState
    orders: tuple[PaperOrder, ...]
    fills: tuple[Fill, ...]


class _TapeRow(msgspec.Struct, frozen=True, kw_only=True):
    ask: Decimal | None
    bid: Decimal | None
    last: Decimal | None
    time_us: int
    trade_ids: tuple[str, ...]
    ticks: int


_encode = msgspec.json.Encoder().encode
_order_decoder = msgspec.json.Decoder(PaperOrder)
_fill_decoder = msgspec.json.Decoder(Fill)
_tape_decoder = msgspec.json.Decoder(_TapeRow)
_traded_decoder = msgspec.json.Decoder(list[tuple[Decimal, int]])


class LedgerUnusable(Exception):
    """The ledger's file is not one of ours, or of a newer version."""


class Ledger:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._written_second: dict[str, int] = {}
        self._written_ticks: dict[str, int] = {}
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=5.0)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = OFF")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in {0, SCHEMA_VERSION}:
                raise LedgerUnusable(f"{path}: version {version}, this program knows {SCHEMA_VERSION}")
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            self._sequence: int = self._db.execute("SELECT COALESCE(MAX(sequence), 0) FROM orders").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise LedgerUnusable(f"{path}: {error}") from error

    def close(self) -> None:
        self._db.close()

    # --- writing -------------------------------------------------------------------------------

    def write(
        self, state: LedgerState, orders: Iterable[PaperOrder], fills: Iterable[Fill], tapes: dict[str, Tape]
    ) -> None:
        """One transaction: the state, the orders given (new or changed), new fills, and moved tapes."""
        db, written = self._db, tuple(orders)
        db.execute("BEGIN IMMEDIATE")
        try:
            db.execute("INSERT OR REPLACE INTO state VALUES (1, ?)", (_encode(state),))
            db.executemany(
                _PUT_ORDER,
                [
                    # A known order keeps its own number.
                    (o.intent.client_order_id, number, o.status.value, not o.status.is_final, _encode(o))
                    for number, o in enumerate(written, start=self._sequence + 1)
                ],
            )
            self._sequence += len(written)
            db.executemany(
                "INSERT INTO fills (fill_id, time_us, body) VALUES (?, ?, ?)",
                [(fill.fill_id, fill.time_us, _encode(fill)) for fill in fills],
            )
            for symbol, tape in tapes.items():
                if self._written_ticks.get(symbol) != tape.ticks:
                    self._write_tape(symbol, tape)
            crash.point("gateway.venue.write")
            db.execute("COMMIT")
            crash.point("gateway.venue.written")
        except BaseException:
            if db.in_transaction:
                # A full disk has ended it already.
                db.execute("ROLLBACK")
            raise
        for symbol, tape in tapes.items():
            self._written_ticks[symbol] = tape.ticks
            if tape.buckets:
                self._written_second[symbol] = tape.buckets[-1][0]
        LEDGER_WRITES.inc()

    def _write_tape(self, symbol: str, tape: Tape) -> None:
        row = _TapeRow(
            ask=tape.ask,
            bid=tape.bid,
            last=tape.last,
            time_us=tape.time_us,
            trade_ids=tuple(tape.trade_ids),
            ticks=tape.ticks,
        )
        self._db.execute("INSERT OR REPLACE INTO tapes VALUES (?, ?)", (symbol, _encode(row)))
        if not tape.buckets:
            return
        # Seconds before the last one written cannot have changed: prints come in time order.
        since = self._written_second.get(symbol, -1)
        self._db.executemany(
            "INSERT OR REPLACE INTO traded VALUES (?, ?, ?)",
            [(symbol, second, _encode(list(lots.items()))) for second, lots in tape.buckets if second >= since],
        )
        self._db.execute("DELETE FROM traded WHERE symbol = ? AND second < ?", (symbol, tape.buckets[0][0]))

    # --- reading -------------------------------------------------------------------------------

    def state(self) -> LedgerState | None:
        row = self._db.execute("SELECT body FROM state").fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=LedgerState)

    def order(self, client_order_id: str) -> PaperOrder | None:
        row = self._db.execute("SELECT body FROM orders WHERE client_order_id = ?", (client_order_id,)).fetchone()
        return None if row is None else _order_decoder.decode(row[0])

    def open_orders(self) -> list[PaperOrder]:
        rows = self._db.execute("SELECT body FROM orders WHERE open = 1 ORDER BY sequence")
        return [_order_decoder.decode(body) for (body,) in rows]

    def fills(self, since_us: int) -> list[Fill]:
        """In the order of market time, and within a moment as they were booked."""
        rows = self._db.execute("SELECT body FROM fills WHERE time_us >= ? ORDER BY time_us, sequence", (since_us,))
        return [_fill_decoder.decode(body) for (body,) in rows]

    def restore_tape(self, symbol: str, tape: Tape) -> None:
        row = self._db.execute("SELECT body FROM tapes WHERE symbol = ?", (symbol,)).fetchone()
        if row is None:
            return
        kept = _tape_decoder.decode(row[0])
        tape.ask, tape.bid, tape.last = kept.ask, kept.bid, kept.last
        tape.time_us, tape.ticks, tape.trade_ids = kept.time_us, kept.ticks, dict.fromkeys(kept.trade_ids)
        rows = self._db.execute("SELECT second, body FROM traded WHERE symbol = ? ORDER BY second", (symbol,))
        tape.buckets.extend((second, dict(_traded_decoder.decode(body))) for second, body in rows)
        self._written_ticks[symbol] = tape.ticks
        if tape.buckets:
            self._written_second[symbol] = tape.buckets[-1][0]

    def statement(self) -> Statement:
        state = self.state()
        if state is None:
            raise LedgerUnusable("the ledger is empty")
        rows = self._db.execute("SELECT body FROM orders ORDER BY sequence")
        orders = tuple(_order_decoder.decode(body) for (body,) in rows)
        return Statement(state=state, orders=orders, fills=tuple(self.fills(0)))
