"""The recorder's connections."""

from __future__ import annotations

import asyncpg

from christmas.ingestion.database import connect


async def test_a_commit_outlives_the_server_whatever_its_default(database_url: str) -> None:
    """What the recorder has committed is removed elsewhere: it must not be among what a crashed server forgets."""
    other = await asyncpg.connect(database_url)
    name = await other.fetchval("SELECT current_database()")
    await other.execute(f'ALTER DATABASE "{name}" SET synchronous_commit TO off')
    await other.close()
    async with connect(database_url, "test") as connection:
        assert await connection.fetchval("SHOW synchronous_commit") == "on"
