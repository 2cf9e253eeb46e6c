"""Bars from the ticks that Redis still holds, for warm-up."""

from __future__ import annotations

import asyncio
from collections import deque
from decimal import Decimal
from typing import Final

import msgspec
from redis.asyncio import Redis

from christmas.market.bar import Bar
from christmas.market.bars import BarBuilder
from christmas.market.stream import stream_key, trimmed_field
from christmas.market.tick import Tick, ticks_key

_PAGE: Final = 1_000
_BARS_A_WINDOW: Final = 64
_DEADLINE_S: Final = 30.0
_decode_tick = msgspec.json.Decoder(Tick).decode


async def recent_bars(
    redis: Redis, market: str, symbol: str, timeframe_us: int, *, count: int, until_us: int
) -> list[Bar]:
    """The last ``count`` bars that end by ``until_us``, oldest first; fewer when Redis holds fewer.

    An interval without a tick has no bar, so they may reach further back than ``count`` intervals. A bar
    of which Redis may hold only a part is left out. Ticks are read in pages: memory does not grow with
    their number. Raises RedisError, or TimeoutError after 30 s.
    """
    key = ticks_key(market, symbol)
    bars: deque[Bar] = deque()
    async with asyncio.timeout(_DEADLINE_S):
        (trimmed,) = await redis.hmget(stream_key(market), [trimmed_field(symbol)])  # type: ignore[misc]
        complete_from_us = int(trimmed) if trimmed else 0
        end_us = until_us - until_us % timeframe_us
        while len(bars) < count:
            newest_us = await _newest_before(redis, key, end_us)
            if newest_us is None or newest_us < complete_from_us:
                break
            end_us = newest_us - newest_us % timeframe_us + timeframe_us
            start_us = max(end_us - timeframe_us * min(_BARS_A_WINDOW, count - len(bars)), 0)
            window = await _bars_between(redis, key, BarBuilder(symbol, timeframe_us), start_us, end_us)
            bars.extendleft(bar for bar in reversed(window) if bar.start_us >= complete_from_us)
            end_us = start_us
    return list(bars)[-count:] if count else []


async def highest_price(redis: Redis, market: str, symbol: str, from_us: int, to_us: int) -> Decimal | None:
    """Of the prints from ``from_us`` to ``to_us``, both included, that Redis still holds; None without one.

    Late ones do not count. Raises RedisError, or TimeoutError after 30 s.
    """
    highest: Decimal | None = None
    offset_us, skip = from_us, 0
    async with asyncio.timeout(_DEADLINE_S):
        while True:
            members = await redis.zrange(
                ticks_key(market, symbol), offset_us, to_us, byscore=True, offset=skip, num=_PAGE
            )
            ticks = [_decode_tick(member) for member in members]
            for tick in ticks:
                if not tick.late:
                    high = tick.price if tick.high is None else tick.high
                    highest = high if highest is None else max(highest, high)
            if len(ticks) < _PAGE:
                return highest
            # Ticks of one time may go on behind the page.
            same = sum(tick.time_us == ticks[-1].time_us for tick in ticks)
            skip = skip + same if ticks[-1].time_us == offset_us else same
            offset_us = ticks[-1].time_us


async def _newest_before(redis: Redis, key: str, time_us: int) -> int | None:
    found = await redis.zrange(key, f"({time_us}", "-inf", desc=True, byscore=True, offset=0, num=1, withscores=True)
    return int(found[0][1]) if found else None


async def _bars_between(redis: Redis, key: str, builder: BarBuilder, start_us: int, end_us: int) -> list[Bar]:
    bars: list[Bar] = []
    size = _PAGE
    while True:
        members = await redis.zrange(key, start_us, f"({end_us}", byscore=True, offset=0, num=size)
        ticks = [_decode_tick(member) for member in members]
        if len(ticks) < size:
            for tick in ticks:
                bars += builder.add(tick)
            return bars + builder.advance(end_us)
        # A full page may end amid ticks of one time, so the next begins with all of that time.
        last_us = ticks[-1].time_us
        if last_us == start_us:
            size *= 4
            continue
        for tick in ticks:
            if tick.time_us < last_us:
                bars += builder.add(tick)
        start_us = last_us
