"""The servers that other tests stand on."""

from __future__ import annotations

import asyncpg
import pytest
from redis.asyncio import Redis

from tests.support.servers import ValkeyServer


async def test_redis_answers_and_starts_empty(redis_client: Redis) -> None:
    assert await redis_client.echo("hello") == b"hello"
    assert await redis_client.dbsize() == 0
    await redis_client.set("left", "behind")


async def test_redis_is_empty_again_for_the_next_test(redis_client: Redis) -> None:
    assert await redis_client.dbsize() == 0


async def test_a_durable_server_keeps_its_data_over_a_kill(own_valkey: ValkeyServer) -> None:
    async with Redis.from_url(own_valkey.url) as client:
        await client.set("kept", "yes")
    own_valkey.restart()
    async with Redis.from_url(own_valkey.url) as client:
        assert await client.get("kept") == b"yes"


@pytest.mark.parametrize("fixture", ["plain_database_url", "database_url"])
async def test_databases_are_fresh(request: pytest.FixtureRequest, fixture: str) -> None:
    connection = await asyncpg.connect(request.getfixturevalue(fixture))
    tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    await connection.execute("CREATE TABLE left_behind (n int)")
    await connection.close()
    assert tables == 0
