"""Bars from the ticks that Redis still holds, for warm-up."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Final

from redis.asyncio import Redis

from christmas.market.bar import Bar
from christmas.market.bars import BarBuilder
from christmas.market.stored import Complaints, as_stored
from christmas.market.stream import stream_key, trimmed_field
from christmas.market.tick import Tick, ticks_key

_PAGE: Final = 1_000
_BARS_A_WINDOW: Final = 64
_DEADLINE_S: Final = 30.0


async def recent_bars(
    redis: Redis, market: str, symbol: str, timeframe_us: int, *, count: int, until_us: int
) -> list[Bar]:
    """The last ``count`` bars that end by ``until_us``, oldest first; fewer when Redis holds fewer.

    An interval without a tick has no bar, so they may reach further back than ``count`` intervals. A bar
    of which Redis may hold only a part is left out. Ticks are read in pages: memory does not grow with
    their number. What cannot be read is passed over. Raises RedisError, or TimeoutError after 30 s.
    """
    prints = _Prints(redis, market, symbol)
    bars: deque[Bar] = deque()
    async with asyncio.timeout(_DEADLINE_S):
        (trimmed,) = await redis.hmget(stream_key(market), [trimmed_field(symbol)])  # type: ignore[misc]
        complete_from_us = int(trimmed) if trimmed else 0
        end_us = until_us - until_us % timeframe_us
        while len(bars) < count:
            newest_us = await prints.newest_before(end_us)
            if newest_us is None or newest_us < complete_from_us:
                break
            end_us = newest_us - newest_us % timeframe_us + timeframe_us
            start_us = max(end_us - timeframe_us * min(_BARS_A_WINDOW, count - len(bars)), 0)
            window = await _bars_between(prints, BarBuilder(symbol, timeframe_us), start_us, end_us)
            bars.extendleft(bar for bar in reversed(window) if bar.start_us >= complete_from_us)
            end_us = start_us
    return list(bars)[-count:] if count else []


async def highest_price(redis: Redis, market: str, symbol: str, from_us: int, to_us: int) -> Decimal | None:
    """Of the prints from ``from_us`` to ``to_us``, both included, that Redis still holds; None without one.

    Late ones do not count, and what cannot be read is passed over. Raises RedisError, or TimeoutError after 30 s.
    """
    prints = _Prints(redis, market, symbol)
    highest: Decimal | None = None
    async with asyncio.timeout(_DEADLINE_S):
        async for tick in prints.between(from_us, to_us + 1):
            if not tick.late:
                high = tick.price if tick.high is None else tick.high
                highest = high if highest is None else max(highest, high)
    return highest


async def _bars_between(prints: _Prints, builder: BarBuilder, start_us: int, end_us: int) -> list[Bar]:
    bars: list[Bar] = []
    async for tick in prints.between(start_us, end_us):
        bars += builder.add(tick)
    return bars + builder.advance(end_us)


class _Prints:
    """Those of one symbol's set that can be read."""

    def __init__(self, redis: Redis, market: str, symbol: str) -> None:
        self._redis = redis
        self._key = ticks_key(market, symbol)
        self._symbol = symbol
        self._complaints = Complaints(market)

    async def newest_before(self, time_us: int) -> int | None:
        """The time of the newest member before ``time_us``."""
        found = await self._redis.zrange(
            self._key, f"({time_us}", "-inf", desc=True, byscore=True, offset=0, num=1, withscores=True
        )
        return int(found[0][1]) if found else None

    async def between(self, start_us: int, end_us: int) -> AsyncIterator[Tick]:
        """From ``start_us`` on and before ``end_us``, in the set's order; read in pages."""
        size = _PAGE
        while True:
            members = await self._redis.zrange(
                self._key, start_us, f"({end_us}", byscore=True, offset=0, num=size, withscores=True
            )
            stored = as_stored(self._symbol, members)
            self._complaints.of(self._symbol, stored.unreadable)
            last_us = stored.last_us
            if last_us is None or len(members) < size:
                for tick in stored.ticks:
                    yield tick
                return
            # A full page may end amid ticks of one time, so the next begins with all of that time.
            if last_us == start_us:
                size *= 4
                continue
            for tick in stored.ticks:
                if tick.time_us < last_us:
                    yield tick
            start_us = last_us
