"""Writes journal entries and their projection into the database, all in the caller's transaction."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from christmas.execution.journal import JournalEntry
from christmas.ingestion.moments import moment
from christmas.ingestion.projection import OutOfSequenceError, Projection, project

if TYPE_CHECKING:
    from asyncpg import Connection

_decoder: Final = msgspec.json.Decoder(JournalEntry)
_NUL: Final = re.compile("\0")


class RawEntry(msgspec.Struct, frozen=True):
    """An entry as it lies in the stream."""

    sequence: int
    text: bytes


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Whose journal it is: written into every row of the projection."""

    market: str
    broker: str
    session_id: str


def decode_entry(raw: RawEntry) -> JournalEntry:
    """Raises OutOfSequenceError when it is not the entry that its place says, or not one at all."""
    try:
        entry: JournalEntry = _decoder.decode(raw.text)
    except (msgspec.MsgspecError, ValueError) as error:
        raise OutOfSequenceError(f"entry {raw.sequence} of the journal cannot be read: {error}") from error
    if entry.sequence != raw.sequence:
        raise OutOfSequenceError(f"entry {entry.sequence} of the journal stands at the place of {raw.sequence}")
    return entry


async def read_watermark(connection: Connection, market: str) -> int:
    """The last entry that is stored; 0 when none is."""
    found = await connection.fetchval("SELECT sequence FROM journal_watermarks WHERE market = $1", market)
    return int(found or 0)


async def verify_known(connection: Connection, owner: Owner, known: Sequence[RawEntry]) -> None:
    """Entries that come again have to be the stored ones; raises OutOfSequenceError when they are not.

    They differ when a gateway began a new journal under an old name.
    """
    rows = await connection.fetch(
        "SELECT sequence, entry FROM journal WHERE market = $1 AND sequence = ANY($2::bigint[])",
        owner.market,
        [raw.sequence for raw in known],
    )
    stored = {row["sequence"]: _decoder.decode(row["entry"]) for row in rows}
    for raw in known:
        before = stored.get(raw.sequence)
        if before is not None and before != decode_entry(raw):
            raise OutOfSequenceError(
                f"entry {raw.sequence} of the journal differs from the recorded one: "
                "the gateway began a new journal under an old name"
            )


async def store(connection: Connection, owner: Owner, raws: Sequence[RawEntry]) -> None:
    """Store entries that follow the watermark without a gap, project them, and advance the watermark.

    Every statement leaves alone what is there already, so entries that come twice change nothing.
    """
    entries = [decode_entry(raw) for raw in raws]
    await connection.executemany(
        """
        INSERT INTO journal (market, sequence, session_id, kind, strategy, time, wall_time, entry)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (market, sequence) DO NOTHING
        """,
        [
            (
                owner.market,
                raw.sequence,
                owner.session_id,
                entry.__struct_config__.tag,
                entry.strategy,
                moment(entry.time_us),
                moment(entry.wall_us),
                raw.text.decode(),
            )
            for raw, entry in zip(raws, entries, strict=True)
        ],
    )
    await _write(connection, owner, project(entries))
    await connection.execute(
        """
        INSERT INTO journal_watermarks (market, sequence) VALUES ($1, $2)
        ON CONFLICT (market) DO UPDATE SET sequence = greatest(journal_watermarks.sequence, excluded.sequence),
                                           updated_at = now()
        """,
        owner.market,
        raws[-1].sequence,
    )


async def _write(connection: Connection, owner: Owner, projection: Projection) -> None:
    if projection.orders:
        await _insert_orders(connection, owner, projection)
    if projection.changes:
        await _change_orders(connection, owner, projection)
    if projection.cancels:
        await connection.executemany(
            """
            UPDATE orders SET cancel_reason = $3
            WHERE session_id = $1 AND client_order_id = $2 AND cancel_reason IS NULL
            """,
            [
                (owner.session_id, order_id, _text(entry.intent.reason))
                for order_id, entry in projection.cancels.items()
            ],
        )
    if projection.fills:
        await _insert_fills(connection, owner, projection)
        await _sum_fills(connection, owner, projection.filled_orders)
    if projection.signals:
        await connection.executemany(
            """
            INSERT INTO signals (session_id, market, broker, strategy, symbol, signal, taken, reason, time, sequence)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING
            """,
            [
                (
                    owner.session_id,
                    owner.market,
                    owner.broker,
                    entry.strategy,
                    entry.symbol,
                    entry.signal,
                    entry.taken,
                    _text(entry.reason),
                    moment(entry.time_us),
                    entry.sequence,
                )
                for entry in projection.signals
            ],
        )


async def _insert_orders(connection: Connection, owner: Owner, projection: Projection) -> None:
    await connection.executemany(
        """
        INSERT INTO orders (session_id, market, broker, strategy, strategy_uid, epoch, client_order_id, symbol, side,
                            type, time_in_force, purpose, position_id, price, lots, lot_size, status, reason,
                            breaks_policy, decided_at, updated_at, sequence)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 'pending', $17, $18, $19, $20,
                $21)
        ON CONFLICT (session_id, client_order_id) DO NOTHING
        """,
        [
            (
                owner.session_id,
                owner.market,
                owner.broker,
                entry.strategy,
                entry.strategy_uid,
                entry.epoch,
                entry.intent.client_order_id,
                entry.intent.symbol,
                entry.intent.side,
                entry.intent.type,
                entry.intent.time_in_force,
                entry.intent.purpose,
                entry.intent.position_id,
                entry.intent.price,
                entry.intent.lots,
                entry.lot_size,
                _text(entry.intent.reason),
                entry.intent.breaks_policy,
                moment(entry.intent.decided_us),
                moment(entry.time_us),
                entry.sequence,
            )
            for entry in projection.orders
        ],
    )


async def _change_orders(connection: Connection, owner: Owner, projection: Projection) -> None:
    await connection.executemany(
        """
        UPDATE orders SET status = $3, status_reason = $4, updated_at = $6, sequence = $7,
                          venue_order_id = CASE WHEN $5 = '' THEN venue_order_id ELSE $5 END
        WHERE session_id = $1 AND client_order_id = $2 AND sequence < $7
        """,
        [
            (
                owner.session_id,
                order_id,
                entry.status.value,
                _text(entry.reason),
                entry.venue_order_id,
                moment(entry.time_us),
                entry.sequence,
            )
            for order_id, entry in projection.changes.items()
        ],
    )


async def _insert_fills(connection: Connection, owner: Owner, projection: Projection) -> None:
    await connection.executemany(
        """
        INSERT INTO fills (session_id, market, broker, strategy, fill_id, client_order_id, position_id, purpose, symbol,
                           side, price, lots, lot_size, fee, liquidity, time, sequence)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
        ON CONFLICT (session_id, market, fill_id) DO NOTHING
        """,
        [
            (
                owner.session_id,
                owner.market,
                owner.broker,
                entry.strategy,
                entry.fill.fill_id,
                entry.fill.client_order_id,
                entry.position_id,
                entry.purpose,
                entry.fill.symbol,
                entry.fill.side,
                entry.fill.price,
                entry.fill.lots,
                entry.lot_size,
                entry.fill.fee,
                entry.fill.liquidity,
                moment(entry.fill.time_us),
                entry.sequence,
            )
            for entry in projection.fills
        ],
    )


async def _sum_fills(connection: Connection, owner: Owner, order_ids: list[str]) -> None:
    """Sums are computed anew from the fills, never added to: a repetition cannot count twice.

    A fill tells of its order's status too, where the change that the gateway journals has not come yet.
    """
    await connection.execute(
        """
        UPDATE orders SET filled_lots = filled.lots, filled_notional = filled.notional, fees = filled.fees,
            status = CASE WHEN status NOT IN ('pending', 'accepted', 'partially_filled', 'unknown') THEN status
                          WHEN filled.lots >= orders.lots THEN 'filled' ELSE 'partially_filled' END,
            updated_at = greatest(updated_at, filled.last)
        FROM (SELECT client_order_id, sum(lots)::bigint AS lots, sum(price * lots * lot_size) AS notional,
                     sum(fee) AS fees, max(time) AS last
              FROM fills WHERE session_id = $1 AND client_order_id = ANY($2::text[]) GROUP BY client_order_id) AS filled
        WHERE orders.session_id = $1 AND orders.client_order_id = filled.client_order_id
        """,
        owner.session_id,
        order_ids,
    )


def _text(text: str) -> str:
    """A venue's words may hold a NUL, which no TEXT column takes."""
    return _NUL.sub("\N{REPLACEMENT CHARACTER}", text)
