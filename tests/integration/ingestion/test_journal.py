"""The journal's way into the database: raw and projected, each entry once, none skipped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

import asyncpg
import msgspec
from redis.asyncio import Redis

from christmas.execution.journal import (
    CancelWritten,
    FillRecorded,
    JournalEntry,
    OrderChanged,
    OrderWritten,
    SessionChanged,
    SignalNoted,
    journal_stream,
)
from christmas.execution.order import CancelIntent, Fill, OrderIntent, OrderStatus
from christmas.ingestion import journal_store
from christmas.ingestion.history import load_fills, load_orders, load_signals
from christmas.ingestion.journal_follower import JournalFollower
from christmas.ingestion.journal_store import Owner, RawEntry
from christmas.ingestion.keys import acked_key
from tests.integration.ingestion.support import SYMBOL, migrated
from tests.support.waiting import eventually

OWNER = Owner(market="paper", broker="paper", session_id="default")
LOT = Decimal("0.00001")
START_US = 1_723_161_255_000_000


def journal(orders: int = 3, *, first_price: int = 60_000) -> list[JournalEntry]:
    """Entries of orders that are each filled in two parts, the last one cancelled in between."""
    entries: list[JournalEntry] = []

    def add(kind: type, **fields: object) -> None:
        number = len(entries) + 1
        at = START_US + number * 1_000
        entries.append(kind(sequence=number, time_us=at, wall_us=at + 7, strategy="scalper", **fields))

    add(SessionChanged, strategy_uid="uid", epoch=4, instance="a", state="opened")
    for number in range(orders):
        order_id, price = f"x{number}", Decimal(first_price + number)
        intent = OrderIntent(
            client_order_id=order_id,
            symbol=SYMBOL,
            side="buy",
            type="limit",
            lots=10,
            price=price,
            purpose="entry",
            position_id=order_id,
            decided_us=START_US + number,
            reason="rsi(14) < 30\0",
        )
        add(SignalNoted, symbol=SYMBOL, signal="entry", taken=True, reason="rsi(14) < 30")
        add(OrderWritten, strategy_uid="uid", epoch=4, intent=intent, lot_size=LOT)
        add(
            OrderChanged,
            client_order_id=order_id,
            status=OrderStatus.ACCEPTED,
            filled_lots=0,
            leaves_lots=10,
            venue_order_id=f"v{number}",
        )
        for part, lots in enumerate((4, 6)):
            if number == orders - 1 and part == 1:
                add(CancelWritten, intent=CancelIntent(client_order_id=order_id, decided_us=9, reason="suspended"))
                add(
                    OrderChanged,
                    client_order_id=order_id,
                    status=OrderStatus.CANCELLED,
                    filled_lots=4,
                    leaves_lots=0,
                    reason="cancelled by us",
                )
                break
            fill = Fill(
                fill_id=f"f{number}.{part}",
                client_order_id=order_id,
                symbol=SYMBOL,
                side="buy",
                price=price - part,
                lots=lots,
                fee=Decimal("0.00012345") * lots,
                liquidity="maker",
                time_us=START_US + number * 10 + part,
            )
            add(FillRecorded, position_id=order_id, purpose="entry", lot_size=LOT, fill=fill)
            status = OrderStatus.FILLED if part else OrderStatus.PARTIALLY_FILLED
            add(
                OrderChanged,
                client_order_id=order_id,
                status=status,
                filled_lots=4 + 6 * part,
                leaves_lots=6 - 6 * part,
            )
    add(SignalNoted, symbol=SYMBOL, signal="entry", taken=False, reason="no capital")
    return entries


async def send(redis: Redis, entries: Sequence[JournalEntry], market: str = "paper") -> None:
    for entry in entries:
        await redis.xadd(journal_stream(market), {"e": msgspec.json.encode(entry)}, id=f"{entry.sequence}-0")


@asynccontextmanager
async def following(redis: Redis, database_url: str, owner: Owner = OWNER) -> AsyncIterator[list[str | None]]:
    stopping, reasons = asyncio.Event(), list[str | None]()
    follower = JournalFollower(
        redis=redis,
        database_url=database_url,
        owner=owner,
        stopping=stopping,
        reason=reasons.append,
        interval_s=0.02,
    )
    task = asyncio.create_task(follower.run())
    try:
        yield reasons
    finally:
        stopping.set()
        async with asyncio.timeout(30):
            await task


async def eventually_projected(connection: asyncpg.Connection, sequence: int) -> None:
    async def reached() -> bool:
        return await journal_store.read_watermark(connection, "paper") == sequence

    await eventually(reached, within_s=30)


async def assert_projected(database_url: str, entries: Sequence[JournalEntry]) -> None:
    """The tables hold what the entries say, with sums that an independent count over the fills confirms."""
    async with asyncpg.create_pool(database_url, min_size=1, max_size=2) as pool:
        orders = await load_orders(pool, "default")
        fills = await load_fills(pool, "default")
        signals = await load_signals(pool, "default", strategy="scalper")
        raw = await pool.fetch("SELECT sequence, entry FROM journal ORDER BY sequence")
    assert [row["sequence"] for row in raw] == [entry.sequence for entry in entries]
    assert [msgspec.json.decode(row["entry"], type=JournalEntry) for row in raw] == list(entries)
    recorded = [entry for entry in entries if isinstance(entry, FillRecorded)]
    assert {fill.fill_id for fill in fills} == {entry.fill.fill_id for entry in recorded}
    assert len(fills) == len(recorded)
    assert len(signals) == sum(isinstance(entry, SignalNoted) for entry in entries)
    for order in orders:
        own = [entry.fill for entry in recorded if entry.fill.client_order_id == order.client_order_id]
        assert order.filled_lots == sum(fill.lots for fill in own)
        assert order.filled_notional == sum((fill.price * fill.lots * LOT for fill in own), Decimal(0))
        assert order.fees == sum((fill.fee for fill in own), Decimal(0))
    assert [order.status for order in orders[:-1]] == [OrderStatus.FILLED] * (len(orders) - 1)
    last = orders[-1]
    assert (last.status, last.status_reason, last.cancel_reason) == ("cancelled", "cancelled by us", "suspended")
    assert (last.venue_order_id, last.epoch, last.broker) == (f"v{len(orders) - 1}", 4, "paper")
    assert last.reason == "rsi(14) < 30\N{REPLACEMENT CHARACTER}"


async def test_a_journal_is_projected_acknowledged_and_trimmed(any_database_url: str, redis_client: Redis) -> None:
    entries = journal()
    async with migrated(any_database_url) as connection:
        await send(redis_client, entries[:7])
        async with following(redis_client, any_database_url) as reasons:
            await eventually_projected(connection, 7)
            await send(redis_client, entries[7:])
            await eventually_projected(connection, len(entries))

            async def acknowledged() -> bool:
                return bool(await redis_client.get(acked_key("paper")) == str(len(entries)).encode())

            await eventually(acknowledged)
        assert await redis_client.xlen(journal_stream("paper")) == 0
        assert (await redis_client.xinfo_stream(journal_stream("paper")))["last-generated-id"] == b"%d-0" % len(entries)
        assert set(reasons) == {None}
        await assert_projected(any_database_url, entries)


async def test_entries_that_come_again_change_nothing(any_database_url: str, redis_client: Redis) -> None:
    entries = journal()
    async with migrated(any_database_url) as connection:
        await send(redis_client, entries)
        async with following(redis_client, any_database_url):
            await eventually_projected(connection, len(entries))
        # Redis lost the stream, the gateway sent it all again, and a new recorder reads it.
        await redis_client.delete(journal_stream("paper"))
        await send(redis_client, entries)
        async with following(redis_client, any_database_url) as reasons:
            await eventually(lambda: reasons)
        assert set(reasons) == {None}
        # And even when the watermark was lost, the rows are not doubled.
        await connection.execute("DELETE FROM journal_watermarks")
        await journal_store.store(
            connection, OWNER, [RawEntry(entry.sequence, msgspec.json.encode(entry)) for entry in entries]
        )
        await assert_projected(any_database_url, entries)


async def test_a_gap_is_told_and_waited_for(database_url: str, redis_client: Redis) -> None:
    entries = journal()
    async with migrated(database_url) as connection:
        await send(redis_client, [*entries[:5], *entries[6:]])
        async with following(redis_client, database_url) as reasons:
            await eventually(lambda: reasons and reasons[-1] is not None)
            assert "entry 6 of the journal is missing, the next there is 7" in str(reasons[-1])
            assert await journal_store.read_watermark(connection, "paper") == 0
            assert await redis_client.get(acked_key("paper")) is None
            await redis_client.delete(journal_stream("paper"))
            await send(redis_client, entries)
            await eventually_projected(connection, len(entries))
            await eventually(lambda: reasons[-1] is None)
        await assert_projected(database_url, entries)


async def test_a_new_journal_under_an_old_name_is_noticed(database_url: str, redis_client: Redis) -> None:
    async with migrated(database_url) as connection:
        await send(redis_client, journal())
        async with following(redis_client, database_url):
            await eventually_projected(connection, len(journal()))
        await redis_client.delete(journal_stream("paper"))
        await send(redis_client, journal(first_price=70_000))
        async with following(redis_client, database_url) as reasons:
            await eventually(lambda: reasons)
            assert "differs from the recorded one" in str(reasons[-1])


async def test_an_entry_that_cannot_be_read_is_not_skipped(database_url: str, redis_client: Redis) -> None:
    async with migrated(database_url) as connection:
        await redis_client.xadd(journal_stream("paper"), {"e": b'{"kind":"from_the_future"}'}, id="1-0")
        async with following(redis_client, database_url) as reasons:
            await eventually(lambda: reasons)
            assert "entry 1 of the journal cannot be read" in str(reasons[-1])
        assert await connection.fetchval("SELECT count(*) FROM journal") == 0


async def test_a_fill_tells_of_its_order_before_the_change_is_journalled(
    database_url: str, redis_client: Redis
) -> None:
    entries = [entry for entry in journal(2) if not isinstance(entry, OrderChanged)]
    entries = [msgspec.structs.replace(entry, sequence=number) for number, entry in enumerate(entries, 1)]
    async with migrated(database_url) as connection:
        await send(redis_client, entries)
        async with following(redis_client, database_url):
            await eventually_projected(connection, len(entries))
        found = await connection.fetch("SELECT status, filled_lots FROM orders ORDER BY client_order_id")
        assert [tuple(row) for row in found] == [("filled", 10), ("partially_filled", 4)]


async def test_the_journal_survives_killed_connections(database_url: str, redis_client: Redis) -> None:
    entries = journal(400)
    async with migrated(database_url) as connection:

        async def kill() -> None:
            while True:
                await connection.fetch(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'christmas-journal-paper' AND datname = current_database()"
                )
                await asyncio.sleep(0.03)

        async with following(redis_client, database_url) as reasons:
            killer = asyncio.create_task(kill())
            for start in range(0, len(entries), 40):
                await send(redis_client, entries[start : start + 40])
            await eventually(lambda: any(reasons))
            killer.cancel()
            await asyncio.gather(killer, return_exceptions=True)
            await eventually_projected(connection, len(entries))
        await assert_projected(database_url, entries)
