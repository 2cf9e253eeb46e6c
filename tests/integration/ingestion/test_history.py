"""Reading back: the bars of the recording are the bars that were traded on."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path

import asyncpg
import msgspec
import pytest
from redis.asyncio import Redis

from christmas.ingestion import journal_store
from christmas.ingestion.history import (
    first_prices,
    last_prices,
    load_bars,
    load_fills,
    load_orders,
    load_signals,
    load_ticks,
    price_path,
    tick_counts,
)
from christmas.ingestion.instruments import register_instruments
from christmas.ingestion.journal_store import Owner
from christmas.ingestion.tick_store import BatchEncoder, prepare, store
from christmas.ingestion.wipe import wipe_session, wipe_stream
from christmas.market.bars import BarBuilder, bars_from_ticks
from christmas.market.raw import FeedTick
from christmas.market.sequencer import Sequencer
from christmas.market.tick import Tick
from christmas.market.trade_order import tick_key
from tests.integration.ingestion.support import INSTRUMENT, SYMBOL, migrated, stored, tick
from tests.integration.ingestion.test_journal import journal, send
from tests.support.data import SPOT_BTC, read_trades

MARKET = "paper"


@pytest.fixture
async def pool(any_database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with migrated(any_database_url), asyncpg.create_pool(any_database_url, min_size=1, max_size=3) as pool:
        yield pool


async def record(pool: asyncpg.Pool, ticks: Sequence[Tick], market: str = MARKET) -> None:
    async with pool.acquire() as connection:
        await prepare(connection)
        by_symbol: dict[str, list[Tick]] = {}
        for one in ticks:
            by_symbol.setdefault(one.symbol, []).append(one)
        await store(
            connection,
            market,
            BatchEncoder(market, {}).encode(
                {symbol: stored(sorted(several, key=tick_key)) for symbol, several in by_symbol.items()}
            ),
        )


def live_bars(prints: Sequence[FeedTick], timeframe_us: int) -> tuple[list[Tick], list[object]]:
    """What a runtime saw: ticks and clock in the stream's order, through the bar builder."""
    sequencer, builder = Sequencer({SYMBOL: INSTRUMENT}), BarBuilder(SYMBOL, timeframe_us)
    ticks: list[Tick] = []
    bars: list[object] = []
    for message in sequencer.accept(prints).messages:
        for one in getattr(message, "ticks", ()):
            ticks.append(one)
            bars += builder.add(one)
        if not hasattr(message, "ticks"):
            bars += builder.advance(message.time_us)
    return ticks, bars


@pytest.mark.parametrize("timeframe_s", [1, 5, 60])
async def test_recorded_bars_equal_live_ones_on_real_trades(
    pool: asyncpg.Pool, shared_data: Path, timeframe_s: int
) -> None:
    dice = random.Random(timeframe_s)
    prints = list(read_trades(shared_data / SPOT_BTC))
    # Out of order by up to some seconds, so that some are late.
    prints = [prints[index] for index in sorted(range(len(prints)), key=lambda index: index + dice.uniform(0, 60))]
    ticks, live = live_bars(prints, timeframe_s * 1_000_000)
    await record(pool, ticks)
    end_us = max(one.time_us for one in ticks)

    loaded = await load_bars(pool, MARKET, SYMBOL, timeframe_s * 1_000_000, 100_000, end_us)

    assert loaded == live
    assert any(one.late for one in ticks)
    for _ in range(5):
        until_us = dice.randint(ticks[0].time_us - 10_000_000, end_us + 10_000_000)
        count = dice.randint(1, 40)
        expected = bars_from_ticks(ticks, timeframe_s * 1_000_000, until_us=until_us)[-count:]
        assert await load_bars(pool, MARKET, SYMBOL, timeframe_s * 1_000_000, count, until_us) == expected


async def test_ties_gaps_and_bar_prints_are_ordered_as_in_the_market(pool: asyncpg.Pool) -> None:
    base_us = 1_723_161_255_000_000
    ids = ["9", "10", "010", "b", "a9", "", "2"]
    ticks = [tick(number, time_us=base_us, trade_id=one) for number, one in enumerate(ids)]
    ticks += [tick(90, time_us=base_us + 86_400_000_000 * 3, trade_id="z", late=True)]
    ticks += [
        tick(91, time_us=base_us + 7_000_000, open=Decimal(3), high=Decimal(99_999), low=Decimal(1), taker_side=None)
    ]
    await record(pool, ticks)
    found = [one async for one in load_ticks(pool, MARKET, SYMBOL, 0, 2**52)]
    assert found == sorted(ticks, key=tick_key)
    expected = bars_from_ticks(ticks, 1_000_000)
    assert await load_bars(pool, MARKET, SYMBOL, 1_000_000, 10, base_us + 86_400_000_000 * 9) == expected
    assert len(expected) == 2
    assert await load_bars(pool, MARKET, SYMBOL, 1_000_000, 1, base_us + 86_400_000_000 * 9) == expected[1:]
    assert await load_bars(pool, MARKET, SYMBOL, 1_000_000, 10, base_us + 999_999) == []
    assert await load_bars(pool, MARKET, "NONE/USD", 1_000_000, 10, base_us * 2) == []


async def test_a_bar_of_a_broken_second_is_refused(pool: asyncpg.Pool) -> None:
    with pytest.raises(ValueError, match="whole number of seconds"):
        await load_bars(pool, MARKET, SYMBOL, 1_500_000, 1, 10**15)


async def test_ticks_come_in_pages_and_within_their_span(pool: asyncpg.Pool) -> None:
    ticks = [tick(number) for number in range(5_003)]
    await record(pool, ticks)
    assert [one async for one in load_ticks(pool, MARKET, SYMBOL, ticks[2].time_us, ticks[5_001].time_us)] == ticks[
        2:5_001
    ]


async def test_prices_for_a_report(pool: asyncpg.Pool) -> None:
    ticks = [tick(number, price=Decimal(100 + number)) for number in range(6)]
    ticks[0] = tick(0, price=Decimal(100), open=Decimal(98), high=Decimal(110), low=Decimal(97))
    ticks += [tick(9, price=Decimal(1), late=True), tick(3, symbol="ETH/USDT", price=Decimal(7))]
    await record(pool, ticks)
    assert await last_prices(pool, MARKET) == {SYMBOL: Decimal(105), "ETH/USDT": Decimal(7)}
    assert await first_prices(pool, MARKET) == {SYMBOL: Decimal(98), "ETH/USDT": Decimal(7)}
    path = [point async for point in price_path(pool, MARKET, SYMBOL)]
    assert [point.price for point in path] == [Decimal(100 + number) for number in range(6)]
    assert (path[0].low, path[0].high) == (Decimal(97), Decimal(110))
    assert [point.time_us for point in path] == [one.time_us for one in ticks[:6]]
    counts = await tick_counts(pool, MARKET)
    assert counts.stored == {SYMBOL: 7, "ETH/USDT": 1}
    assert (counts.total, counts.late, counts.quarantined) == (8, 1, 0)


async def test_a_replay_session_is_wiped_and_nothing_else(pool: asyncpg.Pool, redis_client: Redis) -> None:
    for market, session in (("paper.r1", "r1"), ("paper", "default")):
        await record(pool, [tick(1), tick(2)], market)
        raws = [journal_store.RawEntry(one.sequence, msgspec.json.encode(one)) for one in journal()]
        async with pool.acquire() as connection:
            await register_instruments(connection, market, [INSTRUMENT])
            await journal_store.store(connection, Owner(market=market, broker="paper", session_id=session), raws)
        await send(redis_client, journal(), market)

    await wipe_session(pool, "r1", "paper.r1")
    await wipe_stream(redis_client, "paper.r1", [SYMBOL])

    assert (await tick_counts(pool, "paper.r1")).total == 0
    assert await load_orders(pool, "r1") == []
    assert await load_fills(pool, "r1") == []
    assert await load_signals(pool, "r1") == []
    assert (await tick_counts(pool, "paper")).total == 2
    assert len(await load_orders(pool, "default")) == 3
    assert await redis_client.keys("journal:*") == [b"journal:paper"]
    async with pool.acquire() as connection:
        assert await journal_store.read_watermark(connection, "paper.r1") == 0


async def test_what_was_traded_live_cannot_be_wiped(pool: asyncpg.Pool, redis_client: Redis) -> None:
    with pytest.raises(ValueError, match="live market"):
        await wipe_session(pool, "r1", "paper")
    with pytest.raises(ValueError, match="cannot be deleted"):
        await wipe_session(pool, "default", "paper.r1")
    with pytest.raises(ValueError, match="live market"):
        await wipe_stream(redis_client, "paper", [SYMBOL])
