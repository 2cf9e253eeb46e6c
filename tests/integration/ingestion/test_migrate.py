"""Migrations: in order, once, all or nothing, also by several at the same time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import pytest

from christmas.ingestion.features import capabilities
from christmas.ingestion.migrate import Migration, MigrationError, bundled_migrations, migrate, pending, schema_version
from christmas.ingestion.moments import microseconds
from christmas.ingestion.retention import drop_expired
from christmas.ingestion.tick_store import BatchEncoder, prepare, store
from tests.integration.ingestion.support import SYMBOL, migrated, stored, tick


async def test_a_fresh_database_gets_all_of_them_once(any_database_url: str) -> None:
    async with migrated(any_database_url) as connection:
        first = await connection.fetch("SELECT * FROM schema_migrations ORDER BY version")
        assert [row["version"] for row in first] == [migration.version for migration in bundled_migrations()]
        await migrate(connection)
        assert await connection.fetch("SELECT * FROM schema_migrations ORDER BY version") == first
        assert await schema_version(connection) == len(first)


async def test_several_processes_may_migrate_at_once(any_database_url: str) -> None:
    connections = [await asyncpg.connect(any_database_url) for _ in range(6)]
    try:
        found = await asyncio.gather(*(migrate(connection) for connection in connections))
        assert len(set(found)) == 1
        assert await connections[0].fetchval("SELECT count(*) FROM schema_migrations") == len(bundled_migrations())
    finally:
        for connection in connections:
            await connection.close()


async def test_the_hypertable_is_one_where_timescaledb_is(timescale_database_url: str) -> None:
    async with migrated(timescale_database_url) as connection:
        found = await capabilities(connection)
        assert found.timescaledb is not None
        assert found.hypertable
        if found.license == "apache":
            assert (found.compression, found.continuous_aggregates, found.policies) == (False, False, False)
        assert "TimescaleDB" in found.summary


async def test_plain_postgresql_is_declared_as_such(plain_database_url: str) -> None:
    async with migrated(plain_database_url) as connection:
        found = await capabilities(connection)
        assert found.timescaledb is None
        assert not found.hypertable
        assert "without TimescaleDB" in found.summary


async def test_capabilities_can_be_asked_before_any_migration(any_database_url: str) -> None:
    connection = await asyncpg.connect(any_database_url)
    try:
        assert not (await capabilities(connection)).hypertable
        assert await schema_version(connection) == 0
    finally:
        await connection.close()


async def test_a_failing_migration_leaves_nothing_behind(plain_database_url: str) -> None:
    async with migrated(plain_database_url) as connection:
        broken = Migration(version=99, name="broken", sql="CREATE TABLE half (id INT); SELECT 1 / 0")
        broken = msgspec.structs.replace(broken, version=len(bundled_migrations()) + 1)
        with pytest.raises(asyncpg.DivisionByZeroError):
            await migrate(connection, (*bundled_migrations(), broken))
        assert await connection.fetchval("SELECT to_regclass('half')") is None
        mended = msgspec.structs.replace(broken, sql="CREATE TABLE half (id INT)")
        await migrate(connection, (*bundled_migrations(), mended))
        assert await connection.fetchval("SELECT to_regclass('half')") == "half"


async def test_a_database_of_a_newer_version_is_refused(plain_database_url: str) -> None:
    async with migrated(plain_database_url) as connection:
        await connection.execute("INSERT INTO schema_migrations VALUES (77, 'later', 'x')")
        with pytest.raises(MigrationError, match="newer"):
            await migrate(connection)


async def test_a_changed_file_is_refused(plain_database_url: str) -> None:
    async with migrated(plain_database_url) as connection:
        first, *rest = bundled_migrations()
        with pytest.raises(MigrationError, match="0001_market_data was changed"):
            await migrate(connection, (msgspec.structs.replace(first, sql=first.sql + " "), *rest))


def test_a_hole_in_what_was_applied_is_refused() -> None:
    one, two, three = (Migration(version=number, name="x", sql=str(number)) for number in (1, 2, 3))
    with pytest.raises(MigrationError, match="lacks 2"):
        pending((one, two, three), {1: one.checksum, 3: three.checksum})


async def test_old_ticks_are_dropped_by_when_they_were_recorded(any_database_url: str) -> None:
    now_us = microseconds(datetime.now(UTC))
    day_us = microseconds(datetime(1970, 1, 2, tzinfo=UTC))
    async with migrated(any_database_url) as connection:
        await prepare(connection)
        live = [tick(1, time_us=now_us), tick(2, time_us=now_us - 40 * day_us)]
        await store(connection, "paper", BatchEncoder("paper", {}).encode({SYMBOL: stored(live)}))
        replayed = BatchEncoder("paper.r1", {}).encode({SYMBOL: stored([tick(3), tick(4)])})
        await store(connection, "paper.r1", replayed)

        assert await drop_expired(connection, 0) == 0
        await drop_expired(connection, 30)
        left = {row["trade_id"] for row in await connection.fetch("SELECT trade_id FROM ticks")}
        # Replays of old files were recorded just now; a hypertable counts the age of the chunk.
        assert {"1", "3", "4"} <= left
        if not (await capabilities(connection)).hypertable:
            assert "2" not in left
            await connection.execute(
                "UPDATE watermarks SET updated_at = $1 WHERE market = 'paper.r1'",
                datetime.now(UTC) - timedelta(days=31),
            )
            assert await drop_expired(connection, 30) == 2
            assert {row["trade_id"] for row in await connection.fetch("SELECT trade_id FROM ticks")} == {"1"}
        else:
            await connection.execute(
                "UPDATE _timescaledb_catalog.chunk SET creation_time = now() - INTERVAL '31 days' "
                "WHERE id IN (SELECT chunk_id FROM _timescaledb_catalog.chunk_constraint)"
            )
            assert await drop_expired(connection, 30) >= 3
            assert await connection.fetchval("SELECT count(*) FROM ticks") == 0
