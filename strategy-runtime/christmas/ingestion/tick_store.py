"""Writes batches of ticks into the database, each tick once.

A tick later than all that is stored of its symbol cannot be there yet: such rows go straight into
the table by COPY. The others (late ones, those that share their time with the last stored one, and what
is delivered again after a restart) are copied into a staging table and inserted from it where they
are missing. Both happen in one transaction with the watermark, so a crash leaves all or nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec

from christmas.ingestion.copy import TICK_COLUMNS, TickEncoder, copy_stream
from christmas.ingestion.moments import microseconds, moment
from christmas.market.tick import Tick

if TYPE_CHECKING:
    from asyncpg import Connection

_STATEMENT_DEADLINE_S: Final = 60.0
_NEVER: Final = -(2**63)
_STAGE: Final = "CREATE TEMPORARY TABLE IF NOT EXISTS staged_ticks (LIKE ticks) ON COMMIT DELETE ROWS"
_COLUMN_LIST: Final = ", ".join(TICK_COLUMNS)
_INSERT_STAGED: Final = f"""
WITH inserted AS (
    INSERT INTO ticks ({_COLUMN_LIST}) SELECT {_COLUMN_LIST} FROM staged_ticks ON CONFLICT DO NOTHING RETURNING symbol
)
SELECT symbol, count(*) AS ticks FROM inserted GROUP BY symbol
"""  # noqa: S608 (no value from outside is in it)
_ADVANCE: Final = """
INSERT INTO watermarks (market, symbol, time, ticks) VALUES ($1, $2, $3, $4)
ON CONFLICT (market, symbol) DO UPDATE SET time = greatest(watermarks.time, excluded.time),
                                           ticks = watermarks.ticks + excluded.ticks, updated_at = now()
"""


class SymbolRows(msgspec.Struct, kw_only=True):
    """One symbol's part of a batch, encoded."""

    symbol: str
    fresh: list[bytes]
    """Rows of ticks later than all that is stored, no two the same."""
    doubtful: list[bytes]
    """Rows that may be stored already, or be in here twice."""
    last_us: int


class EncodedBatch(msgspec.Struct, kw_only=True):
    """What one transaction writes."""

    parts: list[SymbolRows]
    ticks: int
    """Delivered, duplicates included, unstorable ones not."""
    refused: list[tuple[Tick, str]]
    """Ticks that no column takes, with the reason."""

    def staged(self) -> EncodedBatch:
        """The same batch with nothing taken for granted."""
        parts = [
            SymbolRows(symbol=part.symbol, fresh=[], doubtful=part.fresh + part.doubtful, last_us=part.last_us)
            for part in self.parts
        ]
        return EncodedBatch(parts=parts, ticks=self.ticks, refused=self.refused)


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What a transaction did."""

    direct: int
    staged: int
    """Inserted by way of the staging table."""
    duplicates: int


class BatchEncoder:
    """Turns ticks into batches; remembers by symbol the last time that is stored or on its way there."""

    def __init__(self, market: str, last_stored_us: Mapping[str, int]) -> None:
        self._market = market
        self._last_us = dict(last_stored_us)
        self._encoders: dict[str, TickEncoder] = {}

    def encode(self, ticks: Mapping[str, Sequence[Tick]]) -> EncodedBatch:
        """``ticks`` by symbol, in any order. Pure but for what this object remembers."""
        parts: list[SymbolRows] = []
        refused: list[tuple[Tick, str]] = []
        count = 0
        for symbol, several in ticks.items():
            encoder = self._encoders.get(symbol)
            if encoder is None:
                encoder = self._encoders[symbol] = TickEncoder(self._market, symbol)
            last_us = self._last_us.get(symbol, _NEVER)
            fresh, doubtful = split_fresh(several, last_us)
            fresh_rows, refused_fresh = encoder.rows(fresh)
            doubtful_rows, refused_doubtful = encoder.rows(doubtful)
            refused += refused_fresh
            refused += refused_doubtful
            count += len(fresh_rows) + len(doubtful_rows)
            if fresh and not refused_fresh:
                last_us = max(tick.time_us for tick in fresh)
            elif fresh_rows:
                unstorable = {id(tick) for tick, _ in refused_fresh}
                last_us = max(tick.time_us for tick in fresh if id(tick) not in unstorable)
            self._last_us[symbol] = last_us
            if fresh_rows or doubtful_rows:
                parts.append(SymbolRows(symbol=symbol, fresh=fresh_rows, doubtful=doubtful_rows, last_us=last_us))
        return EncodedBatch(parts=parts, ticks=count, refused=refused)


def split_fresh(ticks: Sequence[Tick], last_us: int) -> tuple[Sequence[Tick], Sequence[Tick]]:
    """Ticks that cannot be stored yet, each once, and all others, given the latest stored time."""
    # The common case first: all are later than what is stored, and no two have the same id.
    ids = {tick.trade_id for tick in ticks}
    if len(ids) == len(ticks) and min([tick.time_us for tick in ticks], default=0) > last_us:
        return ticks, ()
    seen: set[tuple[int, str]] = set()
    fresh: list[Tick] = []
    doubtful: list[Tick] = []
    for tick in ticks:
        key = (tick.time_us, tick.trade_id)
        if tick.time_us > last_us and key not in seen:
            seen.add(key)
            fresh.append(tick)
        else:
            doubtful.append(tick)
    return fresh, doubtful


async def last_stored(connection: Connection, market: str, symbols: Sequence[str]) -> dict[str, int]:
    """By symbol the time of its latest stored tick, looked up in the ticks themselves."""
    rows = await connection.fetch(
        """
        SELECT symbol, last.time FROM unnest($2::text[]) AS symbol, LATERAL (
            SELECT time FROM ticks WHERE market = $1 AND ticks.symbol = symbol.symbol ORDER BY time DESC LIMIT 1
        ) AS last
        """,
        market,
        list(symbols),
    )
    return {row["symbol"]: microseconds(row["time"]) for row in rows}


async def prepare(connection: Connection) -> None:
    """Once a connection, before `store`."""
    await connection.execute(_STAGE)


async def store(connection: Connection, market: str, batch: EncodedBatch) -> Stored:
    """Write a batch and advance the watermark, or neither.

    When the table has a row that was taken for new, the batch is written again by way of the staging
    table. Raises what the driver raises when the database does not answer.
    """
    try:
        return await _store(connection, market, batch)
    except asyncpg.UniqueViolationError:
        return await _store(connection, market, batch.staged())


async def _store(connection: Connection, market: str, batch: EncodedBatch) -> Stored:
    inserted = {part.symbol: len(part.fresh) for part in batch.parts}
    direct, staged = sum(inserted.values()), 0
    async with connection.transaction():
        if direct:
            await _copy(connection, "ticks", copy_stream(row for part in batch.parts for row in part.fresh))
        if any(part.doubtful for part in batch.parts):
            await _copy(connection, "staged_ticks", copy_stream(row for part in batch.parts for row in part.doubtful))
            for row in await connection.fetch(_INSERT_STAGED, timeout=_STATEMENT_DEADLINE_S):
                inserted[row["symbol"]] += row["ticks"]
                staged += row["ticks"]
        await connection.executemany(
            _ADVANCE,
            [(market, part.symbol, moment(part.last_us), inserted[part.symbol]) for part in batch.parts],
            timeout=_STATEMENT_DEADLINE_S,
        )
    return Stored(direct=direct, staged=staged, duplicates=batch.ticks - direct - staged)


async def _copy(connection: Connection, table: str, data: bytes) -> None:
    async def source() -> AsyncIterator[bytes]:
        yield data

    await connection.copy_to_table(
        table, source=source(), columns=TICK_COLUMNS, format="binary", timeout=_STATEMENT_DEADLINE_S
    )
