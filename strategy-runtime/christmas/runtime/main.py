"""The runtime process: strategy, session, stream and status around one engine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from christmas.execution.protocol import (
    Advance,
    Answered,
    Goodbye,
    Hello,
    Report,
    SignalNote,
    TradingState,
    Welcome,
)
from christmas.execution.strategies.base import StrategyError
from christmas.market.reader import TickReader
from christmas.market.tick import MICROSECONDS_PER_SECOND, ClockAdvance, TickBatch
from christmas.resources.meta import duration_us
from christmas.resources.strategy import Strategy
from christmas.runtime import metrics
from christmas.runtime.build import acts_on_ticks, build_engine, build_strategies
from christmas.runtime.driver import Driver
from christmas.runtime.session import GatewaySession, SessionRefused
from christmas.runtime.settings import EXIT_REFUSED, RuntimeSettings
from christmas.runtime.status import StatusWriter
from christmas.runtime.warm_up import load_history, recall_best_prices
from christmas.telemetry import crash
from christmas.telemetry.cancelling import end
from christmas.telemetry.events import AlertEvent, SignalEvent, StateEvent
from christmas.telemetry.memory import release_unused
from christmas.telemetry.priority import yield_to_others
from christmas.telemetry.process import ProcessContext
from christmas.telemetry.publisher import EventPublisher
from christmas.telemetry.status import STATUS_PATH

logger = logging.getLogger(__name__)

_REDIS_DEADLINE_S: Final = 5.0
_NICENESS: Final = 5
"""Every tick wakes all runtimes: the gateway, through which the orders of all go, and Redis run before them."""


class Runtime:
    """One Strategy, from its first welcome to its end."""

    def __init__(self, settings: RuntimeSettings, context: ProcessContext, redis: Redis) -> None:
        self._settings = settings
        self._context = context
        self._redis = redis
        self._events = EventPublisher(redis, settings.replay_id)
        manifest = msgspec.json.decode(Path(settings.strategy_file).read_bytes(), type=Strategy)
        self._name = manifest.metadata.name
        self._spec = manifest.spec
        self._strategies = build_strategies(manifest.spec)
        self._session = GatewaySession(
            settings.gateway,
            Hello(
                permit=Path(settings.permit_file).read_text().strip(),
                instance=secrets.token_hex(8),
                timeframe_us=duration_us(manifest.spec.timeframe),
                acts_on_ticks=acts_on_ticks(manifest.spec, self._strategies),
            ),
        )
        self._driver: Driver | None = None
        self._reader: TickReader | None = None
        self._status: StatusWriter | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._waits: dict[str, str | None] = {"gateway": "no session with the gateway yet"}
        self._shown: str | None = None
        self._session.on_lost = partial(self._on_waiting, "gateway")

    async def run(self) -> int:
        """Trade until the gateway says goodbye, the process is told to stop, or a task of it fails."""
        await self._events.start()
        work = asyncio.create_task(self._follow_session(), name="session")
        stop = asyncio.create_task(self._context.stopping.wait(), name="stop")
        try:
            while True:
                done, _ = await asyncio.wait({work, stop, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
                if work in done:
                    return work.result()
                if stop in done:
                    return 0
                for task in self._tasks:
                    if task.done():
                        task.result()
                self._tasks = [task for task in self._tasks if not task.done()]
        finally:
            await end(stop, work, *self._tasks)
            await self._close()

    async def _close(self) -> None:
        if self._reader is not None:
            await self._reader.close()
        if self._status is not None:
            await self._status.write("Ended")
        self._say("stopped")
        await self._events.close()

    async def _follow_session(self) -> int:
        try:
            async for frame in self._session.frames():
                match frame:
                    case Welcome():
                        await self._welcome(frame)
                    case Report(report=report, intent=intent):
                        crash.point("runtime.report.received")
                        self._required_driver.report(report, intent)
                        crash.point("runtime.report.applied")
                    case TradingState(enabled=enabled, reason=reason):
                        self._required_driver.trading_state(enabled, reason)
                        self._tell_ready(enabled, reason)
                    case Advance():
                        await self._advance(frame)
                    case Goodbye(reason=reason):
                        crash.point("runtime.goodbye.received")
                        logger.info("the gateway says goodbye", extra={"reason": reason})
                        return 0
                    case _:
                        logger.warning("an unexpected frame", extra={"frame": type(frame).__name__})
        except SessionRefused as refused:
            logger.error("refused for good", extra={"reason": str(refused)})
            self._alert("SessionRefused", str(refused))
            return EXIT_REFUSED
        except StrategyError as error:
            self._alert("StrategyFailed", str(error))
            raise
        return 0

    @property
    def _required_driver(self) -> Driver:
        if self._driver is None:
            raise RuntimeError("the gateway sent a frame before its welcome")
        return self._driver

    async def _welcome(self, welcome: Welcome) -> None:
        crash.point("runtime.welcome.received")
        if self._driver is None:
            await self._start(welcome)
        crash.point("runtime.welcome.applied")
        self._required_driver.trading_state(welcome.trading_enabled, welcome.reason)
        self._tell_ready(welcome.trading_enabled, welcome.reason)

    async def _start(self, welcome: Welcome) -> None:
        engine = build_engine(self._name, self._spec, self._strategies, welcome)
        engine.restore(
            welcome.orders,
            welcome.clock_us,
            welcome.realised_pnl,
            closed_trades=welcome.closed_trades,
            winning_trades=welcome.winning_trades,
            fees=welcome.fees_paid,
            last_report_sequence=welcome.last_report_sequence,
        )
        timeframe_us = duration_us(self._spec.timeframe)
        bar_us = welcome.clock_us - welcome.clock_us % timeframe_us
        history = await load_history(
            self._strategies,
            redis=self._redis,
            database_url=self._settings.database_url,
            market=welcome.market,
            timeframe_us=timeframe_us,
            until_us=bar_us,
            market_waits=welcome.mode == "lockstep",
        )
        engine.warm_up(history)
        await recall_best_prices(engine, redis=self._redis, market=welcome.market, until_us=welcome.clock_us)
        # The bar that had begun is read again from its start, so that it is whole.
        reader = TickReader(
            self._settings.redis_url,
            welcome.market,
            self._spec.symbols,
            start=bar_us,
            on_waiting=partial(self._on_waiting, "redis"),
        )
        await reader.start()
        self._reader = reader
        self._driver = Driver(engine, self._session, known_us=welcome.clock_us, on_signal=self._on_signal)
        show = partial(self._context.show, STATUS_PATH)
        self._status = StatusWriter(self._redis, welcome.market, self._name, welcome.epoch, engine, show=show)
        if welcome.mode == "live":
            self._tasks.append(asyncio.create_task(self._follow_stream(reader, self._driver), name="stream"))
        self._tasks.append(asyncio.create_task(self._status.keep_writing(), name="status"))
        metrics.START.set(time.time() - _process_start())
        release_unused()
        self._say("started")

    async def _follow_stream(self, reader: TickReader, driver: Driver) -> None:
        async for message in reader:
            driver.show(message)

    async def _advance(self, frame: Advance) -> None:
        crash.point("runtime.advance.received")
        driver = self._required_driver
        if self._reader is None:
            raise RuntimeError("the gateway advanced the clock before its welcome")
        for message in await self._read_until(self._reader, frame):
            driver.show(message)
        crash.point("runtime.advance.shown")
        self._session.answer(Answered(clock_us=frame.clock_us, next_wake_us=driver.engine.next_wake_us() or 0))

    @staticmethod
    async def _read_until(reader: TickReader, frame: Advance) -> Sequence[TickBatch | ClockAdvance]:
        # The stream announces whole seconds; a window may end amid one.
        announced_us = frame.clock_us - frame.clock_us % MICROSECONDS_PER_SECOND
        while True:
            try:
                return await reader.read_until(frame.sequences, announced_us)
            except TimeoutError:
                logger.warning("the stream does not come; the market waits for it", extra={"clock_us": frame.clock_us})

    def _tell_ready(self, enabled: bool, reason: str) -> None:
        self._on_waiting("gateway", None if enabled else f"the gateway takes no entries: {reason}")

    def _on_waiting(self, what: str, reason: str | None) -> None:
        self._waits[what] = reason
        metrics.WAITING.labels(what).set(reason is not None)
        shown = next((why for why in self._waits.values() if why is not None), None)
        self._context.ready(shown)
        if shown != self._shown:
            self._shown = shown
            self._say("Ready" if shown is None else "Waiting", shown or "")

    def _on_signal(self, note: SignalNote) -> None:
        self._events.publish(
            SignalEvent(
                time_us=note.time_us,
                strategy=self._name,
                broker=self._spec.broker_ref.name,
                symbol=note.symbol,
                signal=note.signal,
                taken=note.taken,
                reason=note.reason,
            )
        )

    def _say(self, state: str, message: str = "") -> None:
        self._events.publish(
            StateEvent(
                time_us=time.time_ns() // 1000,
                strategy=self._name,
                broker=self._spec.broker_ref.name,
                component="runtime",
                state=state,
                message=message,
            )
        )

    def _alert(self, reason: str, message: str) -> None:
        self._events.publish(
            AlertEvent(
                time_us=time.time_ns() // 1000,
                strategy=self._name,
                broker=self._spec.broker_ref.name,
                severity="critical",
                reason=reason,
                message=message,
            )
        )


async def main(settings: RuntimeSettings, context: ProcessContext) -> int:
    """Run one Strategy; the exit code is 0 at an ordered end and EXIT_REFUSED when the gateway refused for good."""
    yield_to_others(_NICENESS)
    redis = Redis.from_url(
        settings.redis_url, socket_timeout=_REDIS_DEADLINE_S, socket_connect_timeout=_REDIS_DEADLINE_S
    )
    try:
        return await Runtime(settings, context, redis).run()
    finally:
        with contextlib.suppress(RedisError, OSError):
            await redis.aclose()


def _process_start() -> float:
    """When this process began, Unix seconds (Linux: from /proc; elsewhere, when this module was imported)."""
    try:
        fields = Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return _IMPORTED_AT
    import os  # noqa: PLC0415

    return time.time() - uptime + int(fields[19]) / os.sysconf("SC_CLK_TCK")


_IMPORTED_AT: Final = time.time()
