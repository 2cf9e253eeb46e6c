"""A part of the recorder that is started again, with a back-off, whenever what it needs is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import asyncpg
from redis.exceptions import RedisError

from christmas.ingestion import metrics
from christmas.market.wire import UNAVAILABLE, backoff_s, closed_as_such

logger = logging.getLogger(__name__)

TEMPORARY: Final = (
    *UNAVAILABLE,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # The driver's own confusion when a connection ends in the midst of a COPY.
    asyncpg.InternalClientError,
)
Reason = Callable[[str | None], None]


def kind_of(error: Exception) -> str:
    """Which of the two stores an error is about."""
    return "redis" if isinstance(error, (RedisError, EOFError)) else "database"


async def sleep_until(stopping: asyncio.Event, seconds: float) -> None:
    """Sleep, but not longer than until ``stopping``."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopping.wait()


class Attempts:
    """Counts the failures in a row; `worked` is called when there is progress."""

    def __init__(self) -> None:
        self.failures = 0

    def worked(self) -> None:
        self.failures = 0


async def keep_trying(
    work: Callable[[Attempts], Awaitable[None]],
    *,
    market: str,
    part: str,
    stopping: asyncio.Event,
    reason: Reason,
) -> None:
    """Run ``work`` until it returns; after a temporary error say so in ``reason``, wait, and run it again.

    Ends too when ``stopping`` is set and the work fails: what was not recorded stays in Redis.
    """
    attempts = Attempts()
    while True:
        try:
            with closed_as_such():
                await work(attempts)
        except TEMPORARY as error:
            attempts.failures += 1
            kind = kind_of(error)
            metrics.ERRORS.labels(market, part, kind).inc()
            text = f"{part} of {market}: {kind} failed: {type(error).__name__}: {error}"
            reason(text)
            if attempts.failures == 1:
                logger.warning("recording waits", extra={"market": market, "part": part, "error": text})
            if stopping.is_set():
                return
            await sleep_until(stopping, backoff_s(attempts.failures, first_s=0.1))
        else:
            return
