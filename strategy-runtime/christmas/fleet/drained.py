"""Whether the recorder has stored all that the gateways left in Redis."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import cast

import redis.asyncio as redis

from christmas.execution.journal import journal_stream
from christmas.ingestion.keys import acked_key
from christmas.market.stream import watermark_key
from christmas.market.tick import ticks_key


async def not_stored_yet(client: redis.Redis, market: str, symbols: Sequence[str]) -> str | None:
    """None when everything of ``market`` is in the database, else what is missing.

    Sound only while nobody writes to the market any more. Quarantined prints are not looked at: the
    recorder stores them when it is told to stop.
    """
    watermarks = await read_hash(client, watermark_key(market))
    for symbol in symbols:
        newest = await client.zrange(ticks_key(market, symbol), 0, 0, desc=True, withscores=True)
        if newest:
            stored = int(watermarks.get(symbol.encode(), 0))
            if stored < int(newest[0][1]):
                return f"ticks of {symbol}"
    last = await client.xrevrange(journal_stream(market), count=1)
    if last:
        acked = await client.get(acked_key(market))
        if int(acked or 0) < int(last[0][0].partition(b"-")[0]):
            return "the journal"
    return None


async def read_hash(client: redis.Redis, key: str) -> dict[bytes, bytes]:
    """A whole hash; redis-py's own types leave open whether the call is awaited."""
    return await cast("Awaitable[dict[bytes, bytes]]", client.hgetall(key))
