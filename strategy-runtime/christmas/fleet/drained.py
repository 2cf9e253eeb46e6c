"""How much of what the gateways left in Redis the recorder has still to store."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import cast

import redis.asyncio as redis

from christmas.execution.journal import journal_stream
from christmas.ingestion.keys import acked_key
from christmas.market.stream import stream_key


async def published_ticks(client: redis.Redis, market: str, symbols: Sequence[str]) -> int:
    """Ticks that the market's gateway has published, ever: a symbol's last sequence counts them."""
    # redis-py's own types leave open whether the call is awaited.
    fields = await cast("Awaitable[dict[bytes, bytes]]", client.hgetall(stream_key(market)))
    return sum(int(fields.get(symbol.encode(), 0)) for symbol in symbols)


async def waiting_entries(client: redis.Redis, market: str) -> int:
    """Journal entries that are not stored yet. Sound while nobody writes to the journal any more."""
    newest = await client.xrevrange(journal_stream(market), count=1)
    if not newest:
        return 0
    acked = await client.get(acked_key(market))
    return max(0, int(newest[0][0].partition(b"-")[0]) - int(acked or 0))
