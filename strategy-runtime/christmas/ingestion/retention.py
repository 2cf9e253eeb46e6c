"""Drops old ticks where the database does not do so itself.

Age is counted from the recording, not from the time of the trade: the replay of an old file would
otherwise be dropped on the day it is made.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from christmas.ingestion import metrics
from christmas.ingestion.database import connect
from christmas.ingestion.features import capabilities
from christmas.ingestion.retry import Attempts, Reason, keep_trying, sleep_until

if TYPE_CHECKING:
    from asyncpg import Connection

logger = logging.getLogger(__name__)

_EVERY_S: Final = 3600.0
_ROWS: Final = 20_000


async def drop_expired(connection: Connection, retention_days: int) -> int:
    """Drop ticks recorded more than ``retention_days`` ago; how many chunks (without a hypertable: rows) went.

    0 where a policy of the database does it, and with ``retention_days`` 0. On a hypertable a chunk goes
    as a whole, by the age of the chunk.
    """
    found = await capabilities(connection)
    if retention_days <= 0 or found.policies:
        return 0
    if found.hypertable:
        dropped = await connection.fetch(
            "SELECT drop_chunks('ticks', created_before => now() - make_interval(days => $1))", retention_days
        )
        return len(dropped)
    return await _delete_rows(connection, retention_days)


async def _delete_rows(connection: Connection, retention_days: int) -> int:
    """Live markets by the time of the trade, replays once they have rested for as long; a few rows at once."""
    total = 0
    while True:
        status = await connection.execute(
            """
            DELETE FROM ticks WHERE ctid = ANY (ARRAY(
                SELECT ticks.ctid FROM ticks JOIN watermarks USING (market, symbol)
                WHERE CASE WHEN strpos(market, '.') > 0 THEN watermarks.updated_at ELSE ticks.time END
                      < now() - make_interval(days => $1)
                LIMIT $2))
            """,
            retention_days,
            _ROWS,
        )
        deleted = int(status.rpartition(" ")[2])
        total += deleted
        if deleted < _ROWS:
            return total


async def keep_dropping(database_url: str, retention_days: int, stopping: asyncio.Event, reason: Reason) -> None:
    """`drop_expired` at once and then every hour, until ``stopping``."""

    async def once(attempts: Attempts) -> None:
        async with connect(database_url, "retention") as connection:
            dropped = await drop_expired(connection, retention_days)
        attempts.worked()
        reason(None)
        if dropped:
            metrics.EXPIRED_CHUNKS.inc(dropped)
            logger.info("old ticks dropped", extra={"dropped": dropped, "retention_days": retention_days})

    while not stopping.is_set():
        await keep_trying(once, market="", part="retention", stopping=stopping, reason=reason)
        await sleep_until(stopping, _EVERY_S)
