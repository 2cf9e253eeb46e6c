"""The write path against real servers: exact values, each tick once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from decimal import Context, Decimal

import asyncpg
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from christmas.ingestion.instruments import register_instruments
from christmas.ingestion.tick_store import BatchEncoder, last_stored, prepare, store
from christmas.market.tick import Tick
from christmas.market.trade_order import tick_key
from tests.integration.ingestion.support import INSTRUMENT, SYMBOL, assert_stored_exactly, migrated, stored, tick

prices = st.builds(
    lambda coefficient, exponent: Decimal(coefficient).scaleb(exponent, context=Context(prec=60)),
    st.integers(-(10**30), 10**30),
    st.integers(-24, 12),
)


def test_the_server_reads_back_every_number_that_was_encoded(plain_database_url: str) -> None:
    async def read_back(values: Sequence[Decimal]) -> list[tuple[Decimal, str]]:
        async with migrated(plain_database_url) as connection:
            await prepare(connection)
            await connection.execute("TRUNCATE ticks")
            batch = BatchEncoder("m", {}).encode(
                {SYMBOL: stored([tick(i, price=value) for i, value in enumerate(values)])}
            )
            assert not batch.refused
            await store(connection, "m", batch)
            rows = await connection.fetch("SELECT price, price::text AS text FROM ticks ORDER BY time")
            return [(row["price"], row["text"]) for row in rows]

    @given(st.lists(prices, min_size=20, max_size=60))
    @settings(max_examples=15, deadline=None)
    def check(values: list[Decimal]) -> None:
        found = asyncio.run(read_back(values))
        assert [value for value, _ in found] == values
        assert [text for _, text in found] == [f"{value:f}" if value else f"{abs(value):f}" for value in values]

    check()


async def test_bars_sides_and_late_marks_come_back(any_database_url: str) -> None:
    async with migrated(any_database_url) as connection:
        await prepare(connection)
        bar = tick(1, open=Decimal("1.5"), high=Decimal("2.50"), low=Decimal(1), taker_side=None, late=True)
        await store(connection, "m", BatchEncoder("m", {}).encode({SYMBOL: stored([bar])}))
        row = await connection.fetchrow("SELECT * FROM ticks")
        assert (str(row["open"]), str(row["high"]), str(row["low"])) == ("1.5", "2.50", "1")
        assert row["taker_side"] is None
        assert row["late"]


async def test_each_tick_is_stored_once_however_often_and_in_whatever_order_it_comes(any_database_url: str) -> None:
    dice = random.Random(7)
    # Several share a time; one id stands at two times: two different prints.
    ticks = [tick(number, time_us=1_723_161_255_000_000 + number // 3 * 1_000) for number in range(600)]
    ticks += [tick(5, time_us=ticks[-1].time_us)]
    deliveries = [*ticks, *dice.sample(ticks, 400), *dice.sample(ticks, 400)]
    order = sorted(range(len(deliveries)), key=lambda index: index + dice.randint(-80, 80))
    async with migrated(any_database_url) as connection:
        await prepare(connection)
        encoder = BatchEncoder("m", {})
        position, inserted, duplicates = 0, 0, 0
        while position < len(order):
            size = dice.randint(1, 90)
            several = sorted((deliveries[index] for index in order[position : position + size]), key=tick_key)
            batch = encoder.encode({SYMBOL: stored(several)})
            done = await store(connection, "m", batch)
            inserted += done.direct + done.staged
            duplicates += done.duplicates
            position += size
            if dice.random() < 0.1:
                encoder = BatchEncoder("m", await last_stored(connection, "m", [SYMBOL]))
        await assert_stored_exactly(connection, "m", ticks)
        assert inserted == len(ticks)
        assert duplicates == len(deliveries) - len(ticks)


async def test_a_row_that_somebody_else_wrote_is_no_obstacle(any_database_url: str) -> None:
    async with migrated(any_database_url) as connection:
        await prepare(connection)
        ticks = [tick(number) for number in range(10)]
        await store(connection, "m", BatchEncoder("m", {}).encode({SYMBOL: stored(ticks[4:6])}))
        # This encoder believes that nothing is stored, so it sends all by the direct way.
        done = await store(connection, "m", BatchEncoder("m", {}).encode({SYMBOL: stored(ticks)}))
        assert (done.direct, done.staged, done.duplicates) == (0, 8, 2)
        await assert_stored_exactly(connection, "m", ticks)


async def test_a_transaction_that_fails_leaves_neither_ticks_nor_a_watermark(any_database_url: str) -> None:
    async with migrated(any_database_url) as connection:
        await prepare(connection)
        await connection.execute("ALTER TABLE watermarks ADD CONSTRAINT never CHECK (ticks < 5)")
        batch = BatchEncoder("m", {}).encode({SYMBOL: stored([tick(number) for number in range(10)])})
        try:
            await store(connection, "m", batch)
        except asyncpg.CheckViolationError:
            pass
        else:
            raise AssertionError("the constraint did not hold")
        assert await connection.fetchval("SELECT count(*) FROM ticks") == 0
        assert await connection.fetchval("SELECT count(*) FROM watermarks") == 0


async def test_the_view_shows_real_quantities_also_across_a_change_of_the_lot(any_database_url: str) -> None:
    async with migrated(any_database_url) as connection:
        await prepare(connection)
        await register_instruments(connection, "m", [INSTRUMENT])
        await register_instruments(connection, "m", [INSTRUMENT])
        old = [tick(1, lots=3), tick(2, lots=5)]
        await store(connection, "m", BatchEncoder("m", {}).encode({SYMBOL: stored(old)}))
        await register_instruments(connection, "m", [msgspec.structs.replace(INSTRUMENT, lot_size=Decimal("0.001"))])
        await store(connection, "m", BatchEncoder("m", {}).encode({SYMBOL: stored([tick(3, lots=7)])}))
        rows = await connection.fetch("SELECT quantity, notional, price FROM tick_quantities ORDER BY time")
        assert [row["quantity"] for row in rows] == [Decimal("0.00003"), Decimal("0.00005"), Decimal("0.007")]
        assert all(row["notional"] == row["price"] * row["quantity"] for row in rows)
        assert await connection.fetchval("SELECT count(*) FROM instruments") == 2


def test_a_price_is_encoded_the_same_after_the_cache_was_emptied() -> None:
    encoder = BatchEncoder("m", {})
    many = [tick(number, price=Decimal(number)) for number in range(40_000)]
    (first,) = encoder.encode({SYMBOL: stored(many)}).parts[0].fresh
    (again,) = encoder.encode({SYMBOL: stored(many[:100])}).parts[0].doubtful
    assert again.count == 100
    assert first.data.startswith(again.data)


def test_what_cannot_be_stored_does_not_move_the_mark() -> None:
    encoder = BatchEncoder("m", {})
    far = Tick(time_us=2**62, symbol=SYMBOL, trade_id="far", price=Decimal(1), lots=1)
    batch = encoder.encode({SYMBOL: stored([tick(1), far])})
    assert [item.trade_id for _, item, _ in batch.refused] == ["far"]
    assert batch.parts[0].last_us == tick(1).time_us
