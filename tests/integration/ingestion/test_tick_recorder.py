"""The recorder's tick path, from the stream that a gateway writes to the database."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

import pytest
from redis.asyncio import Redis

from christmas.ingestion.lag import measure_lag
from christmas.market.raw import FeedTick
from christmas.market.stream import stream_key, watermark_key
from christmas.market.tick import ticks_key
from tests.integration.ingestion.support import (
    INSTRUMENT,
    SYMBOL,
    Proxy,
    StreamedMarket,
    assert_stored_exactly,
    eventually_stored,
    migrated,
    recording,
    tick,
)
from tests.support.data import SPOT_BTC, read_trades
from tests.support.servers import ValkeyServer
from tests.support.waiting import eventually

MARKET = "paper"


@pytest.fixture(scope="module")
def spot(shared_data: Path) -> list[FeedTick]:
    return list(read_trades(shared_data / SPOT_BTC))


def feed_tick(number: int, time_us: int) -> FeedTick:
    made = tick(number)
    return FeedTick(
        time_us=time_us,
        symbol=SYMBOL,
        trade_id=made.trade_id,
        price=made.price,
        quantity=INSTRUMENT.lot_size * made.lots,
        taker_side=made.taker_side,
    )


async def test_a_backlog_and_then_a_stream_are_stored_once(
    any_database_url: str, redis_client: Redis, spot: list[FeedTick]
) -> None:
    market = StreamedMarket(redis_client, MARKET)
    async with migrated(any_database_url) as connection:
        await market.publish_in_chunks(spot[:6_000])
        async with recording(redis_client, any_database_url, MARKET, batch_ticks=1_000) as reasons:
            await market.publish_in_chunks(spot[6_000:], seed=2)
            await eventually_stored(connection, MARKET, 9_757)
        await assert_stored_exactly(connection, MARKET, market.ticks)
        assert set(reasons) == {None}
        assert len(market.ticks) == 9_757


async def test_killed_connections_and_restarts_lose_nothing_and_double_nothing(
    any_database_url: str, redis_client: Redis, spot: list[FeedTick]
) -> None:
    dice = random.Random(11)
    market = StreamedMarket(redis_client, MARKET)
    async with migrated(any_database_url) as connection:

        async def kill() -> int:
            rows = await connection.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = $1 AND datname = current_database()",
                f"christmas-recorder-{MARKET}",
            )
            return len(rows)

        position = kills = 0
        while position < len(spot):
            end = min(len(spot), position + dice.randint(1_500, 3_500))
            async with recording(redis_client, any_database_url, MARKET, batch_ticks=500):
                kills += await eventually(kill, every_s=0.03)
                while position < end:
                    size = min(dice.randint(100, 300), end - position)
                    await market.publish(spot[position : position + size])
                    position += size
                    if dice.random() < 0.2:
                        kills += await kill()
                    await asyncio.sleep(dice.uniform(0.0, 0.03))
                await eventually_stored(connection, MARKET, end)
        await assert_stored_exactly(connection, MARKET, market.ticks)
        assert kills


async def test_late_ticks_are_stored_wherever_they_land(database_url: str, redis_client: Redis) -> None:
    dice = random.Random(3)
    market = StreamedMarket(redis_client, MARKET)
    base_us = 1_723_161_255_000_000
    async with migrated(database_url) as connection:
        async with recording(redis_client, database_url, MARKET, batch_ticks=200) as reasons:
            for number in range(3_000):
                behind_us = dice.choice([0, 0, 0, 5_000, 2_500_000, 60_000_000])
                await market.publish([feed_tick(number, base_us + number * 10_000 - behind_us)])
            await eventually_stored(connection, MARKET, 3_000)
        await assert_stored_exactly(connection, MARKET, market.ticks)
        assert sum(tick.late for tick in market.ticks) > 500
        assert set(reasons) == {None}


async def test_the_watermark_promises_only_whole_seconds_that_are_over(database_url: str, redis_client: Redis) -> None:
    market = StreamedMarket(redis_client, MARKET)
    second_us = 1_723_161_255_000_000
    async with migrated(database_url) as connection, recording(redis_client, database_url, MARKET):
        await market.publish([feed_tick(1, second_us + 100), feed_tick(2, second_us + 500_000)])
        await eventually_stored(connection, MARKET, 2)

        async def watermark() -> int:
            return int(await redis_client.hget(watermark_key(MARKET), SYMBOL) or 0)  # type: ignore[misc]

        assert await eventually(watermark) == second_us - 1
        await market.publish([feed_tick(3, second_us + 3_000_000)])

        async def moved() -> bool:
            return await watermark() == second_us + 3_000_000 - 1

        await eventually(moved)
        lag = await measure_lag(redis_client, MARKET, [SYMBOL])
        assert (lag.ticks, lag.seconds) == (1, 1e-6)


async def test_what_is_no_tick_is_kept_apart_and_stops_nothing(database_url: str, redis_client: Redis) -> None:
    key = ticks_key(MARKET, SYMBOL)
    async with migrated(database_url) as connection:
        async with recording(redis_client, database_url, MARKET):
            await redis_client.zadd(
                key, {b"not json": 1.0, b'{"t":5,"s":"BTC/USDT","i":"a\\u0000b","p":"1","v":1}': 5.0}
            )
            await redis_client.hset(stream_key(MARKET), SYMBOL, "2")  # type: ignore[misc]
            market = StreamedMarket(redis_client, MARKET)
            await market.publish([feed_tick(1, 1_723_161_255_000_000)])
            await eventually_stored(connection, MARKET, 1)
            await redis_client.zadd(key, {b"not json either": 2.0})
        rows = await connection.fetch("SELECT * FROM quarantined_ticks ORDER BY payload")
        assert {row["payload"] for row in rows} >= {"not json"}
        assert any("NUL" in row["reason"] for row in rows)
        assert all(row["reason"].startswith("Unstorable") for row in rows)
        assert json.loads(next(row["payload"] for row in rows if row["payload"].startswith("{")))["i"] == "a\0b"


async def test_a_database_that_is_away_for_seconds_delays_and_loses_nothing(
    timescale_database_url: str, redis_client: Redis, spot: list[FeedTick]
) -> None:
    proxy = Proxy(timescale_database_url)
    await proxy.mend()
    market = StreamedMarket(redis_client, MARKET)
    async with migrated(timescale_database_url) as connection:
        async with recording(redis_client, proxy.url, MARKET, batch_ticks=1_000) as reasons:
            await market.publish_in_chunks(spot[:3_000])
            await eventually_stored(connection, MARKET, 3_000)
            await proxy.cut()
            await market.publish_in_chunks(spot[3_000:], seed=2)
            await eventually(lambda: reasons[-1] is not None)
            assert "ticks of paper: database failed" in str(reasons[-1])
            await asyncio.sleep(5)
            assert await connection.fetchval("SELECT count(*) FROM ticks") == 3_000
            await proxy.mend()
            await eventually_stored(connection, MARKET, 9_757)
            await eventually(lambda: reasons[-1] is None)
        await proxy.cut()
        await assert_stored_exactly(connection, MARKET, market.ticks)


async def test_a_second_recorder_of_the_same_market_waits(database_url: str, redis_client: Redis) -> None:
    async with migrated(database_url), recording(redis_client, database_url, MARKET) as first:
        await eventually(lambda: first)
        async with recording(redis_client, database_url, MARKET) as second:
            await eventually(lambda: second)
            assert second[0] == "another recorder writes paper"


async def test_redis_that_restarts_empty_is_followed_again(
    database_url: str, own_valkey: ValkeyServer, spot: list[FeedTick]
) -> None:
    redis = Redis.from_url(own_valkey.url)
    try:
        async with migrated(database_url) as connection:
            async with recording(redis, database_url, MARKET):
                first = StreamedMarket(redis, MARKET)
                await first.publish_in_chunks(spot[:2_000])
                await eventually_stored(connection, MARKET, 2_000)
                await redis.flushall()
                second = StreamedMarket(redis, MARKET)
                await second.publish_in_chunks(spot[1_500:2_500])
                await eventually_stored(connection, MARKET, 2_500)
            assert await connection.fetchval("SELECT count(DISTINCT trade_id) FROM ticks") == 2_500
    finally:
        await redis.aclose()


async def test_a_database_that_was_never_there_is_named_as_the_reason(redis_client: Redis) -> None:
    async with recording(redis_client, "postgresql://nobody@127.0.0.1:1/none", MARKET) as reasons:
        await eventually(lambda: reasons)
        assert "database failed" in str(reasons[0])
