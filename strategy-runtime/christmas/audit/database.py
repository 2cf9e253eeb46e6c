"""Reads one market from the database: rows of trading whole, ticks summed up by the database itself.

One transaction, so all of it is as of one moment. Ticks never come here: their number has no bound.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from christmas.audit.books import DatabaseBook, FillRow, OrderRow, SignalRow, SymbolTicks
from christmas.audit.journal_file import StoreUnreadable, decode_line
from christmas.ingestion.database import connect
from christmas.ingestion.moments import microseconds

if TYPE_CHECKING:
    from asyncpg import Connection

_DEADLINE_S: Final = 600.0
"""For all of it: numbering a day of a busy market's trades takes a while."""
_PAGE: Final = 2_000
_ORDER: Final = tuple(name for name in OrderRow.__struct_fields__ if name != "decided_us")
_FILL: Final = tuple(name for name in FillRow.__struct_fields__ if name != "time_us")
_TICKS: Final = """
SELECT symbol, count(*) AS stored, count(*) FILTER (WHERE late) AS late, max(time) AS last
FROM ticks WHERE market = $1 GROUP BY symbol
"""
_QUARANTINED: Final = """
SELECT count(*) AS prints, count(*) - count(DISTINCT (symbol, payload)) AS again
FROM quarantined_ticks WHERE market = $1
"""
_DOUBLED: Final = """
SELECT symbol, sum(copies - 1)::bigint AS doubled, min(trade_id) AS example FROM (
    SELECT symbol, trade_id, count(*) AS copies FROM ticks WHERE market = $1
    GROUP BY symbol, trade_id HAVING count(*) > 1
) AS several GROUP BY symbol
"""
_GAPS: Final = """
SELECT symbol, count(*) AS numbered, coalesce(sum(step - 1) FILTER (WHERE step > 1), 0)::bigint AS missing,
       min(number - step) FILTER (WHERE step > 1) AS example
FROM (
    SELECT symbol, number, number - lag(number) OVER (PARTITION BY symbol ORDER BY number) AS step FROM (
        SELECT symbol, trade_id::numeric AS number FROM ticks WHERE market = $1 AND trade_id ~ '^[0-9]{1,30}$'
    ) AS numbers
) AS steps GROUP BY symbol
"""


async def read_database(url: str, market: str) -> DatabaseBook:
    """Raises StoreUnreadable."""
    try:
        async with (
            asyncio.timeout(_DEADLINE_S),
            connect(url, "audit") as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            return await _read(connection, market)
    except asyncpg.UndefinedTableError as error:
        mend = "is it the right database? A recorder makes the tables when it starts"
        raise StoreUnreadable(f"the database has no tables of ours: {error}", mend) from error
    except (OSError, ValueError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        words = str(error) or type(error).__name__
        mend = (
            "start it, or name another with --database-url; an embedded one runs while its fleet does: --start-database"
        )
        raise StoreUnreadable(f"the database does not answer: {words}", mend) from error


async def _read(connection: Connection, market: str) -> DatabaseBook:
    sequence = await connection.fetchval("SELECT sequence FROM journal_watermarks WHERE market = $1", market)
    lines = [
        decode_line(row["sequence"], "", row["entry"])
        async for row in _pages(
            connection, "SELECT sequence, entry FROM journal WHERE market = $1 ORDER BY sequence", market
        )
    ]
    orders = {
        row["client_order_id"]: OrderRow(
            **{name: row[name] for name in _ORDER}, decided_us=microseconds(row["decided_at"])
        )
        async for row in _pages(connection, "SELECT * FROM orders WHERE market = $1", market)
    }
    fills = [
        (row["fill_id"], FillRow(**{name: row[name] for name in _FILL}, time_us=microseconds(row["time"])))
        async for row in _pages(connection, "SELECT * FROM fills WHERE market = $1 ORDER BY sequence", market)
    ]
    signals = {
        row["sequence"]: SignalRow(
            strategy=row["strategy"],
            symbol=row["symbol"],
            signal=row["signal"],
            taken=row["taken"],
            time_us=microseconds(row["time"]),
        )
        async for row in _pages(connection, "SELECT * FROM signals WHERE market = $1", market)
    }
    quarantined = await connection.fetchrow(_QUARANTINED, market)
    return DatabaseBook(
        watermark=int(sequence or 0),
        journal=tuple(lines),
        orders=orders,
        fills=tuple(fills),
        signals=signals,
        ticks=await _ticks(connection, market),
        quarantined=quarantined["prints"],
        quarantined_again=quarantined["again"],
    )


async def _ticks(connection: Connection, market: str) -> dict[str, SymbolTicks]:
    within = {"timeout": _DEADLINE_S}
    stored = {row["symbol"]: row for row in await connection.fetch(_TICKS, market, **within)}
    doubled = {row["symbol"]: row for row in await connection.fetch(_DOUBLED, market, **within)}
    gaps = {row["symbol"]: row for row in await connection.fetch(_GAPS, market, **within)}
    marks = {
        row["symbol"]: row
        for row in await connection.fetch("SELECT symbol, time, ticks FROM watermarks WHERE market = $1", market)
    }
    return {
        symbol: _symbol(stored.get(symbol), doubled.get(symbol), gaps.get(symbol), marks.get(symbol))
        for symbol in stored.keys() | marks.keys()
    }


def _symbol(stored: Any, doubled: Any, gaps: Any, mark: Any) -> SymbolTicks:
    return SymbolTicks(
        stored=stored["stored"] if stored else 0,
        late=stored["late"] if stored else 0,
        last_us=microseconds(stored["last"]) if stored else 0,
        doubled=doubled["doubled"] if doubled else 0,
        doubled_example=doubled["example"] if doubled else "",
        numbered=gaps["numbered"] if gaps else 0,
        missing=gaps["missing"] if gaps else 0,
        missing_example=f"after {int(gaps['example'])}" if gaps and gaps["missing"] else "",
        watermark_ticks=mark["ticks"] if mark else None,
        watermark_us=microseconds(mark["time"]) if mark else 0,
    )


async def _pages(connection: Connection, query: str, market: str) -> Any:
    cursor = await connection.cursor(query, market)
    while rows := await cursor.fetch(_PAGE):
        for row in rows:
            yield row
