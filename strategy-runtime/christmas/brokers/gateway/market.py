"""The market's way through a gateway at the wall's pace: feed, sequencer, Redis, venue; and its clock."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
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
    """Moves a `Market` as its prints come in, and by the wall's clock when none does."""

    def __init__(self, market: Market, *, is_replay: bool, skip_until_us: int) -> None:
        self._market = market
        self._is_replay = is_replay
        self._skip_until_us = skip_until_us
        self._skew = SkewEstimator()

    async def run(self, feed: Feed) -> None:
        """Until the feed ends; its errors are the caller's."""
        async for batch in feed.batches():
            received_s, received_us = time.perf_counter(), time.time_ns() // 1000
            for start in range(0, len(batch), _SUBBATCH):
                await self._take(batch[start : start + _SUBBATCH], received_s, received_us)

    async def seed(self, history: Sequence[FeedTick]) -> None:
        """Prints of before the start, so that strategies need not wait for their warm-up."""
        for start in range(0, len(history), 1_000):
            part = history[start : start + 1_000]
            sequenced = self._market.sequencer.accept(part)
            await self._publish(sequenced, time.perf_counter())

    async def tick_clock(self) -> None:
        """Announce whole seconds that no print has announced. Runs until cancelled."""
        while True:
            await asyncio.sleep(_CLOCK_EVERY_S)
            if self._skew.samples == 0:
                continue
            settled_us = self._skew.settled_us(time.time_ns() // 1000, _GRACE_US)
            if settled_us - settled_us % MICROSECONDS_PER_SECOND > self._market.sequencer.clock_us:
                await self.clock_to(settled_us)

    async def clock_to(self, time_us: int) -> None:
        market = self._market
        async with market.lock:
            messages = market.sequencer.clock_to(time_us)
            if messages:
                market.note(messages, time.perf_counter())
                await market.writer.write(messages)
                market.match(messages)

    async def _take(self, batch: Sequence[FeedTick], received_s: float, received_us: int) -> None:
        if self._skip_until_us:
            fresh = [raw for raw in batch if raw.time_us >= self._skip_until_us]
            self._market.counts.received += len(batch) - len(fresh)
            batch = fresh
            if not batch:
                return
        self._skew.observe(batch[-1].time_us, received_us)
        now_us = None if self._is_replay else self._skew.market_time_us(received_us)
        async with self._market.lock:
            sequenced = self._market.sequencer.accept(batch, received_us=received_us, now_us=now_us)
            self._market.counts.add(batch, sequenced)
            await self._publish(sequenced, received_s)
        metrics.MARKET_BATCH.observe(time.perf_counter() - received_s)

    async def _publish(self, sequenced: Sequenced, received_s: float) -> None:
        market = self._market
        market.note(sequenced.messages, received_s)
        await market.writer.write_sequenced(sequenced)
        market.match(sequenced.messages)
