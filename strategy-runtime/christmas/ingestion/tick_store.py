"""Writes batches of ticks into the database, each tick once.

A tick later than all that is stored of its symbol cannot be there yet: such rows go straight into
the table by COPY. The others (late ones, and what is delivered again after a restart) are copied into a
staging table and inserted from it where they are missing. Both happen in one transaction with the
watermark, so a crash leaves all or nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec

from christmas.ingestion.bulk import arrays
from christmas.ingestion.copy import TICK_COLUMNS, Rows, TickEncoder, copy_stream
from christmas.ingestion.moments import microseconds, moment
from christmas.ingestion.stored_tick import StoredTick
from christmas.telemetry import crash

if TYPE_CHECKING:
    from asyncpg import Connection

_STATEMENT_DEADLINE_S: Final = 60.0
_STAGE: Final = "CREATE TEMPORARY TABLE IF NOT EXISTS staged_ticks (LIKE ticks) ON COMMIT DELETE ROWS"
_COLUMN_LIST: Final = ", ".join(TICK_COLUMNS)
_INSERT_STAGED: Final = f"""
WITH inserted AS (
    INSERT INTO ticks ({_COLUMN_LIST}) SELECT {_COLUMN_LIST} FROM staged_ticks ON CONFLICT DO NOTHING RETURNING symbol
)
SELECT symbol, count(*) AS ticks FROM inserted GROUP BY symbol
"""  # noqa: S608 (no value from outside is in it)
_ADVANCE: Final = """
INSERT INTO watermarks (market, symbol, time, ticks)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[])
ON CONFLICT (market, symbol) DO UPDATE SET time = greatest(watermarks.time, excluded.time),
                                           ticks = watermarks.ticks + excluded.ticks, updated_at = now()
"""


class SymbolRows(msgspec.Struct, kw_only=True):
    """One symbol's part of a batch, encoded."""

    symbol: str
    fresh: list[Rows]
    """Rows of ticks that cannot be stored yet."""
    doubtful: list[Rows]
    """Rows that may be stored already, or be in here twice."""
    last_us: int


class EncodedBatch(msgspec.Struct, kw_only=True):
    """What one transaction writes."""

    parts: list[SymbolRows]
    ticks: int
    """Delivered, duplicates included, unstorable ones not."""
    refused: list[tuple[str, StoredTick, str]]
    """Ticks that no column takes: symbol, tick, reason."""

    def add(self, later: EncodedBatch) -> None:
        """Take in what was encoded after this, to be written in the same transaction."""
        parts = {part.symbol: part for part in self.parts}
        for part in later.parts:
            known = parts.get(part.symbol)
            if known is None:
                self.parts.append(part)
            else:
                known.fresh += part.fresh
                known.doubtful += part.doubtful
                known.last_us = max(known.last_us, part.last_us)
        self.ticks += later.ticks
        self.refused += later.refused

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


class LastStored(msgspec.Struct, frozen=True, kw_only=True):
    """The latest moment of a symbol of which something is stored."""

    time_us: int
    trade_ids: frozenset[str]
    """All that is stored of that moment."""


_NOTHING: Final = LastStored(time_us=-(2**63), trade_ids=frozenset())


class BatchEncoder:
    """Turns ticks into batches; remembers by symbol the last moment that is stored or on its way there."""

    def __init__(self, market: str, stored: Mapping[str, LastStored]) -> None:
        self._market = market
        self._stored = dict(stored)
        self._encoders: dict[str, TickEncoder] = {}

    def encode(self, ticks: Mapping[str, Sequence[StoredTick]]) -> EncodedBatch:
        """``ticks`` by symbol, each in the order of their times. Pure but for what this object remembers."""
        parts: list[SymbolRows] = []
        refused: list[tuple[str, StoredTick, str]] = []
        count = 0
        for symbol, several in ticks.items():
            encoder = self._encoders.get(symbol)
            if encoder is None:
                encoder = self._encoders[symbol] = TickEncoder(self._market, symbol)
            last = self._stored.get(symbol, _NOTHING)
            fresh, doubtful = split_fresh(several, last)
            fresh_rows, refused_fresh = encoder.rows(fresh)
            doubtful_rows, refused_doubtful = encoder.rows(doubtful)
            refused += [(symbol, tick, reason) for tick, reason in refused_fresh + refused_doubtful]
            count += fresh_rows.count + doubtful_rows.count
            if refused_fresh:
                unstorable = {id(tick) for tick, _ in refused_fresh}
                fresh = [tick for tick in fresh if id(tick) not in unstorable]
            last = self._stored[symbol] = latest(fresh, last)
            if fresh_rows.count or doubtful_rows.count:
                # Doubtful ticks alone: the moment cannot be told from them, and need not move.
                last_us = last.time_us if last is not _NOTHING else max(tick.time_us for tick in doubtful)
                parts.append(
                    SymbolRows(symbol=symbol, fresh=_some(fresh_rows), doubtful=_some(doubtful_rows), last_us=last_us)
                )
        return EncodedBatch(parts=parts, ticks=count, refused=refused)


def _some(rows: Rows) -> list[Rows]:
    return [rows] if rows.count else []


def latest(fresh: Sequence[StoredTick], before: LastStored) -> LastStored:
    """The last moment once ``fresh`` (in the order of their times) is stored too."""
    if not fresh:
        return before
    time_us = fresh[-1].time_us
    ids = frozenset(tick.trade_id for tick in takewhile(lambda tick: tick.time_us == time_us, reversed(fresh)))
    return LastStored(time_us=time_us, trade_ids=ids | before.trade_ids if time_us == before.time_us else ids)


def split_fresh(ticks: Sequence[StoredTick], last: LastStored) -> tuple[Sequence[StoredTick], Sequence[StoredTick]]:
    """Ticks that are not stored yet, and the others, given the latest stored moment.

    ``ticks`` are in the order of their times, and no two are the same, as in a set of Redis. Should that
    not hold, the table's unique key sends the batch by way of the staging table.
    """
    if not ticks or ticks[0].time_us > last.time_us:
        return ticks, ()
    fresh: list[StoredTick] = []
    doubtful: list[StoredTick] = []
    for tick in ticks:
        if tick.time_us > last.time_us or (tick.time_us == last.time_us and tick.trade_id not in last.trade_ids):
            fresh.append(tick)
        else:
            doubtful.append(tick)
    return fresh, doubtful


async def last_stored(connection: Connection, market: str, symbols: Sequence[str]) -> dict[str, LastStored]:
    """By symbol the latest stored moment, looked up in the ticks themselves."""
    rows = await connection.fetch(
        """
        SELECT known.symbol, last.time,
               ARRAY(SELECT trade_id FROM ticks
                     WHERE market = $1 AND ticks.symbol = known.symbol AND ticks.time = last.time) AS trade_ids
        FROM unnest($2::text[]) AS known (symbol), LATERAL (
            SELECT time FROM ticks WHERE market = $1 AND ticks.symbol = known.symbol ORDER BY time DESC LIMIT 1
        ) AS last
        """,
        market,
        list(symbols),
    )
    return {
        row["symbol"]: LastStored(time_us=microseconds(row["time"]), trade_ids=frozenset(row["trade_ids"]))
        for row in rows
    }


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
    inserted = {part.symbol: sum(rows.count for rows in part.fresh) for part in batch.parts}
    direct, staged = sum(inserted.values()), 0
    if not batch.parts:
        return Stored(direct=0, staged=0, duplicates=0)
    async with connection.transaction():
        if direct:
            await _copy(connection, "ticks", copy_stream(rows for part in batch.parts for rows in part.fresh))
        if any(part.doubtful for part in batch.parts):
            await _copy(connection, "staged_ticks", copy_stream(rows for part in batch.parts for rows in part.doubtful))
            for row in await connection.fetch(_INSERT_STAGED, timeout=_STATEMENT_DEADLINE_S):
                inserted[row["symbol"]] += row["ticks"]
                staged += row["ticks"]
        marks = [(market, part.symbol, moment(part.last_us), inserted[part.symbol]) for part in batch.parts]
        await connection.execute(_ADVANCE, *arrays(marks), timeout=_STATEMENT_DEADLINE_S)
        crash.point("recorder.ticks.copied")
    return Stored(direct=direct, staged=staged, duplicates=batch.ticks - direct - staged)


async def _copy(connection: Connection, table: str, pieces: Sequence[bytes]) -> None:
    async def source() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    await connection.copy_to_table(
        table, source=source(), columns=TICK_COLUMNS, format="binary", timeout=_STATEMENT_DEADLINE_S
    )
