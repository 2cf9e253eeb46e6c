"""The recorder process: ``python -m christmas.ingestion.recorder SETTINGS.json``.

It moves ticks, journals and quarantined prints from Redis to the database, and is never on the trading
path: when the database is away everything stays in Redis, and trading goes on.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from christmas.ingestion.database import connect
from christmas.ingestion.instruments import register_instruments
from christmas.ingestion.journal_follower import JournalFollower
from christmas.ingestion.journal_store import Owner
from christmas.ingestion.lag import keep_measuring
from christmas.ingestion.migrate import migrate
from christmas.ingestion.quarantine_follower import QuarantineFollower
from christmas.ingestion.retention import keep_dropping
from christmas.ingestion.retry import Attempts, Reason, keep_trying
from christmas.ingestion.settings import RecorderSettings
from christmas.ingestion.tick_recorder import TickRecorder
from christmas.telemetry.priority import yield_to_others
from christmas.telemetry.process import ProcessContext, run_process
from christmas.telemetry.settings import load_settings

logger = logging.getLogger("christmas.ingestion.recorder")

STOP_WITHIN_S: Final = 10.0
_SOCKET_DEADLINE_S: Final = 10.0


class Reasons:
    """Why each part is not at work; the first of them is shown. None is at work until it says so."""

    def __init__(self, show: Callable[[str | None], None], parts: Iterable[str]) -> None:
        self._show = show
        self._reasons: dict[str, str | None] = {part: f"{part}: starting" for part in parts}

    def of(self, part: str) -> Reason:
        """Where ``part`` tells its reason."""

        def tell(reason: str | None) -> None:
            if self._reasons[part] != reason:
                self._reasons[part] = reason
                self._show(next((text for text in self._reasons.values() if text is not None), None))

        return tell


@dataclass(frozen=True)
class _Shared:
    """What all parts work with."""

    database_url: str
    redis: Redis
    stopping: asyncio.Event
    reasons: Reasons


async def main(settings: RecorderSettings, context: ProcessContext) -> int:
    """Record until stopped. Exits with 2 when no database is set."""
    if settings.database_url is None:
        logger.error("database_url is not set: a recorder has nowhere to write")
        return 2
    yield_to_others(settings.niceness)
    redis = Redis.from_url(
        settings.redis_url, socket_timeout=_SOCKET_DEADLINE_S, socket_connect_timeout=_SOCKET_DEADLINE_S
    )
    try:
        shared = _Shared(settings.database_url, redis, context.stopping, Reasons(context.ready, _names(settings)))
        await _prepare(settings, shared)
        if not context.stopping.is_set():
            await _record(settings, shared)
    finally:
        await redis.aclose()
    return 0


def _names(settings: RecorderSettings) -> list[str]:
    parts = [f"{part} of {market}" for market in settings.markets for part in ("ticks", "journal", "quarantine")]
    return ["schema", *parts, *(["retention"] if settings.retention_days > 0 else [])]


async def _prepare(settings: RecorderSettings, shared: _Shared) -> None:
    """Bring the schema to this version and write down the instruments, as soon as the database is there."""
    reason = shared.reasons.of("schema")

    async def once(attempts: Attempts) -> None:
        async with connect(shared.database_url, "migrate") as connection:
            found = await migrate(connection, retention_days=settings.retention_days)
            for market, market_settings in settings.markets.items():
                await register_instruments(connection, market, market_settings.instruments)
        attempts.worked()
        reason(None)
        logger.info("database ready", extra={"database": found.summary})

    await keep_trying(once, market="", part="schema", stopping=shared.stopping, reason=reason)


async def _record(settings: RecorderSettings, shared: _Shared) -> None:
    stopping = shared.stopping
    async with asyncio.TaskGroup() as group:
        parts = [
            group.create_task(part, name=name)
            for market in settings.markets
            for name, part in _parts(settings, market, shared).items()
        ]
        if settings.retention_days > 0:
            dropping = keep_dropping(
                shared.database_url, settings.retention_days, stopping, shared.reasons.of("retention")
            )
            parts.append(group.create_task(dropping, name="retention"))
        await stopping.wait()
        _, late = await asyncio.wait(parts, timeout=STOP_WITHIN_S)
        for part in late:
            logger.warning("stopped before all was recorded; it stays in Redis", extra={"part": part.get_name()})
            part.cancel()


def _parts(settings: RecorderSettings, market: str, shared: _Shared) -> dict[str, Coroutine[Any, Any, None]]:
    """What runs side by side for one market, by name."""
    symbols = settings.markets[market].recorded_symbols
    owner = Owner(market=market, broker=settings.markets[market].broker, session_id=settings.session_id)
    ticks = TickRecorder(
        redis=shared.redis,
        database_url=shared.database_url,
        market=market,
        symbols=symbols,
        stopping=shared.stopping,
        reason=shared.reasons.of(f"ticks of {market}"),
        batch_ticks=settings.batch_ticks,
        interval_s=settings.interval_ms / 1000,
    )
    journal = JournalFollower(
        redis=shared.redis,
        database_url=shared.database_url,
        owner=owner,
        stopping=shared.stopping,
        reason=shared.reasons.of(f"journal of {market}"),
        # People look for their orders sooner than for ticks.
        interval_s=settings.interval_ms / 2000,
    )
    quarantine = QuarantineFollower(
        redis=shared.redis,
        database_url=shared.database_url,
        market=market,
        stopping=shared.stopping,
        reason=shared.reasons.of(f"quarantine of {market}"),
    )
    return {
        f"ticks of {market}": ticks.run(),
        f"journal of {market}": journal.run(),
        f"quarantine of {market}": quarantine.run(),
        f"lag of {market}": keep_measuring(shared.redis, market, symbols, shared.stopping),
    }


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m christmas.ingestion.recorder SETTINGS.json")
    try:
        chosen = load_settings(RecorderSettings, sys.argv[1])
    except ValueError as error:
        sys.exit(str(error))
    run_process(chosen, main)
