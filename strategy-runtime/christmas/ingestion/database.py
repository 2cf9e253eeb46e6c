"""Connections of the recorder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import asyncpg

if TYPE_CHECKING:
    from asyncpg import Connection

CONNECT_DEADLINE_S: Final = 10.0
STATEMENT_DEADLINE_S: Final = 60.0
_CLOSE_DEADLINE_S: Final = 2.0
_LOCK_DEADLINE_S: Final = 5.0


@asynccontextmanager
async def connect(database_url: str, purpose: str) -> AsyncIterator[Connection]:
    """A connection whose statements all have a deadline, told apart in pg_stat_activity by its purpose.

    The server ends it soon after this machine is gone, so that its locks do not stay.
    """
    connection = await asyncpg.connect(
        database_url,
        timeout=CONNECT_DEADLINE_S,
        command_timeout=STATEMENT_DEADLINE_S,
        server_settings={
            "application_name": f"christmas-{purpose}"[:63],
            # What is committed is then removed from Redis and from the journal: whatever the server's own default,
            # a commit must outlive the server.
            "synchronous_commit": "on",
            "tcp_keepalives_idle": "10",
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "3",
        },
    )
    try:
        yield connection
    finally:
        await _close(connection)


async def _close(connection: Connection) -> None:
    try:
        await connection.close(timeout=_CLOSE_DEADLINE_S)
    except (OSError, TimeoutError, asyncio.CancelledError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()


async def try_lock(connection: Connection, name: str) -> bool:
    """Take the advisory lock ``name`` for the life of the connection, if nobody else has it."""
    async with asyncio.timeout(_LOCK_DEADLINE_S):
        return bool(await connection.fetchval("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", name))
