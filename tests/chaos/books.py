"""What a replay left in its three places: the gateway's journal, the venue's own books, and the database.

Read by SQL alone and decoded by nobody's code but this, so that a fault in the product's own reading shows too.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg


class OrderRow(NamedTuple):
    strategy: str
    status: str
    filled_lots: int


class FillRow(NamedTuple):
    client_order_id: str
    side: str
    price: Decimal
    lots: int
    fee: Decimal


class JournalBooks(NamedTuple):
    """``repeated``: orders written down more than once."""

    orders: dict[str, OrderRow]
    fills: dict[str, FillRow]
    repeated_fills: list[str]
    sent: set[str]
    """Orders that the venue must know: those with any step but a denial."""
    sequence: int


class VenueBooks(NamedTuple):
    orders: dict[str, str]
    """Status by id."""
    fills: dict[str, FillRow]
    initial_cash: Decimal
    cash: Decimal
    positions: dict[str, int]


class DatabaseBooks(NamedTuple):
    ticks: int
    trade_ids: int
    quarantined: int
    orders: dict[str, OrderRow]
    fills: dict[str, FillRow]
    journal: list[int]
    """Sequences, in order."""
    signals: int


class Books(NamedTuple):
    journal: JournalBooks
    venue: VenueBooks
    database: DatabaseBooks


def read_journal(path: Path) -> JournalBooks:
    orders: dict[str, OrderRow] = {}
    fills: dict[str, FillRow] = {}
    repeated: list[str] = []
    sent: set[str] = set()
    sequence = 0
    for number, kind, body in _rows(path, "SELECT sequence, kind, body FROM entries ORDER BY sequence"):
        entry, sequence = json.loads(body), number
        if kind == "order_written":
            orders[entry["intent"]["client_order_id"]] = OrderRow(entry["strategy"], "pending", 0)
        elif kind == "fill_recorded":
            fill = entry["fill"]
            if fill["fill_id"] in fills:
                repeated.append(fill["fill_id"])
            fills[fill["fill_id"]] = _fill(fill)
        elif kind == "order_changed":
            key = entry["client_order_id"]
            orders[key] = OrderRow(orders[key].strategy, entry["status"], entry["filled_lots"])
            if entry.get("venue_order_id"):
                sent.add(key)
    return JournalBooks(orders, fills, repeated, sent, sequence)


def read_venue(path: Path) -> VenueBooks:
    state = json.loads(_rows(path, "SELECT body FROM state")[0][0])
    fills = {}
    for (body,) in _rows(path, "SELECT body FROM fills ORDER BY sequence"):
        fill = json.loads(body)
        fills[fill["fill_id"]] = _fill(fill)
    return VenueBooks(
        orders=dict(_rows(path, "SELECT client_order_id, status FROM orders")),
        fills=fills,
        initial_cash=Decimal(state["initial_cash"]),
        cash=Decimal(state["cash"]),
        positions={symbol: lots for symbol, lots in state.get("positions", {}).items() if lots},
    )


async def read_database(url: str, *, market: str, session_id: str) -> DatabaseBooks:
    connection = await asyncpg.connect(url, timeout=20)
    try:
        ticks = await connection.fetchrow(
            "SELECT count(*), count(DISTINCT trade_id) FROM ticks WHERE market = $1", market
        )
        orders = await connection.fetch(
            "SELECT client_order_id, strategy, status, filled_lots FROM orders WHERE session_id = $1", session_id
        )
        fills = await connection.fetch(
            "SELECT fill_id, client_order_id, side, price, lots, fee FROM fills WHERE session_id = $1", session_id
        )
        journal = await connection.fetch("SELECT sequence FROM journal WHERE market = $1 ORDER BY sequence", market)
        quarantined = await connection.fetchval("SELECT count(*) FROM quarantined_ticks WHERE market = $1", market)
        signals = await connection.fetchval("SELECT count(*) FROM signals WHERE session_id = $1", session_id)
    finally:
        await connection.close()
    return DatabaseBooks(
        ticks=ticks[0],
        trade_ids=ticks[1],
        quarantined=quarantined,
        orders={row[0]: OrderRow(row[1], row[2], row[3]) for row in orders},
        fills={row[0]: FillRow(*row[1:]) for row in fills},
        journal=[row[0] for row in journal],
        signals=signals,
    )


def _fill(fill: dict[str, Any]) -> FillRow:
    return FillRow(
        fill["client_order_id"], fill["side"], Decimal(fill["price"]), int(fill["lots"]), Decimal(fill["fee"])
    )


def _rows(path: Path, query: str) -> Sequence[tuple[Any, ...]]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()
