"""Writes journal entries and their projection into the database, all in the caller's transaction."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from christmas.execution.journal import FillRecorded, JournalEntry, OrderWritten, SignalNoted
from christmas.execution.order import OrderStatus
from christmas.ingestion.bulk import arrays, insert
from christmas.ingestion.moments import moment
from christmas.ingestion.projection import OutOfSequenceError, Projection, project
from christmas.telemetry.unreadable import UNREADABLE

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
    except (*UNREADABLE, ValueError) as error:
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


_JOURNAL: Final = {
    "market": "text",
    "sequence": "bigint",
    "session_id": "text",
    "kind": "text",
    "strategy": "text",
    "time": "timestamptz",
    "wall_time": "timestamptz",
    "entry": "json",
}
_OWNER: Final = {"session_id": "text", "market": "text", "broker": "text"}
_ORDERS: Final = _OWNER | {
    "strategy": "text",
    "strategy_uid": "text",
    "epoch": "bigint",
    "client_order_id": "text",
    "symbol": "text",
    "side": "text",
    "type": "text",
    "time_in_force": "text",
    "purpose": "text",
    "position_id": "text",
    "price": "numeric",
    "lots": "bigint",
    "lot_size": "numeric",
    "status": "text",
    "reason": "text",
    "breaks_policy": "text",
    "decided_at": "timestamptz",
    "updated_at": "timestamptz",
    "sequence": "bigint",
}
_FILLS: Final = _OWNER | {
    "strategy": "text",
    "fill_id": "text",
    "client_order_id": "text",
    "position_id": "text",
    "purpose": "text",
    "symbol": "text",
    "side": "text",
    "price": "numeric",
    "lots": "bigint",
    "lot_size": "numeric",
    "fee": "numeric",
    "liquidity": "text",
    "time": "timestamptz",
    "sequence": "bigint",
}
_SIGNALS: Final = _OWNER | {
    "strategy": "text",
    "symbol": "text",
    "signal": "text",
    "taken": "boolean",
    "reason": "text",
    "time": "timestamptz",
    "sequence": "bigint",
}


async def store(connection: Connection, owner: Owner, raws: Sequence[RawEntry]) -> None:
    """Store entries that follow the watermark without a gap, project them, and advance the watermark.

    Every statement leaves alone what is there already, so entries that come twice change nothing.
    """
    entries = [decode_entry(raw) for raw in raws]
    rows = [
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
    ]
    await insert(connection, "journal", _JOURNAL, rows)
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
    of = (owner.session_id, owner.market, owner.broker)
    await insert(connection, "orders", _ORDERS, [(*of, *_order(entry)) for entry in projection.orders])
    if projection.changes:
        await _change_orders(connection, owner, projection)
    if projection.cancels:
        await _note_cancels(connection, owner, projection)
    await insert(connection, "fills", _FILLS, [(*of, *_fill(entry)) for entry in projection.fills])
    if projection.fills:
        await _sum_fills(connection, owner, projection.filled_orders)
    await insert(connection, "signals", _SIGNALS, [(*of, *_signal(entry)) for entry in projection.signals])


def _order(entry: OrderWritten) -> tuple[object, ...]:
    intent = entry.intent
    return (
        entry.strategy,
        entry.strategy_uid,
        entry.epoch,
        intent.client_order_id,
        intent.symbol,
        intent.side,
        intent.type,
        intent.time_in_force,
        intent.purpose,
        intent.position_id,
        intent.price,
        intent.lots,
        entry.lot_size,
        OrderStatus.PENDING.value,
        _text(intent.reason),
        intent.breaks_policy,
        moment(intent.decided_us),
        moment(entry.time_us),
        entry.sequence,
    )


def _fill(entry: FillRecorded) -> tuple[object, ...]:
    fill = entry.fill
    return (
        entry.strategy,
        fill.fill_id,
        fill.client_order_id,
        entry.position_id,
        entry.purpose,
        fill.symbol,
        fill.side,
        fill.price,
        fill.lots,
        entry.lot_size,
        fill.fee,
        fill.liquidity,
        moment(fill.time_us),
        entry.sequence,
    )


def _signal(entry: SignalNoted) -> tuple[object, ...]:
    return (
        entry.strategy,
        entry.symbol,
        entry.signal,
        entry.taken,
        _text(entry.reason),
        moment(entry.time_us),
        entry.sequence,
    )


async def _change_orders(connection: Connection, owner: Owner, projection: Projection) -> None:
    rows = [
        (
            order_id,
            entry.status.value,
            _text(entry.reason),
            entry.venue_order_id,
            moment(entry.time_us),
            entry.sequence,
        )
        for order_id, entry in projection.changes.items()
    ]
    await connection.execute(
        """
        UPDATE orders SET status = change.status, status_reason = change.reason, updated_at = change.at,
                          sequence = change.sequence,
                          venue_order_id = coalesce(nullif(change.venue_order_id, ''), orders.venue_order_id)
        FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::bigint[])
             AS change (client_order_id, status, reason, venue_order_id, at, sequence)
        WHERE orders.session_id = $1 AND orders.client_order_id = change.client_order_id
          AND orders.sequence < change.sequence
        """,
        owner.session_id,
        *arrays(rows),
    )


async def _note_cancels(connection: Connection, owner: Owner, projection: Projection) -> None:
    await connection.execute(
        """
        UPDATE orders SET cancel_reason = cancel.reason FROM unnest($2::text[], $3::text[]) AS cancel (order_id, reason)
        WHERE session_id = $1 AND client_order_id = cancel.order_id AND cancel_reason IS NULL
        """,
        owner.session_id,
        *arrays([(order_id, _text(entry.intent.reason)) for order_id, entry in projection.cancels.items()]),
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
