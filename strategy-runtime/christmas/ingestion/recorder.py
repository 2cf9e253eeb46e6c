"""The recorder process: ``python -m christmas.ingestion.recorder SETTINGS.json``.

It moves ticks, journals and quarantined prints from Redis to the database, and is never on the trading
path: when the database is away everything stays in Redis, and trading goes on.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from typing import Final

from redis.asyncio import Redis

from christmas.ingestion.database import connect
from christmas.ingestion.markets import MarketRecorder, Markets, Stores, keep_discovering
from christmas.ingestion.migrate import migrate
from christmas.ingestion.reader_role import ensure_reader, reader_role
from christmas.ingestion.reasons import Reasons
from christmas.ingestion.retention import keep_dropping
from christmas.ingestion.retry import Attempts, keep_trying
from christmas.ingestion.settings import RecorderSettings
from christmas.telemetry.events import StateEvent
from christmas.telemetry.priority import yield_to_others
from christmas.telemetry.process import ProcessContext, run_process
from christmas.telemetry.publisher import EventPublisher
from christmas.telemetry.settings import load_settings

logger = logging.getLogger("christmas.ingestion.recorder")

_SOCKET_DEADLINE_S: Final = 10.0
_SCHEMA: Final = "schema"


async def main(settings: RecorderSettings, context: ProcessContext) -> int:
    """Record until stopped. Exits with 2 when no database is set."""
    if settings.database_url is None:
        logger.error("database_url is not set: a recorder has nowhere to write")
        return 2
    if settings.reader_url is not None:
        try:
            reader_role(settings.reader_url)
        except ValueError as error:
            logger.error("%s", error)
            return 2
    yield_to_others(settings.niceness)
    redis = Redis.from_url(
        settings.redis_url, socket_timeout=_SOCKET_DEADLINE_S, socket_connect_timeout=_SOCKET_DEADLINE_S
    )
    events = EventPublisher(redis, settings.replay_id)
    try:
        await events.start()
        stores = Stores(settings.database_url, redis, Reasons(_Shown(context, events).show))
        await _prepare(settings, stores, context.stopping)
        if not context.stopping.is_set():
            await _record(settings, stores, context.stopping)
    finally:
        await events.close()
        await redis.aclose()
    return 0


class _Shown:
    """Shows why the recorder waits as its readiness, and tells in an event when that begins and when it ends."""

    def __init__(self, context: ProcessContext, events: EventPublisher) -> None:
        self._context = context
        self._events = events
        self._waits = False

    def show(self, reason: str | None) -> None:
        self._context.ready(reason)
        if self._waits is (reason is not None):
            return
        self._waits = reason is not None
        state = "Waiting" if self._waits else "Ready"
        self._events.publish(
            StateEvent(time_us=time.time_ns() // 1000, component="recorder", state=state, message=reason or "")
        )


async def _prepare(settings: RecorderSettings, stores: Stores, stopping: asyncio.Event) -> None:
    """Bring the schema to this version, as soon as the database is there."""

    async def once(attempts: Attempts) -> None:
        async with connect(stores.database_url, "migrate") as connection:
            found = await migrate(connection, retention_days=settings.retention_days)
            if settings.reader_url is not None:
                await ensure_reader(connection, settings.reader_url)
        attempts.worked()
        logger.info("database ready", extra={"database": found.summary})

    await keep_trying(once, market="", part="schema", stopping=stopping, reason=stores.reasons.of(_SCHEMA))


async def _record(settings: RecorderSettings, stores: Stores, stopping: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        markets = Markets(lambda market, its: MarketRecorder(market, its, settings, stores), group)
        for market, market_settings in settings.markets.items():
            markets.follow(market, market_settings)
        if settings.discover:
            told = settings.markets.keys()
            discovering = keep_discovering(
                stores.redis,
                lambda market, its: None if market in told else markets.follow(market, its),
                stopping,
                stores.reasons.of("discovery"),
            )
            group.create_task(discovering, name="discovery")
        if settings.retention_days > 0:
            dropping = keep_dropping(
                stores.database_url, settings.retention_days, stopping, stores.reasons.of("retention")
            )
            group.create_task(dropping, name="retention")
        # Not before the others are to be waited for: it would be ready in between.
        stores.reasons.forget(_SCHEMA)
        await stopping.wait()
        await markets.stop()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m christmas.ingestion.recorder SETTINGS.json")
    try:
        chosen = load_settings(RecorderSettings, sys.argv[1])
    except ValueError as error:
        sys.exit(str(error))
    run_process(chosen, main)
