"""One replay: the fleet on recorded prints, from the first to the last, and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final

import asyncpg
import msgspec
import redis.asyncio as redis

from christmas.brokers.gateway.settings import ReplayOverride, is_lockstep
from christmas.fleet.drained import published_ticks, waiting_entries
from christmas.fleet.errors import FleetError
from christmas.fleet.health import read_metrics
from christmas.fleet.local import Opened
from christmas.fleet.processes import Listener
from christmas.fleet.records import DatabaseAwayError, open_pool, read_reports
from christmas.fleet.report import Report, TickTotals
from christmas.fleet.session import Session
from christmas.fleet.slot import Slot
from christmas.fleet.state import StateFolder
from christmas.fleet.supervisor import Supervisor
from christmas.fleet.wants import gateway
from christmas.ingestion.history import tick_counts
from christmas.ingestion.wipe import wipe_session, wipe_stream
from christmas.market.wire import UNAVAILABLE, backoff_s
from christmas.resources.broker import Broker, FeedSpec, ReplayFeed
from christmas.resources.strategy import Strategy
from christmas.telemetry.events import events_key
from christmas.telemetry.status import status_key

_POLL_S: Final = 0.1
_ROWS_DONE: Final = "christmas_gateway_replay_done_rows"
_ROWS_TOTAL: Final = "christmas_gateway_replay_total_rows"
_STUCK_S: Final = 30.0
_SETTLE_S: Final = 15.0
_STORE_BACK_S: Final = 60.0
_REDIS_TIMEOUT_S: Final = 5.0
_AWAY: Final = (DatabaseAwayError, asyncpg.PostgresError, asyncpg.InterfaceError, *UNAVAILABLE)


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What is replayed: running Strategies, the Brokers they name, files in the order of time."""

    strategies: tuple[Strategy, ...]
    brokers: tuple[Broker, ...]
    files: tuple[Path, ...]
    speed: str
    symbol: str | None
    until_end: bool


def plan_replay(
    strategies: Sequence[Strategy],
    brokers: Sequence[Broker],
    files: Sequence[Path],
    *,
    speed: str,
    symbol: str | None,
    until_end: bool,
) -> Replay:
    """Raises FleetError when there is nothing to replay, or no telling whose prices a file holds."""
    running = tuple(strategy for strategy in strategies if strategy.spec.state == "Running")
    if not running:
        raise FleetError("no Strategy runs here", "a replay needs one whose spec.state is Running")
    used = {strategy.spec.broker_ref.name for strategy in running}
    symbols = sorted({name for strategy in running for name in strategy.spec.symbols})
    if symbol is not None and symbol not in symbols:
        raise FleetError(f"no Strategy trades {symbol}", f"they trade {', '.join(symbols)}")
    return Replay(
        strategies=running,
        brokers=tuple(broker for broker in brokers if broker.metadata.name in used),
        files=tuple(file.resolve() for file in files),
        speed=speed,
        # Of several symbols none is the default: a file without a symbol column is then refused by its reader.
        symbol=symbol or (symbols[0] if len(symbols) == 1 else None),
        until_end=until_end,
    )


class ReplayRun:
    """Drives one replay; use as ``async with ReplayRun(...).running() as run``."""

    def __init__(self, replay: Replay, state: StateFolder, opened: Opened, tell: Listener) -> None:
        self._replay = replay
        self._state = state
        self._session = opened.session
        override = ReplayOverride(
            files=tuple(str(file) for file in replay.files),
            speed=replay.speed,
            symbol=replay.symbol,
            until_end=replay.until_end,
        )
        # Only a market that waits for who is away is the same afterwards.
        self._resumes = is_lockstep(FeedSpec(replay=ReplayFeed(files=override.files, speed=replay.speed)))
        self.supervisor = Supervisor(
            state,
            opened.session,
            opened.embedded,
            replay=override,
            restart="killed" if self._resumes else "never",
            tell=tell,
        )
        self._redis = redis.Redis.from_url(
            opened.session.redis_url, socket_connect_timeout=_REDIS_TIMEOUT_S, socket_timeout=_REDIS_TIMEOUT_S
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[ReplayRun]:
        """Stores started, what an earlier run of the same replay left forgotten, all processes on their way."""
        task: asyncio.Task[None] | None = None
        lock: asyncpg.Connection | None = None
        try:
            await self.supervisor.start()
            lock = await _lock(self._session)
            await self._forget_earlier_run()
            self.supervisor.catalogue.apply([*self._replay.brokers, *self._replay.strategies])
            task = asyncio.create_task(self.supervisor.run(), name="supervisor")
            yield self
        finally:
            self.supervisor.request_stop()
            if task is not None:
                await asyncio.gather(task, return_exceptions=True)
            await self._redis.aclose()
            if lock is not None:
                await lock.close()
            await self.supervisor.stop()

    async def until_stopped(self) -> None:
        """Until somebody stops the supervisor. Raises FleetError when a process has failed."""
        while not self.supervisor.is_stopping:
            self._raise_failure()
            await asyncio.sleep(_POLL_S)

    async def until_ended(self, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Until every gateway has come to the end of the files and every runtime has left.

        ``progress`` is told how many rows of how many (0: not known) were read. Raises FleetError when a
        process has failed, or when somebody stops the replay.
        """
        ended_at = 0.0
        while True:
            if self.supervisor.is_stopping:
                raise FleetError("the replay was stopped before its end")
            self._raise_failure()
            slots = self.supervisor.processes.slots
            if all(self._has_ended(broker) for broker in self._replay.brokers):
                ended_at = ended_at or time.monotonic()
                left = [slot for key, slot in slots.items() if key.kind == "runtime" and slot.state == "Running"]
                if not left or time.monotonic() - ended_at > _SETTLE_S:
                    break
            progress(*await self._rows())
            await asyncio.sleep(_POLL_S)

    async def report(self) -> Report:
        """Wait until all is stored, and sum it up. Raises FleetError when the recorder does not get there.

        A store that is started again meanwhile is waited for.
        """
        failures, away_since = 0, time.monotonic()
        while True:
            try:
                return await self._stored_report()
            except _AWAY as error:
                self._raise_failure()
                if self.supervisor.is_stopping:
                    raise FleetError("the replay was stopped before all was stored") from error
                failures += 1
                if time.monotonic() - away_since > _STUCK_S + _STORE_BACK_S:
                    raise FleetError(f"a store does not answer: {error}", "see `christmas doctor`") from error
                await asyncio.sleep(backoff_s(failures))

    async def _stored_report(self) -> Report:
        pool = await open_pool(self._session.database_url)
        try:
            for broker in self._replay.brokers:
                await self._until_stored(pool, broker)
            # Its orderly end stores what else waits: quarantined prints.
            await self.supervisor.processes.stop_kind("recorder", "the replay has ended")
            return await self._sum_up(pool)
        finally:
            await pool.close()

    async def _until_stored(self, pool: asyncpg.Pool, broker: Broker) -> None:
        market, symbols = self._session.market(broker.metadata.name), _symbols(broker)
        published = await published_ticks(self._redis, market, symbols)
        best, moved_at = -1, time.monotonic()
        while True:
            if self.supervisor.is_stopping:
                raise FleetError("the replay was stopped before all was stored")
            self._raise_failure()
            counts = await tick_counts(pool, market)
            stored, waiting = counts.total + counts.quarantined, await waiting_entries(self._redis, market)
            if counts.total >= published and not waiting:
                return
            if stored - waiting > best:
                best, moved_at = stored - waiting, time.monotonic()
            elif time.monotonic() - moved_at > _STUCK_S:
                what = f"{counts.total} of {published} ticks of {market} stored, {waiting} journal entries wait"
                log = self._state.log("recorder", "recorder")
                raise FleetError(f"the recorder is stuck: {what}", f"its log: {log}")
            await asyncio.sleep(_POLL_S)

    async def _sum_up(self, pool: asyncpg.Pool) -> Report:
        totals = TickTotals(received=0, stored=0, late=0, quarantined=0)
        ends: dict[str, int] = {}
        for broker in self._replay.brokers:
            name = broker.metadata.name
            ended = read_ended(self.supervisor.ended_file(name))
            counts = await tick_counts(pool, self._session.market(name))
            totals = TickTotals(
                received=totals.received + ended.received,
                stored=totals.stored + counts.total,
                late=totals.late + counts.late,
                quarantined=totals.quarantined + counts.quarantined,
            )
            ends[name] = ended.last_us
        return Report(
            replay_id=self._session.replay_id,
            session_id=self._session.session_id,
            ticks=totals,
            strategies=tuple(await read_reports(pool, self._session, self._replay.strategies, end_us=ends)),
        )

    async def _rows(self) -> tuple[int, int]:
        done = total = 0
        for broker in self._replay.brokers:
            slot = self.supervisor.processes.slots.get(gateway(broker.metadata.name))
            if slot is not None and slot.http_port and slot.state == "Running":
                values = await read_metrics(slot.http_port)
                done += int(values.get(_ROWS_DONE, 0))
                total += int(values.get(_ROWS_TOTAL, 0))
        return done, total

    async def _forget_earlier_run(self) -> None:
        pool = await open_pool(self._session.database_url)
        try:
            for broker in self._replay.brokers:
                market = self._session.market(broker.metadata.name)
                await wipe_session(pool, self._session.session_id, market)
                await wipe_stream(self._redis, market, _symbols(broker))
            keys = [events_key(self._session.replay_id)]
            for strategy in self._replay.strategies:
                market = self._session.market(strategy.spec.broker_ref.name)
                keys.append(status_key(market, strategy.metadata.name))
            await self._redis.delete(*keys)
        finally:
            await pool.close()

    def _has_ended(self, broker: Broker) -> bool:
        slot = self.supervisor.processes.slots.get(gateway(broker.metadata.name))
        if slot is None:
            return False
        # Without --until-end the gateway stays, for the table to be looked at.
        return slot.state == "Ended" or (slot.state == "Running" and self.supervisor.has_ended(slot.key))

    def _raise_failure(self) -> None:
        for key, slot in self.supervisor.processes.slots.items():
            if slot.state == "Exited" and slot.failures and not (self._resumes and slot.may_be_resumed):
                raise FleetError(f"{key} has failed: {slot.reason}", self._hint(slot))

    def _hint(self, slot: Slot) -> str:
        return f"its log: {slot.launched.log}" if slot.launched is not None else ""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway writes when its market has come to its end."""

    received: int
    last_us: int = 0


def read_ended(file: Path) -> Ended:
    """Raises FleetError when the gateway has not written it."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Ended)
    except (OSError, msgspec.MsgspecError) as error:
        raise FleetError(f"{file}: {error}", "the gateway has not come to the end of its files") from error


def _symbols(broker: Broker) -> list[str]:
    return [instrument.symbol for instrument in broker.spec.instruments]


async def _lock(session: Session) -> asyncpg.Connection:
    """Keeps a second run of the same replay out of the same rows."""
    connection = await asyncpg.connect(session.database_url, timeout=10)
    if not await connection.fetchval("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", session.session_id):
        await connection.close()
        raise FleetError(
            f"the replay {session.replay_id} runs already in this database", "wait for it, or use another DATABASE_URL"
        )
    return connection
