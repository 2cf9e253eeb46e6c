"""Forgets a replay session, so that the same replay can run again from nothing.

What was traded live can never be wiped: trades are not deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from christmas.execution.journal import journal_stream
from christmas.ingestion.keys import acked_key
from christmas.market.stream import quarantine_key, stream_key, watermark_key
from christmas.market.tick import ticks_key

if TYPE_CHECKING:
    from asyncpg import Pool
    from redis.asyncio import Redis

_DEADLINE_S: Final = 120.0
_BY_SESSION: Final = ("orders", "fills", "signals", "journal")
_BY_MARKET: Final = ("ticks", "quarantined_ticks", "watermarks", "journal", "journal_watermarks", "instruments")


async def wipe_session(pool: Pool, session_id: str, market: str) -> None:
    """Delete all rows of a replay's session and of its market (``<broker>.<replay id>``).

    Raises ValueError for a market or a session that is not a replay's.
    """
    _refuse_live(market)
    if session_id == "default":
        raise ValueError("the session 'default' is the installation's own: its trades cannot be deleted")
    async with asyncio.timeout(_DEADLINE_S), pool.acquire() as connection, connection.transaction():
        for table in _BY_SESSION:
            await connection.execute(f"DELETE FROM {table} WHERE session_id = $1 AND market = $2", session_id, market)  # noqa: S608 (names from above)
        for table in _BY_MARKET:
            await connection.execute(f"DELETE FROM {table} WHERE market = $1", market)  # noqa: S608


async def wipe_stream(redis: Redis, market: str, symbols: Sequence[str]) -> None:
    """Delete what gateway and recorder left in Redis for a replay's market; while neither runs."""
    _refuse_live(market)
    keys = [ticks_key(market, symbol) for symbol in symbols]
    keys += [stream_key(market), watermark_key(market), quarantine_key(market)]
    keys += [journal_stream(market), acked_key(market)]
    async with asyncio.timeout(_DEADLINE_S):
        await redis.delete(*keys)


def _refuse_live(market: str) -> None:
    if "." not in market:
        raise ValueError(f"{market} is a live market, not a replay's: what was recorded there is not deleted")
