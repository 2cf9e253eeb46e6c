"""The markets that one recorder follows: those it was told of, and those that gateways announce."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from christmas.ingestion.database import connect
from christmas.ingestion.instruments import register_instruments
from christmas.ingestion.journal_follower import JournalFollower
from christmas.ingestion.journal_store import Owner
from christmas.ingestion.lag import keep_measuring
from christmas.ingestion.quarantine_follower import QuarantineFollower
from christmas.ingestion.reasons import Reasons
from christmas.ingestion.retry import Attempts, Reason, keep_trying, sleep_until
from christmas.ingestion.settings import MarketSettings, RecorderSettings
from christmas.ingestion.tick_recorder import TickRecorder
from christmas.market.announced import announced_markets
from christmas.telemetry.cancelling import end

logger = logging.getLogger(__name__)

STOP_WITHIN_S: Final = 10.0
_LOOK_EVERY_S: Final = 1.0


@dataclass(frozen=True)
class Stores:
    """What all parts of all markets work with."""

    database_url: str
    redis: Redis
    reasons: Reasons


class MarketRecorder:
    """Ticks, journal and quarantine of one market, side by side."""

    def __init__(
        self, market: str, market_settings: MarketSettings, settings: RecorderSettings, stores: Stores
    ) -> None:
        self.market = market
        self.market_settings = market_settings
        self.stopping = asyncio.Event()
        self._settings = settings
        self._stores = stores
        parts = ("instruments", "ticks", "journal", "quarantine")
        self._reasons = {part: stores.reasons.of(f"{part} of {market}") for part in parts}

    async def run(self) -> None:
        """Until ``stopping``; then what is in Redis is recorded still, for at most `STOP_WITHIN_S`."""
        await keep_trying(
            self._register,
            market=self.market,
            part="instruments",
            stopping=self.stopping,
            reason=self._reasons["instruments"],
        )
        async with asyncio.TaskGroup() as group:
            parts = [group.create_task(work, name=name) for name, work in self._work().items()]
            await self.stopping.wait()
            _, late = await asyncio.wait(parts, timeout=STOP_WITHIN_S)
            for part in late:
                logger.warning("stopped before all was recorded; it stays in Redis", extra={"part": part.get_name()})
            await end(*late)

    async def _register(self, attempts: Attempts) -> None:
        async with connect(self._stores.database_url, f"instruments-{self.market}") as connection:
            await register_instruments(connection, self.market, self.market_settings.instruments)
        attempts.worked()
        self._reasons["instruments"](None)

    def _work(self) -> dict[str, Coroutine[Any, Any, None]]:
        stores, settings, market = self._stores, self._settings, self.market
        symbols = self.market_settings.recorded_symbols
        owner = Owner(
            market=market,
            broker=self.market_settings.broker,
            session_id=self.market_settings.session_id or settings.session_id,
        )
        ticks = TickRecorder(
            redis=stores.redis,
            database_url=stores.database_url,
            market=market,
            symbols=symbols,
            stopping=self.stopping,
            reason=self._reasons["ticks"],
            batch_ticks=settings.batch_ticks,
            interval_s=settings.interval_ms / 1000,
        )
        journal = JournalFollower(
            redis=stores.redis,
            database_url=stores.database_url,
            owner=owner,
            stopping=self.stopping,
            reason=self._reasons["journal"],
            # People look for their orders sooner than for ticks.
            interval_s=settings.interval_ms / 2000,
        )
        quarantine = QuarantineFollower(
            redis=stores.redis,
            database_url=stores.database_url,
            market=market,
            stopping=self.stopping,
            reason=self._reasons["quarantine"],
        )
        return {
            f"ticks of {market}": ticks.run(),
            f"journal of {market}": journal.run(),
            f"quarantine of {market}": quarantine.run(),
            f"lag of {market}": keep_measuring(stores.redis, market, symbols, self.stopping),
        }


class Markets:
    """Starts a `MarketRecorder` for each market, and another one when the market has changed."""

    def __init__(self, make: Callable[[str, MarketSettings], MarketRecorder], group: asyncio.TaskGroup) -> None:
        self._make = make
        self._group = group
        self._followed: dict[str, tuple[MarketRecorder, asyncio.Task[None]]] = {}

    def follow(self, market: str, settings: MarketSettings) -> None:
        """Nothing happens to a market that is followed with these settings already."""
        known = self._followed.get(market)
        if known is not None and known[0].market_settings == settings:
            return
        logger.info("a market changed" if known else "a market", extra={"market": market, "broker": settings.broker})
        recorder = self._make(market, settings)
        self._followed[market] = recorder, self._group.create_task(_in_turn(known, recorder), name=f"record {market}")

    async def stop(self) -> None:
        for recorder, _ in self._followed.values():
            recorder.stopping.set()
        tasks = [task for _, task in self._followed.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=STOP_WITHIN_S + 1)
            await end(*late)


async def _in_turn(former: tuple[MarketRecorder, asyncio.Task[None]] | None, recorder: MarketRecorder) -> None:
    if former is not None:
        former[0].stopping.set()
        await asyncio.wait([former[1]])
    await recorder.run()


async def keep_discovering(
    redis: Redis, follow: Callable[[str, MarketSettings], None], stopping: asyncio.Event, reason: Reason
) -> None:
    """Look each second for markets that gateways announce, until ``stopping``.

    A market that is not announced any more stays followed: it may be Redis that has lost the announcement.
    """

    async def look(attempts: Attempts) -> None:
        while not stopping.is_set():
            for market, announced in (await announced_markets(redis)).items():
                settings = MarketSettings(
                    broker=announced.broker, instruments=announced.instruments, session_id=announced.session_id
                )
                follow(market, settings)
            attempts.worked()
            reason(None)
            await sleep_until(stopping, _LOOK_EVERY_S)

    await keep_trying(look, market="", part="discovery", stopping=stopping, reason=reason)
