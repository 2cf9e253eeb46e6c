"""History for the indicators: as many bars as make a restarted strategy decide like one that never stopped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final, TypeVar

from redis.asyncio import Redis

from christmas.execution.engine import Engine
from christmas.execution.strategies.base import Strategy
from christmas.market.bar import Bar
from christmas.market.history import highest_price, recent_bars
from christmas.market.wire import UNAVAILABLE, backoff_s
from christmas.runtime import metrics

logger = logging.getLogger(__name__)

_DEADLINE_S: Final = 15.0
_DATABASE_DEADLINE_S: Final = 10.0

T = TypeVar("T")


async def load_history(
    strategies: Mapping[str, Strategy],
    *,
    redis: Redis,
    database_url: str | None,
    market: str,
    timeframe_us: int,
    until_us: int,
    market_waits: bool = False,
) -> list[Bar]:
    """The bars that end by ``until_us`` (market time, µs), oldest first, of all symbols together.

    Redis has the recent ones, and is waited for: without it there is no market either, and a strategy that started
    cold would miss what one that never stopped acts upon. What it does not reach back to comes from the database.
    When that does not answer the strategy starts with what there is and warms up on live bars: the database only
    watches. Unless ``market_waits``, as in lock-step.
    """
    bars: list[Bar] = []
    for symbol, strategy in strategies.items():
        wanted = strategy.stable_bars
        recent = await _insist(
            "history",
            symbol,
            lambda: recent_bars(redis, market, symbol, timeframe_us, count=wanted, until_us=until_us),  # noqa: B023
        )
        if len(recent) < wanted and database_url is not None and until_us > 0:
            before_us = recent[0].start_us if recent else until_us
            older = await _from_database(
                database_url,
                market,
                symbol,
                timeframe_us,
                count=wanted - len(recent),
                until_us=before_us,
                market_waits=market_waits,
            )
            recent = older + recent
        metrics.WARM_UP_BARS.labels(symbol).set(len(recent))
        bars += recent
    return in_order(bars)


async def recall_best_prices(engine: Engine, *, redis: Redis, market: str, until_us: int) -> None:
    """Of positions that trail the market: what they have seen since they were opened, as far as Redis has it.

    Waits for Redis.
    """
    for position_id, symbol, opened_us in engine.trails():
        price = await _insist(
            "best price",
            symbol,
            lambda: highest_price(redis, market, symbol, opened_us, until_us),  # noqa: B023
        )
        if price is not None:
            engine.recall_best_price(position_id, price)


def in_order(bars: Iterable[Bar]) -> list[Bar]:
    """As the market went: by end, and within one moment by symbol."""
    return sorted(bars, key=lambda bar: (bar.end_us, bar.symbol))


async def _insist(what: str, symbol: str, ask: Callable[[], Awaitable[T]]) -> T:
    """Ask Redis for as long as it takes."""
    failures = 0
    while True:
        try:
            async with asyncio.timeout(_DEADLINE_S):
                return await ask()
        except UNAVAILABLE as error:
            failures += 1
            if failures == 1:
                logger.warning(
                    "warming up waits for Redis", extra={"what": what, "symbol": symbol, "error": str(error)}
                )
            await asyncio.sleep(backoff_s(failures))


async def _from_database(
    database_url: str, market: str, symbol: str, timeframe_us: int, *, count: int, until_us: int, market_waits: bool
) -> list[Bar]:
    # The driver costs memory: only a strategy whose history Redis does not hold loads it.
    import asyncpg  # noqa: PLC0415

    from christmas.ingestion.history import load_bars  # noqa: PLC0415

    failures = 0
    while True:
        try:
            async with asyncio.timeout(_DATABASE_DEADLINE_S):
                pool = await asyncpg.create_pool(database_url, min_size=1, max_size=1)
                try:
                    bars: list[Bar] = await load_bars(pool, market, symbol, timeframe_us, count, until_us)
                    return bars
                finally:
                    with suppress(asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError):
                        await pool.close()
        except (
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            # The driver's own confusion when a connection breaks while it is handed back.
            asyncpg.InternalClientError,
            OSError,
            TimeoutError,
        ) as error:
            logger.warning("the database gave no history", extra={"symbol": symbol, "error": str(error)})
            if not market_waits:
                return []
            failures += 1
            await asyncio.sleep(backoff_s(failures))
