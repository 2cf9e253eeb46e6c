"""The market's way through a gateway at the wall's pace: feed, sequencer, Redis, venue; and its clock."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from christmas.brokers.gateway import metrics
from christmas.brokers.gateway.quotes import Quotes
from christmas.brokers.port import Feed, FeedTick, SimulatedVenue
from christmas.market.sequencer import Sequenced, Sequencer
from christmas.market.skew import SkewEstimator
from christmas.market.stream import Message, StreamState
from christmas.market.tick import MICROSECONDS_PER_SECOND, Tick, TickBatch
from christmas.market.writer import TickWriter
from christmas.telemetry.steady import steady_us

logger = logging.getLogger(__name__)

_CLOCK_EVERY_S: Final = 0.02
_GRACE_US: Final = 150_000
"""How much longer than the slowest of recent prints the clock waits for one more."""
_OVERLAP_US: Final = 30_000_000
_SUBBATCH: Final = 250
"""Prints handled before others get their turn: about 5 ms."""


class Counts(msgspec.Struct, kw_only=True):
    """What came in, for the report of a replay."""

    received: int = 0
    quarantined: int = 0
    duplicates: int = 0
    late: int = 0
    first_us: int = 0
    last_us: int = 0

    def add(self, raw: Sequence[FeedTick], sequenced: Sequenced) -> None:
        self.received += len(raw)
        self.quarantined += len(sequenced.quarantined)
        self.duplicates += sequenced.duplicates
        self.late += sequenced.late
        times = [
            tick.time_us for message in sequenced.messages if isinstance(message, TickBatch) for tick in message.ticks
        ]
        if times:
            self.first_us = min(self.first_us or times[0], *times)
            self.last_us = max(self.last_us, *times)
        metrics.TICKS.inc(len(raw))
        if sequenced.duplicates:
            metrics.TICKS_REFUSED.labels("duplicate").inc(sequenced.duplicates)
        if sequenced.quarantined:
            metrics.TICKS_REFUSED.labels("quarantined").inc(len(sequenced.quarantined))


class Market:
    """What both ways of driving a market share: the stream's state and its side effects, in order."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        writer: TickWriter,
        quotes: Quotes,
        simulated: SimulatedVenue | None,
        on_advance: Callable[[], None],
    ) -> None:
        self.sequencer = sequencer
        self.writer = writer
        self.quotes = quotes
        self.simulated = simulated
        self.counts = Counts()
        self.lock = asyncio.Lock()
        self._on_advance = on_advance

    def note(self, messages: Sequence[Message], received_s: float) -> None:
        """Take the messages into the gateway's own view, before anyone else sees them."""
        for message in messages:
            if isinstance(message, TickBatch):
                for tick in message.ticks:
                    self.quotes.saw(tick)
                self.quotes.published(message.ticks[0].symbol, message.sequence, received_s)
            else:
                self.quotes.announced(message.time_us, received_s)

    def match(self, messages: Sequence[Message]) -> None:
        """Show the messages to a venue of our own."""
        if self.simulated is not None:
            for message in messages:
                if isinstance(message, TickBatch):
                    self.simulated.on_ticks(message.ticks, message.ticks[-1].time_us)
                else:
                    self.simulated.on_clock(message.time_us)
        self._on_advance()

    def catch_up(self, state: StreamState) -> None:
        """After a restart: the gateway's view from the stream, and to the venue what it has not seen."""
        ticks = sorted(
            (tick for recent in state.recent.values() for tick in recent), key=lambda tick: (tick.time_us, tick.symbol)
        )
        for tick in ticks:
            self.quotes.saw(tick)
        self.quotes.advance(state.clock_us)
        self.quotes.sequences.update(state.sequences)
        if self.simulated is not None:
            fresh = [tick for tick in ticks if not self._has_seen(tick)]
            for tick in fresh:
                self.simulated.on_ticks((tick,), tick.time_us)
            if state.clock_us:
                self.simulated.on_clock(state.clock_us)

    def _has_seen(self, tick: Tick) -> bool:
        position = self.simulated.last_tick(tick.symbol) if self.simulated is not None else None
        return position is not None and (
            tick.time_us < position.time_us
            or (tick.time_us == position.time_us and tick.trade_id in position.trade_ids)
        )


def skipped_until(state: StreamState) -> int:
    """In a replay that goes on: prints before this time have been through, an overlap is judged again."""
    newest = max((recent[-1].time_us for recent in state.recent.values() if recent), default=0)
    return max(0, newest - _OVERLAP_US)


class LiveMarket:
    """Moves a `Market` as its prints come in, and by the wall's clock when none does.

    A venue of our own matches a print ``matching_lag_s`` after strategies have been shown it: what they
    decide upon it, or upon the second that it ends, is at the venue by then, as in lock-step.
    """

    def __init__(self, market: Market, *, is_replay: bool, skip_until_us: int, matching_lag_s: float) -> None:
        self._market = market
        self._is_replay = is_replay
        self._skip_until_us = skip_until_us
        self._lag_s = matching_lag_s
        self._skew = SkewEstimator()
        self._unmatched: deque[tuple[float, Sequence[Message]]] = deque()
        self._arrived = asyncio.Event()
        self._matched = asyncio.Event()

    async def play(self, feed: Feed, at_end: Callable[[], Awaitable[None]]) -> None:
        """Until the feed has ended and ``at_end`` is done; raises what any part of it raises."""
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [group.create_task(self._tick_clock()), group.create_task(self._match_in_time())]
                await self._read(feed)
                await at_end()
                for helper in helpers:
                    helper.cancel()
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors

    async def seed(self, history: Sequence[FeedTick]) -> None:
        """Prints of before the start, so that strategies need not wait for their warm-up."""
        for start in range(0, len(history), 1_000):
            sequenced = self._market.sequencer.accept(history[start : start + 1_000])
            self._market.note(sequenced.messages, time.perf_counter())
            await self._market.writer.write_sequenced(sequenced)
            self._market.match(sequenced.messages)

    async def clock_to(self, time_us: int) -> None:
        """Announce a whole second that no print has announced."""
        market = self._market
        async with market.lock:
            messages = market.sequencer.clock_to(time_us)
            if messages:
                market.note(messages, time.perf_counter())
                await market.writer.write(messages)
                self._match_later(messages)

    async def all_matched(self) -> None:
        """Return when the venue has seen everything that was published."""
        while self._unmatched:
            self._matched.clear()
            await self._matched.wait()

    async def _read(self, feed: Feed) -> None:
        async for batch in feed.batches():
            received_s, received_us = time.perf_counter(), steady_us()
            for start in range(0, len(batch), _SUBBATCH):
                await self._take(batch[start : start + _SUBBATCH], received_s, received_us)

    async def _take(self, batch: Sequence[FeedTick], received_s: float, received_us: int) -> None:
        market = self._market
        if self._skip_until_us:
            fresh = [raw for raw in batch if raw.time_us >= self._skip_until_us]
            market.counts.received += len(batch) - len(fresh)
            batch = fresh
            if not batch:
                return
        self._skew.observe(batch[-1].time_us, received_us)
        now_us = None if self._is_replay else self._skew.market_time_us(received_us)
        async with market.lock:
            sequenced = market.sequencer.accept(batch, received_us=received_us, now_us=now_us)
            market.counts.add(batch, sequenced)
            market.note(sequenced.messages, received_s)
            await market.writer.write_sequenced(sequenced)
            self._match_later(sequenced.messages)
        metrics.MARKET_BATCH.observe(time.perf_counter() - received_s)

    def _match_later(self, messages: Sequence[Message]) -> None:
        self._unmatched.append((time.monotonic() + self._lag_s, messages))
        metrics.UNMATCHED.set(len(self._unmatched))
        self._arrived.set()

    async def _match_in_time(self) -> None:
        while True:
            while not self._unmatched:
                self._arrived.clear()
                await self._arrived.wait()
            due_s, messages = self._unmatched[0]
            if (wait_s := due_s - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            self._market.match(messages)
            self._unmatched.popleft()
            self._matched.set()

    async def _tick_clock(self) -> None:
        while True:
            await asyncio.sleep(_CLOCK_EVERY_S)
            if self._skew.samples == 0:
                continue
            settled_us = self._skew.settled_us(steady_us(), _GRACE_US)
            if settled_us - settled_us % MICROSECONDS_PER_SECOND > self._market.sequencer.clock_us:
                await self.clock_to(settled_us)
