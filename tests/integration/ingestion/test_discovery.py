"""A recorder that was told of no market finds those that gateways announce; runtimes read, and only read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec
import pytest
from redis.asyncio import Redis

from christmas.ingestion.recorder import main
from christmas.ingestion.settings import RecorderSettings
from christmas.market.announced import MARKETS_KEY, AnnouncedMarket, announced_markets, keep_announcing
from christmas.telemetry.http import Health
from christmas.telemetry.process import ProcessContext
from tests.integration.ingestion.support import INSTRUMENT, StreamedMarket, eventually_stored
from tests.support.data import SPOT_BTC, read_trades
from tests.support.waiting import eventually


@asynccontextmanager
async def recording(settings: RecorderSettings) -> AsyncIterator[Health]:
    health = Health()
    context = ProcessContext(health, 0)
    task = asyncio.create_task(main(settings, context))
    try:
        yield health
    finally:
        context.stopping.set()
        async with asyncio.timeout(30):
            assert await task == 0


@asynccontextmanager
async def announcing(redis: Redis, market: str) -> AsyncIterator[None]:
    task = asyncio.create_task(keep_announcing(redis, market, market, (INSTRUMENT,)))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def settings_for(redis_url: str, database_url: str, reader_url: str | None = None) -> RecorderSettings:
    return RecorderSettings(
        name="recorder",
        redis_url=redis_url,
        database_url=database_url,
        discover=True,
        interval_ms=50,
        reader_url=reader_url,
    )


async def test_markets_that_appear_are_recorded_and_what_cannot_be_read_stops_nobody(
    redis_url: str, redis_client: Redis, database_url: str, shared_data: Path
) -> None:
    trades = list(read_trades(shared_data / SPOT_BTC))[:200]
    await redis_client.hset(MARKETS_KEY, "broken", "{")  # type: ignore[misc]
    async with recording(settings_for(redis_url, database_url)) as health:
        await eventually(lambda: health.not_ready is None, within_s=20)
        connection = await asyncpg.connect(database_url)
        try:
            for market in ("paper", "second"):
                async with announcing(redis_client, market):
                    await StreamedMarket(redis_client, market).publish(trades)
                    await eventually_stored(connection, market, len(trades))
            assert await connection.fetchval("SELECT count(DISTINCT market) FROM instruments") == 2
        finally:
            await connection.close()


async def test_a_market_that_changes_is_followed_as_it_is_now(
    redis_url: str, redis_client: Redis, database_url: str, shared_data: Path
) -> None:
    trades = list(read_trades(shared_data / SPOT_BTC))[:200]
    async with recording(settings_for(redis_url, database_url)) as health, announcing(redis_client, "paper"):
        await eventually(lambda: health.not_ready is None, within_s=20)
        connection = await asyncpg.connect(database_url)
        try:
            market = StreamedMarket(redis_client, "paper")
            await market.publish(trades[:100])
            await eventually_stored(connection, "paper", 100)
            ((name, announced),) = (await announced_markets(redis_client)).items()
            ether = msgspec.structs.replace(INSTRUMENT, symbol="ETH/USDT", price_increment=Decimal("0.1"))
            changed = msgspec.structs.replace(announced, instruments=(INSTRUMENT, ether))
            await redis_client.hset(MARKETS_KEY, name, msgspec.json.encode(changed).decode())  # type: ignore[misc]

            async def both() -> bool:
                return bool(await connection.fetchval("SELECT count(*) = 2 FROM instruments WHERE market = 'paper'"))

            await eventually(both, within_s=15)
            await market.publish(trades[100:])
            await eventually_stored(connection, "paper", 200)
            await eventually(lambda: health.not_ready is None)
        finally:
            await connection.close()


async def test_the_reader_reads_every_table_and_writes_none(
    redis_url: str, redis_client: Redis, database_url: str
) -> None:
    owner = urlsplit(database_url)
    if owner.hostname is None:
        pytest.skip("the embedded PostgreSQL trusts everybody on its socket; set CHRISTMAS_TEST_DATABASE_URL")
    role = f"reader_{owner.path.strip('/')}"
    netloc = f"{role}:first@{owner.hostname}:{owner.port}"
    reader = urlunsplit(owner._replace(netloc=netloc))
    changed = reader.replace(":first@", ":second@")
    try:
        for url in (reader, changed):
            async with recording(settings_for(redis_url, database_url, reader_url=url)) as health:
                await eventually(lambda: health.not_ready is None, within_s=20)
            connection = await asyncpg.connect(url)
            try:
                assert await connection.fetchval("SELECT count(*) FROM ticks") == 0
                assert await connection.fetchval("SELECT count(*) FROM bars_1m") == 0
                await connection.execute("SET default_transaction_read_only = off")
                for statement in (
                    "DELETE FROM orders",
                    "CREATE TABLE mine ()",
                    "INSERT INTO journal_watermarks VALUES ('x', 1)",
                ):
                    with pytest.raises(asyncpg.InsufficientPrivilegeError):
                        await connection.execute(statement)
            finally:
                await connection.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(reader)
    finally:
        connection = await asyncpg.connect(database_url)
        await connection.execute(f'DROP OWNED BY "{role}"')
        await connection.execute(f'DROP ROLE "{role}"')
        await connection.close()


async def test_brokers_of_one_name_in_two_namespaces_keep_apart(redis_client: Redis) -> None:
    tasks = [
        asyncio.create_task(
            keep_announcing(
                redis_client, f"{namespace}.paper", "paper", (INSTRUMENT,), session_id=f"default.{namespace}"
            )
        )
        for namespace in ("research", "trading")
    ]
    try:

        async def both() -> dict[str, AnnouncedMarket] | None:
            found = await announced_markets(redis_client)
            return found if len(found) == len(tasks) else None

        found = await eventually(both)
        assert found is not None
        assert {market: each.session_id for market, each in found.items()} == {
            "research.paper": "default.research",
            "trading.paper": "default.trading",
        }
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
