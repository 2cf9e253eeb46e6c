"""Which markets there are: the gateway of each tells Redis, and the recorder finds them there.

The hash ``markets`` has a field for each market. A Broker that is gone leaves its field: its ticks may still wait
to be recorded, and following a market in which nothing happens costs next to nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from christmas.market.instrument import Instrument
from christmas.market.wire import UNAVAILABLE, backoff_s, closed_as_such
from christmas.telemetry.unreadable import UNREADABLE

logger = logging.getLogger(__name__)

MARKETS_KEY: Final = "markets"
_AGAIN_S: Final = 10.0
"""Said again so often: a Redis that came back empty learns of the market within it."""
_DEADLINE_S: Final = 5.0


class AnnouncedMarket(msgspec.Struct, frozen=True, kw_only=True):
    """What a recorder has to know of a market to record it."""

    broker: str
    instruments: tuple[Instrument, ...]
    session_id: str = "default"
    """What its orders and fills belong to in the database."""


_decode: Final = msgspec.json.Decoder(AnnouncedMarket).decode


async def keep_announcing(
    redis: Redis, market: str, broker: str, instruments: Iterable[Instrument], *, session_id: str = "default"
) -> None:
    """Until cancelled. Redis being away delays it, and nothing else."""
    announced = AnnouncedMarket(broker=broker, instruments=tuple(instruments), session_id=session_id)
    value = msgspec.json.encode(announced)
    failures = 0
    while True:
        try:
            with closed_as_such():
                async with asyncio.timeout(_DEADLINE_S):
                    await redis.hset(MARKETS_KEY, market, value)  # type: ignore[misc, arg-type]
            failures = 0
        except UNAVAILABLE as error:
            failures += 1
            if failures == 1:
                logger.warning("the market is not announced: Redis does not answer", extra={"error": str(error)})
        await asyncio.sleep(_AGAIN_S if failures == 0 else backoff_s(failures, first_s=0.1, longest_s=_AGAIN_S))


async def announced_markets(redis: Redis) -> dict[str, AnnouncedMarket]:
    """By market; an entry that cannot be read is left out, and logged. Raises what the Redis client raises."""
    async with asyncio.timeout(_DEADLINE_S):
        fields: dict[bytes, bytes] = await redis.hgetall(MARKETS_KEY)  # type: ignore[misc]
    found: dict[str, AnnouncedMarket] = {}
    for name, value in fields.items():
        market: Any = name.decode(errors="backslashreplace")
        try:
            found[market] = _decode(value)
        except UNREADABLE as error:
            logger.error("an announced market cannot be read", extra={"market": market, "error": str(error)})
    return found
