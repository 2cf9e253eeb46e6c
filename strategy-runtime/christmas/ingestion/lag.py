"""How far the recording is behind the stream, sampled from Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from christmas.ingestion import metrics
from christmas.ingestion.retry import sleep_until
from christmas.market.stream import watermark_key
from christmas.market.tick import MICROSECONDS_PER_SECOND, ticks_key
from christmas.market.wire import UNAVAILABLE, closed_as_such

_EVERY_S: Final = 2.0
_DEADLINE_S: Final = 5.0


class Lag(msgspec.Struct, frozen=True):
    """Over all symbols of a market."""

    ticks: int
    """Later than their symbol's watermark."""
    seconds: float
    """The longest market time from a symbol's watermark to its newest tick; watermarks are whole seconds."""


async def measure_lag(redis: Redis, market: str, symbols: Sequence[str]) -> Lag:
    """Raises what the Redis client raises."""
    async with asyncio.timeout(_DEADLINE_S):
        marks: dict[bytes, bytes] = await redis.hgetall(watermark_key(market))  # type: ignore[misc]
        async with redis.pipeline(transaction=False) as pipe:
            for symbol in symbols:
                behind = marks.get(symbol.encode(), b"-inf").decode()
                pipe.zcount(ticks_key(market, symbol), f"({behind}", "+inf")
                pipe.zrange(ticks_key(market, symbol), -1, -1, withscores=True)
            replies: list[Any] = await pipe.execute()
    ticks, longest_us = 0, 0
    for index, symbol in enumerate(symbols):
        count, newest = replies[2 * index : 2 * index + 2]
        ticks += count
        mark = marks.get(symbol.encode())
        if newest and mark is not None:
            longest_us = max(longest_us, int(newest[0][1]) - int(mark))
    return Lag(ticks, longest_us / MICROSECONDS_PER_SECOND)


async def keep_measuring(redis: Redis, market: str, symbols: Sequence[str], stopping: asyncio.Event) -> None:
    """Until ``stopping``; while Redis is away the last figures stay, and the recorder itself says why."""
    while not stopping.is_set():
        try:
            with closed_as_such():
                lag = await measure_lag(redis, market, symbols)
        except UNAVAILABLE:
            pass
        else:
            metrics.LAG_TICKS.labels(market).set(lag.ticks)
            metrics.LAG_SECONDS.labels(market).set(lag.seconds)
        await sleep_until(stopping, _EVERY_S)
