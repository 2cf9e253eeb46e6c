"""A gateway put together: what starts in which order, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import random
import sqlite3
import sys
import time
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from christmas.brokers.feeds.error import FeedError
from christmas.brokers.feeds.exchange import PublicExchangeFeed
from christmas.brokers.feeds.open import open_feed
from christmas.brokers.feeds.replay import ReplayFeed
from christmas.brokers.feeds.synthetic import SyntheticFeed
from christmas.brokers.gateway import metrics
from christmas.brokers.gateway.book import Book
from christmas.brokers.gateway.budget import RequestBudget
from christmas.brokers.gateway.commands import Commands
from christmas.brokers.gateway.desk import Desk
from christmas.brokers.gateway.feed_watch import FeedWatch, Silence
from christmas.brokers.gateway.journal import Journal, JournalDamaged, JournalFailed
from christmas.brokers.gateway.ledger import Ledger
from christmas.brokers.gateway.lockstep import Lockstep
from christmas.brokers.gateway.market import LiveMarket, Market, skipped_until
from christmas.brokers.gateway.outbox import Outbox
from christmas.brokers.gateway.plan import market_end
from christmas.brokers.gateway.quotes import Quotes
from christmas.brokers.gateway.reconcile import Reconciler
from christmas.brokers.gateway.risk import AccountBounds
from christmas.brokers.gateway.server import Identity, Server
from christmas.brokers.gateway.settings import GatewaySettings, broker_of, feed_of, is_lockstep, market_of
from christmas.brokers.gateway.timing import Timing, lockstep_timing
from christmas.brokers.paper.ledger import LedgerUnusable
from christmas.brokers.paper.venue import PaperVenue
from christmas.brokers.permit import read_key
from christmas.brokers.port import Feed, VenueError
from christmas.market.announced import keep_announcing
from christmas.market.instrument import Instrument
from christmas.market.quality import QualityLimits
from christmas.market.sequencer import Sequencer
from christmas.market.stream import StreamState
from christmas.market.writer import TickWriter
from christmas.resources.broker import AccountLimits
from christmas.resources.meta import duration_us, fraction
from christmas.telemetry import crash
from christmas.telemetry.cancelling import end
from christmas.telemetry.events import AlertEvent, Severity, StateEvent
from christmas.telemetry.priority import answer_at_once
from christmas.telemetry.process import ProcessContext
from christmas.telemetry.publisher import EventPublisher
from christmas.telemetry.steady import steady_us

logger = logging.getLogger(__name__)

ENDED_FILE: Final = "ended.json"
OVER_FILE: Final = "over.json"
"""As the other one, before anybody is told; and it stays when the gateway is started again."""
_SWITCH_INTERVAL_S: Final = 0.0002
"""How long the loop may keep the interpreter from the journal's thread, which needs it for moments only."""
_SEEDED_S: Final = 900
_FLUSH_S: Final = 60.0
_LAST_GUESTS_S: Final = 3.0
_LAST_BARS_S: Final = 70.0
"""At the wall's pace: how long the end of the last bars is waited for; longer ones then end at once."""
_LAST_ANSWERS_S: Final = 0.5
"""What is decided at the market's end is still written down."""
_WATCH_EVERY_S: Final = 0.25
_UNUSABLE: Final = 2
"""The exit code for settings with which no start can succeed."""


def seeded_s(now_us: int, clock_us: int) -> int:
    """How many seconds before now are made up again at a start: all since the stream's clock, and what of it is
    known already is known as a duplicate."""
    return min(_SEEDED_S, max(0, now_us - clock_us) // 1_000_000 + 1)


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay that ran to its end amounts to, as ``ended.json`` tells it."""

    received: int
    quarantined: int
    duplicates: int
    late: int
    first_us: int
    last_us: int
    last_price: dict[str, Decimal]


class Gateway:
    """The parts of one gateway process."""

    def __init__(self, settings: GatewaySettings, context: ProcessContext) -> None:
        """Raises ValueError for settings that cannot work. Needs a running event loop."""
        self._settings = settings
        self._context = context
        self.broker = broker_of(settings)
        self._feed_spec = feed_of(settings, self.broker)
        self.is_lockstep = is_lockstep(self._feed_spec)
        self.market_name = market_of(settings, self.broker)
        self._until_end = settings.replay is not None and settings.replay.until_end
        self._state = Path(settings.state_directory)
        self._state.mkdir(parents=True, exist_ok=True)
        name, paper = self.broker.metadata.name, self.broker.spec.paper
        if self.broker.spec.type != "paper":
            raise ValueError(f"Broker {name}: this gateway trades at paper venues, not at {self.broker.spec.type}")
        self._order_latency_us = duration_us(paper.order_latency)
        report_latency_us = duration_us(paper.report_latency)
        answer_latency_us = self._answer_latency_us = self._order_latency_us + report_latency_us
        timing = (
            lockstep_timing(answer_latency_us, report_latency_us)
            if self.is_lockstep
            else Timing(answer_latency_us=answer_latency_us, report_latency_us=report_latency_us)
        )
        self._redis = Redis.from_url(settings.redis_url)
        self._events = EventPublisher(self._redis, settings.replay_id)
        self.quotes = Quotes()
        self.journal = Journal(self._state / "journal.sqlite", synced=not self.is_lockstep)
        self.ledger = Ledger(self.journal, Book(), self.quotes, broker=name, publish=self._events.publish)
        self.venue = PaperVenue(self.broker.spec, self._state)
        limits = self.broker.spec.limits
        self._budget = RequestBudget(
            limits.requests_per_minute,
            (lambda: self.quotes.clock_us / 1e6) if self.is_lockstep else time.monotonic,
            self_driven=not self.is_lockstep,
        )
        self.desk = Desk(
            ledger=self.ledger,
            venue=self.venue,
            quotes=self.quotes,
            budget=self._budget,
            timing=timing,
            bounds=_bounds(limits),
            broker=name,
            publish=self._events.publish,
        )
        self._reconciler = Reconciler(
            desk=self.desk, ledger=self.ledger, venue=self.venue, timing=timing, on_change=self._on_blocked
        )
        self.desk.on_trouble = self._reconciler.request
        self.server = Server(
            Identity(
                broker=name,
                market=self.market_name,
                mode="lockstep" if self.is_lockstep else "live",
                permit_key=read_key(Path(settings.permit_key_file)),
            ),
            ledger=self.ledger,
            desk=self.desk,
            quotes=self.quotes,
            publish=self._events.publish,
        )
        self._commands = Commands(
            ledger=self.ledger,
            desk=self.desk,
            venue=self.venue,
            quotes=self.quotes,
            on_trading=self.server.tell_trading,
        )
        self.server.command = self._commands.run
        self._outbox = Outbox(self._redis, self.journal, self.market_name)
        self._writer = TickWriter(
            self._redis, self.market_name, on_alert=self._on_market_alert, on_waiting=self._on_redis_away
        )
        self.journal.on_waiting = self._on_journal_waits
        self._redis_away: str | None = None
        self._blocked: str | None = "starting"
        self._waiting: str | None = None
        self._feed: Feed | None = None
        self._silence = Silence()
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> int:
        """Until the market has ended, somebody stops it, or it cannot go on; the exit code."""
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        self._show_readiness()
        self.ledger.recover()
        self._commands.watch_holds()
        is_fresh = self.journal.sequence == 0
        await self._events.start()
        await self._prepare_outbox()
        await self.server.start(self._settings.listen)
        self._spawn(self._outbox.run(), "outbox")
        instruments = await self._meet_venue()
        if not self._settings.replay_id:
            # Who starts a replay tells the recorder of its market.
            name = self.broker.metadata.name
            announcing = keep_announcing(
                self._redis, self.market_name, name, instruments.values(), session_id=self._settings.session_id
            )
            self._spawn(announcing, "announcement")
        state = await self._writer.load_state(tuple(instruments))
        market = self._market(instruments, state)
        market.catch_up(state)
        if self._settings.replay is not None:
            market.counts.quarantined = state.refused
        await self._writer.start()
        drive = await self._drive(market, instruments, state)
        if isinstance(self._feed, PublicExchangeFeed) and self._feed_spec.exchange is not None:
            silent_after_us = duration_us(self._feed_spec.exchange.silent_after)
            feed_watch = FeedWatch(instruments.values(), silent_after_us=silent_after_us, now_us=steady_us())
            self._on_silence(feed_watch.look(steady_us(), None))
            self._spawn(self._watch_feed(self._feed, feed_watch), "feed watch")
        self.server.opened.set()
        self._spawn(self._reconciler.run(), "reconciler")
        self._reconciler.request("start")
        logger.info("gateway started", extra={"market": self.market_name, "fresh": is_fresh})
        gc.collect()
        gc.freeze()
        self._spawn(self._watch(), "watch")
        if (over := self._over()) is not None:
            return await self._end_again(over)
        return await self._until_over(asyncio.create_task(drive(), name="market"), market)

    async def close(self) -> None:
        """Stop in an order in which nothing that was written is lost."""
        self._commands.close()
        await self.server.close()
        if self._feed is not None:
            await self._feed.close()
        await self.desk.close()
        if self._outbox.sent < self.journal.sequence and not await self._outbox.flush(2.0):
            logger.warning("the journal goes to Redis at the next start", extra={"sent": self._outbox.sent})
        await end(*self._tasks)
        self._budget.close()
        await self._writer.close()
        await self._events.close()
        self.journal.close()
        await self.venue.close()
        await self._redis.aclose()

    # --- starting ------------------------------------------------------------------------------

    async def _prepare_outbox(self) -> None:
        failures = 0
        while True:
            try:
                await self._outbox.prepare(is_replay=bool(self._settings.replay_id))
                return
            except (RedisError, OSError, TimeoutError, RuntimeError) as error:
                # RuntimeError: uvloop's word for a connection that broke while nobody looked.
                failures += 1
                self._on_blocked(f"Redis does not answer: {error}")
                await asyncio.sleep(random.uniform(0.5, 1.0) * min(5.0, 0.05 * 2**failures))

    async def _meet_venue(self) -> dict[str, Instrument]:
        failures = 0
        while True:
            try:
                async with asyncio.timeout(10.0):
                    await self.venue.connect(self.desk.on_report)
                    instruments = self.desk.instruments = await self.venue.instruments()
                    self.server.fees = await self.venue.fees()
                return instruments
            except (VenueError, OSError, TimeoutError) as error:
                failures += 1
                self._on_blocked(f"the venue does not answer: {error}")
                await asyncio.sleep(random.uniform(0.5, 1.0) * min(15.0, 0.1 * 2**failures))

    def _market(self, instruments: dict[str, Instrument], state: StreamState) -> Market:
        quality = QualityLimits(max_tick_move=fraction(self.broker.spec.limits.max_tick_move))
        return Market(
            sequencer=Sequencer(instruments, quality, state),
            writer=self._writer,
            quotes=self.quotes,
            simulated=self.venue,
            on_advance=self._budget.pump if self.is_lockstep else lambda: None,
        )

    # --- the market ----------------------------------------------------------------------------

    async def _drive(
        self, market: Market, instruments: dict[str, Instrument], state: StreamState
    ) -> Callable[[], Coroutine[Any, Any, None]]:
        """Open the feed; what is returned plays it to its end. Raises FeedError."""
        skip_until_us = skipped_until(state) if self._feed_spec.replay is not None else 0
        feed = self._feed = open_feed(
            self._feed_spec, instruments, base_dir=Path(self._settings.base_dir), paced_from_us=skip_until_us
        )
        if self.is_lockstep:
            lockstep = Lockstep(
                market,
                self.venue,
                server=self.server,
                desk=self.desk,
                ledger=self.ledger,
                budget=self._budget,
                order_latency_us=self._order_latency_us,
                answer_latency_us=self._answer_latency_us,
                expected=frozenset(self._settings.expected_sessions),
                skip_until_us=skip_until_us,
                answered_us=state.answered_us,
                on_waiting=self._on_waiting,
            )
            return lambda: self._run_lockstep(lockstep, feed)
        paper = self.broker.spec.paper
        live = LiveMarket(
            market,
            is_replay=self._feed_spec.replay is not None,
            skip_until_us=skip_until_us,
            # Half of either latency is left to what really takes time on the way there, and back.
            matching_lag_s=min(self._order_latency_us, duration_us(paper.report_latency)) / 2e6,
        )
        if isinstance(feed, SyntheticFeed):
            # Strategies find their warm-up in Redis and trade at once; nobody is shown this as news.
            now_us = steady_us()
            await live.seed(feed.history(now_us, seeded_s(now_us, state.clock_us)))
        return lambda: self._run_live(live, feed)

    async def _run_lockstep(self, lockstep: Lockstep, feed: Feed) -> None:
        await self.desk.settled()
        await lockstep.run(feed)

    async def _run_live(self, live: LiveMarket, feed: Feed) -> None:
        if self._settings.replay is not None:
            # From its first print on, or it is not the session that a replay in lock-step plays.
            await self.server.all_there(frozenset(self._settings.expected_sessions), self._on_waiting)
        await live.play(feed, lambda: self._end_live(live))

    async def _end_live(self, live: LiveMarket) -> None:
        """Let the last bars end, and strategies act upon them."""
        await live.all_matched()
        if not self._until_end:
            return
        end_us = market_end(
            max(self.quotes.tick_us.values(), default=0),
            [session.timeframe_us for session in self.server.sessions.values()],
            self._answer_latency_us,
        )
        for _ in range(int(_LAST_BARS_S / _WATCH_EVERY_S)):
            if self.quotes.clock_us >= end_us:
                break
            await asyncio.sleep(_WATCH_EVERY_S)
        await live.clock_to(end_us)
        await live.all_matched()
        await asyncio.sleep(_LAST_ANSWERS_S)
        await self.desk.settled()

    async def _until_over(self, market_task: asyncio.Task[None], market: Market) -> int:
        stopping = asyncio.create_task(self._context.stopping.wait(), name="stopping")
        watched: set[asyncio.Future[object]] = {market_task, stopping, self.journal.failed, *self._tasks}  # type: ignore[arg-type]
        try:
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            if market_task.done() and not self._context.stopping.is_set():
                return await self._after_market(market_task, market)
            for future in watched - {market_task, stopping}:
                if future.done() and not future.cancelled() and (error := future.exception()) is not None:
                    logger.critical("the gateway cannot go on", exc_info=error)
                    return 1
            return 0
        finally:
            await end(market_task, stopping)

    async def _after_market(self, task: asyncio.Task[None], market: Market) -> int:
        try:
            task.result()
        except FeedError as error:
            logger.critical("the feed cannot go on: %s", error)
            return 1
        except JournalFailed:
            return 1
        if not self._until_end:
            self.desk.blocked = "the replay has ended"
            self._on_blocked(self.desk.blocked)
            await self._context.stopping.wait()
            return 0
        return await self._end(self._ended(market))

    async def _end(self, ended: Ended) -> int:
        """Tell everybody, once all that was written is in Redis.

        Who has heard the goodbye does not come back. So it is on disk before it is said: a gateway that is killed
        in the midst of it and starts again waits for nobody.
        """
        if not await self._outbox.flush(_FLUSH_S):
            logger.critical("Redis did not take the journal at the end", extra={"sent": self._outbox.sent})
            return 1
        self._write(OVER_FILE, ended)
        await self.server.close("the replay has ended")
        await self._outbox.flush(_FLUSH_S)
        crash.point("gateway.end.write")
        self._write(ENDED_FILE, ended)
        crash.point("gateway.end.written")
        logger.info("the replay has ended", extra={"ticks": ended.received})
        return 0

    async def _end_again(self, ended: Ended) -> int:
        """The market was over before this process began; strategies that have not heard it come back soon."""
        await self.desk.settled()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_GUESTS_S):
                await self.server.all_there(frozenset(self._settings.expected_sessions), self._on_waiting)
        return await self._end(ended)

    def _over(self) -> Ended | None:
        """What an earlier process of this replay has left when its market had ended."""
        file = self._state / OVER_FILE
        if not self._until_end or not file.exists():
            return None
        return msgspec.json.decode(file.read_bytes(), type=Ended)

    def _ended(self, market: Market) -> Ended:
        counts = market.counts
        return Ended(
            received=counts.received,
            quarantined=counts.quarantined,
            duplicates=counts.duplicates,
            late=counts.late,
            first_us=counts.first_us,
            last_us=counts.last_us,
            last_price=dict(self.quotes.prices),
        )

    def _write(self, name: str, ended: Ended) -> None:
        part = self._state / f"{name}.part"
        part.write_bytes(msgspec.json.encode(ended))
        part.replace(self._state / name)

    # --- telling -------------------------------------------------------------------------------

    def _on_blocked(self, reason: str | None) -> None:
        if reason != self._blocked:
            self._blocked = reason
            self._events.publish(
                StateEvent(
                    time_us=self.quotes.clock_us,
                    broker=self.broker.metadata.name,
                    component="gateway",
                    state="Trading" if reason is None else "Blocked",
                    message=reason or "",
                )
            )
            self.server.tell_trading()
        self._show_readiness()

    def _on_journal_waits(self, reason: str | None) -> None:
        self.desk.journal_waits = reason
        if reason is not None:
            self.desk.alert("critical", "JournalWaits", reason)
        self.server.tell_trading()
        self._show_readiness()

    def _on_redis_away(self, reason: str | None) -> None:
        metrics.REDIS_AWAY.set(reason is not None)
        self._redis_away = reason
        self._show_readiness()

    def _on_waiting(self, reason: str | None) -> None:
        self._waiting = reason
        self._show_readiness()

    def _show_readiness(self) -> None:
        # A replay that waits for its strategies is ready for them: only what keeps sessions from trading counts.
        self._context.ready(self._blocked or self.desk.journal_waits or self._redis_away or self._silence.reason)

    async def _watch_feed(self, feed: PublicExchangeFeed, watch: FeedWatch) -> None:
        while True:
            self._on_silence(watch.look(steady_us(), feed.last_heard_us(), feed.trouble))
            await asyncio.sleep(_WATCH_EVERY_S)

    def _on_silence(self, now: Silence) -> None:
        before, self._silence = self._silence, now
        metrics.FEED_SILENT.set(now.lasts_us / 1e6)
        if now.holds != before.holds:
            self.desk.feed_silent = now.holds
            self.server.tell_trading()
            self._show_readiness()
        if now.since_us is not None and before.since_us is None:
            self._tell_feed("warning", "FeedSilent", f"{now.reason}; no entries are taken")
        elif now.since_us is None and before.since_us is not None:
            self._tell_feed("info", "FeedBack", f"the feed was silent for {before.lasts_us / 1e6:.0f} s")

    def _tell_feed(self, severity: Severity, reason: str, message: str) -> None:
        logger.warning(message, extra={"reason": reason})
        # The market's clock goes by prints, of which there may have been none at all.
        name = self.broker.metadata.name
        self._events.publish(
            AlertEvent(time_us=steady_us(), broker=name, severity=severity, reason=reason, message=message)
        )

    def _on_market_alert(self, reason: str, message: str) -> None:
        self._events.publish(
            AlertEvent(
                time_us=self.quotes.clock_us,
                broker=self.broker.metadata.name,
                severity="warning",
                reason=reason,
                message=message,
            )
        )

    async def _watch(self) -> None:
        while True:
            metrics.MARKET_TIME.set(self.quotes.clock_us / 1e6)
            if isinstance(self._feed, ReplayFeed):
                progress = self._feed.progress
                metrics.REPLAY_DONE.set(progress.done)
                metrics.REPLAY_TOTAL.set(progress.total or 0)
            await asyncio.sleep(_WATCH_EVERY_S)

    def _spawn(self, coroutine: asyncio._CoroutineLike[None], name: str) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(coroutine, name=name))


def _bounds(limits: AccountLimits) -> AccountBounds:
    return AccountBounds(
        max_notional=None if limits.max_notional is None else Decimal(limits.max_notional),
        max_open_orders=limits.max_open_orders,
        max_daily_loss=None if limits.max_daily_loss is None else Decimal(limits.max_daily_loss),
    )


async def run_gateway(settings: GatewaySettings, context: ProcessContext) -> int:
    """The process's main function; returns its exit code."""
    answer_at_once()
    try:
        gateway = Gateway(settings, context)
    except (ValueError, OSError, LedgerUnusable, sqlite3.Error) as error:
        logger.critical("the gateway cannot start: %s", error)
        return _UNUSABLE
    try:
        return await gateway.run()
    except JournalDamaged as error:
        logger.critical("the gateway cannot start: %s", error)
        return _UNUSABLE
    except FeedError as error:
        logger.critical("the feed cannot be opened: %s", error)
        return _UNUSABLE
    finally:
        await gateway.close()
