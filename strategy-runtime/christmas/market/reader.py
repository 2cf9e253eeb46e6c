"""Reads a market's stream from Redis: every tick once, in one order, whatever happens to the connection.

A reader subscribes first and waits for the confirmation; then it reads sets and position in one
transaction, and from there on drops what doorbells repeat and mends from the sets what they leave out.
It pulls: what it has not read yet waits in the socket and in Redis' output buffer, which is bounded there
(``client-output-buffer-limit pubsub``). A reader that is too slow for it is disconnected by Redis and
catches up from the sets, so nothing grows without bound on either side and nothing is lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Final

import msgspec
from redis.asyncio import Redis

from christmas.market import metrics
from christmas.market.catchup import as_messages, read_page, read_remaining
from christmas.market.memory import DeliveredTicks
from christmas.market.stored import Complaints
from christmas.market.stream import Message, StreamState
from christmas.market.tick import ClockAdvance, Tick, TickBatch, clock_channel, ticks_key
from christmas.market.wire import UNAVAILABLE, Wire, backoff_s
from christmas.telemetry.unreadable import UNREADABLE

logger = logging.getLogger(__name__)

_PROBE_AFTER_S: Final = 5.0
"""A connection that has been silent for so long is asked whether it still lives."""
_STALLED_S: Final = 1.0
_PASSES: Final = 3
_LARGEST_PAGE: Final = 1_000_000
_decode_batch = msgspec.json.Decoder(TickBatch).decode
_decode_clock = msgspec.json.Decoder(ClockAdvance).decode


class TickReader:
    """An async iterator over a market's `TickBatch` and `ClockAdvance` messages in one total order.

    ``start``: exchange time (µs) from which on recorded ticks are delivered first; None: only what comes
    from now on. Ticks that are caught up with come ordered by (time, trade id), behind the clocks they
    imply. Use it as an async context manager, from one task at a time; a call that is cancelled (a
    deadline around it) loses nothing.

    It remembers the ticks of the last ``overlap_us``, and at least ``remembered`` of a symbol. A late tick
    from before those that comes while the reader is disconnected cannot be told from one it had: it is
    counted as missed (bars do not contain it anyway; the recorder reads the sets themselves).
    """

    def __init__(
        self,
        redis_url: str,
        market: str,
        symbols: Sequence[str],
        start: int | None = None,
        *,
        overlap_us: int = 2_000_000,
        remembered: int = 1_000,
        page: int = 1_000,
        on_waiting: Callable[[str | None], None] = lambda _reason: None,
    ) -> None:
        """``on_waiting`` is told why reading waits for Redis, and None when it goes on."""
        self._market = market
        self._on_waiting = on_waiting
        self._symbols = tuple(dict.fromkeys(symbols))
        self._start_us = start
        self._overlap_us = overlap_us
        self._remembered = remembered
        self._page = page
        self._clock_channel = clock_channel(market).encode()
        self._channels = [ticks_key(market, symbol) for symbol in self._symbols]
        self._redis = Redis.from_url(redis_url)
        # So that the first miss is a step from 0, which increase() sees.
        metrics.READER_MISSED.labels(market)
        self._doorbell = Wire(self._redis)
        self._sets = Wire(self._redis)
        self._ready: deque[Message] = deque()
        self._read_clock_us = 0
        self._read_sequences: dict[str, int] = {}
        self._clock_us = 0
        self._sequences: dict[str, int] = {}
        self._delivered: dict[str, DeliveredTicks] = {}
        self._forget()
        self._positioned = False
        """Whether the sequences say where this reader is; not before it has once read the position."""
        self._subscribed = False
        self._catching_up: _CatchingUp | None = None
        self._complaints = Complaints(market)
        self._handed_out = False
        self._failures = 0
        self._heard_s = 0.0
        self._probed_s: float | None = None

    @property
    def clock_us(self) -> int:
        """The market's clock after what was read."""
        return self._read_clock_us if self._ready else self._clock_us

    @property
    def sequences(self) -> dict[str, int]:
        """By symbol: the sequence of the last tick that was read."""
        return dict(self._read_sequences if self._ready else self._sequences)

    async def start(self) -> None:
        """Subscribe and find the position; what is published from now on will be delivered.

        Waits for Redis as long as it takes.
        """
        while not (self._subscribed and self._positioned):
            await self._step(_PROBE_AFTER_S)

    async def close(self) -> None:
        self._subscribed = False
        await self._doorbell.close()
        await self._sets.close()
        await self._redis.aclose()

    async def __aenter__(self) -> TickReader:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> TickReader:
        return self

    async def __anext__(self) -> Message:
        while not self._ready:
            await self._step(_PROBE_AFTER_S)
        return self._deliver()

    async def read(self, *, maximum_ticks: int = 5_000, linger_s: float = 0.0) -> list[Message]:
        """At least one message, then what follows within ``linger_s``, up to ``maximum_ticks`` (or one batch more)."""
        messages = [await self.__anext__()]
        ticks = _count(messages[0])
        ends = time.monotonic() + linger_s
        while ticks < maximum_ticks:
            if not self._ready:
                left = ends - time.monotonic()
                if left <= 0:
                    break
                await self._step(left)
                continue
            message = self._deliver()
            messages.append(message)
            ticks += _count(message)
        return messages

    async def read_until(
        self, sequences: Mapping[str, int], clock_us: int, *, deadline_s: float = 30.0
    ) -> list[Message]:
        """All messages up to where this reader's symbols are at ``sequences`` and the clock at ``clock_us``.

        For lock-step: the gateway has published them before it says so. When they do not come, the sets are
        read. Raises TimeoutError after ``deadline_s`` without losing what has come: the next read has it.
        """
        wanted = {symbol: sequences[symbol] for symbol in self._symbols if symbol in sequences}
        read: list[Message] = []
        position = self._read_clock_us, dict(self._read_sequences)
        moved = time.monotonic()
        try:
            async with asyncio.timeout(deadline_s):
                while not self._is_at(wanted, clock_us):
                    if self._ready:
                        read.append(self._deliver())
                        moved = time.monotonic()
                        continue
                    await self._step(_STALLED_S)
                    if not self._ready and time.monotonic() - moved >= _STALLED_S:
                        moved = time.monotonic()
                        self._begin_catching_up()
        except BaseException:
            self._ready.extendleft(reversed(read))
            self._read_clock_us, self._read_sequences = position
            raise
        return read

    async def backlog(self, since_us: int) -> list[Tick]:
        """The ticks in Redis from ``since_us`` on; the next message is exactly what follows them.

        To be called before anything else was read, on a reader without ``start``. All of them are held in
        memory: for a long warm-up give ``start`` instead, or take `christmas.market.history`.
        """
        if self._handed_out or self._start_us is not None:
            raise RuntimeError("a backlog can be had only before anything was read")
        self._start_us = since_us
        self._positioned = False
        self._ready.clear()
        self._forget()
        if self._subscribed:
            self._begin_catching_up()
        ticks: list[Tick] = []
        while not self._positioned or self._catching_up is not None or self._ready:
            while self._ready:
                message = self._deliver()
                if isinstance(message, TickBatch):
                    ticks += message.ticks
            if not self._positioned or self._catching_up is not None:
                await self._step(_PROBE_AFTER_S)
        return ticks

    def _is_at(self, wanted: Mapping[str, int], clock_us: int) -> bool:
        if self._ready:
            return False
        return self._clock_us >= clock_us and all(self._sequences.get(s, 0) >= n for s, n in wanted.items())

    def _deliver(self) -> Message:
        self._handed_out = True
        message = self._ready.popleft()
        if isinstance(message, TickBatch):
            self._read_sequences[message.ticks[0].symbol] = message.sequence
        else:
            self._read_clock_us = message.time_us
        return message

    def _forget(self) -> None:
        self._clock_us = 0
        self._sequences = dict.fromkeys(self._symbols, 0)
        self._delivered = {symbol: DeliveredTicks(self._remembered, self._overlap_us) for symbol in self._symbols}

    async def _step(self, timeout_s: float) -> None:
        """One move towards more messages: subscribe, catch up by a page, or take a doorbell."""
        try:
            if not self._subscribed:
                await self._subscribe()
            elif self._catching_up is not None:
                await self._catch_up(self._catching_up)
            else:
                await self._listen(timeout_s)
            if self._failures and self._subscribed and self._catching_up is None:
                self._failures = 0
                self._on_waiting(None)
        except UNAVAILABLE as error:
            await self._disconnect()
            self._failures += 1
            if self._failures == 1:
                logger.warning("reading waits for Redis", extra={"market": self._market, "error": repr(error)})
                self._on_waiting(f"the stream waits for Redis: {error!r}")
            await asyncio.sleep(backoff_s(self._failures))

    async def _disconnect(self) -> None:
        self._subscribed = False
        self._catching_up = None
        await self._doorbell.close()
        await self._sets.close()

    async def _subscribe(self) -> None:
        """Subscribe and wait until every subscription is confirmed."""
        await self._doorbell.close()
        await self._doorbell.open()
        await self._doorbell.send(("SUBSCRIBE", *self._channels, self._clock_channel))
        waiting = len(self._channels) + 1
        while waiting:
            answer = await self._doorbell.receive(_PROBE_AFTER_S)
            if answer is None:
                raise TimeoutError("the subscription is not confirmed")
            # A doorbell among the confirmations needs no look: what it tells is in the set that is read next.
            if isinstance(answer, list) and answer[0] == b"subscribe":
                waiting -= 1
        metrics.READER_CONNECTS.labels(self._market).inc()
        self._subscribed = True
        self._heard_s = time.monotonic()
        self._probed_s = None
        self._begin_catching_up()

    # --- doorbells ---------------------------------------------------------------------------

    async def _listen(self, timeout_s: float) -> None:
        answer = await self._doorbell.receive(min(timeout_s, _PROBE_AFTER_S))
        if answer is None:
            await self._probe()
            return
        self._heard_s = time.monotonic()
        self._probed_s = None
        if not isinstance(answer, list) or answer[0] != b"message":
            return
        try:
            message = _decode_clock(answer[2]) if answer[1] == self._clock_channel else _decode_batch(answer[2])
        except UNREADABLE as error:
            # Not the gateway's: what it has really published is in the set, and the next doorbell shows the gap.
            metrics.READER_UNREADABLE.labels(self._market).inc()
            logger.warning("a doorbell cannot be read", extra={"market": self._market, "error": str(error)})
            return
        if isinstance(message, TickBatch):
            if message.ticks and message.ticks[0].symbol in self._sequences:
                self._take(message)
        elif message.time_us > self._clock_us:
            self._append(message)

    async def _probe(self) -> None:
        """Find out whether a silent connection still lives."""
        now = time.monotonic()
        if self._probed_s is None:
            if now - self._heard_s >= _PROBE_AFTER_S:
                await self._doorbell.send(("PING",))
                self._probed_s = now
        elif now - self._probed_s >= _PROBE_AFTER_S:
            raise TimeoutError("the subscription's connection is dead")

    def _take(self, batch: TickBatch) -> None:
        symbol = batch.ticks[0].symbol
        last = self._sequences[symbol]
        first = batch.sequence - len(batch.ticks)
        if first == last:
            self._append(batch)
        elif first > last:
            metrics.READER_GAPS.labels(self._market).inc()
            logger.info("a gap in the stream", extra={"market": self._market, "symbol": symbol, "ticks": first - last})
            self._begin_catching_up()
        else:
            self._take_known(symbol, batch, last)

    def _take_known(self, symbol: str, batch: TickBatch, last: int) -> None:
        """A batch that has been told before, wholly or in part; or the first of a stream that began anew."""
        unseen = self._delivered[symbol].unseen(batch.ticks)
        if not unseen:
            return
        sequence = max(last, batch.sequence)
        if batch.sequence <= last and not all(tick.late for tick in unseen):
            # Late ones may have slipped in behind a page of a catch-up; others only with sequences of their own.
            metrics.READER_RESETS.labels(self._market).inc()
            logger.warning("the stream began anew", extra={"market": self._market, "symbol": symbol})
            sequence = batch.sequence
        self._append(TickBatch(sequence=sequence, ticks=tuple(unseen)))

    def _append(self, message: Message) -> None:
        if isinstance(message, TickBatch):
            symbol = message.ticks[0].symbol
            self._sequences[symbol] = message.sequence
            self._delivered[symbol].add(message.ticks)
        else:
            self._clock_us = message.time_us
        self._ready.append(message)

    # --- the sets ----------------------------------------------------------------------------

    def _begin_catching_up(self) -> None:
        for delivered in self._delivered.values():
            delivered.held = True
        self._catching_up = _CatchingUp(self._sequences, self._delivered)

    async def _catch_up(self, work: _CatchingUp) -> None:
        """Read the next page of the sets, or first the position from which to read."""
        if not self._sets.is_open:
            await self._sets.open()
        if not self._positioned:
            if self._start_us is None:
                await self._position_now()
            else:
                await self._position_at(self._start_us)
            return
        page = await read_page(self._sets, self._market, work.from_us, self._page)
        for symbol, members in page.unreadable.items():
            work.unreadable[symbol] |= set(members)
            self._complaints.of(symbol, members)
        unseen = [tick for tick in page.ticks if tick.trade_id not in work.seen[tick.symbol]]
        metrics.READER_CAUGHT_UP.labels(self._market).inc(len(unseen))
        for message in as_messages(unseen, self._sequences, self._clock_us):
            self._append(message)
        if page.next_us is not None:
            work.from_us = {symbol: max(since_us, page.next_us) for symbol, since_us in work.from_us.items()}
        else:
            self._conclude(work, page.state)

    async def _position_now(self) -> None:
        """Begin with what comes next: remember the newest ticks as seen, so that they are never taken for new."""
        state, _ = await read_remaining(self._sets, self._market, {})
        since_us = max(0, state.clock_us - self._overlap_us)
        from_us = dict.fromkeys(self._symbols, since_us)
        page = await read_page(self._sets, self._market, from_us, _LARGEST_PAGE)
        for symbol, delivered in self._delivered.items():
            delivered.floor_us = since_us
            ticks = tuple(tick for tick in page.ticks if tick.symbol == symbol)
            if ticks:
                delivered.add(ticks)
            self._sequences[symbol] = page.state.sequences.get(symbol, 0)
            self._complaints.of(symbol, page.unreadable.get(symbol, ()))
        self._clock_us = page.state.clock_us
        self._found_position()
        self._catching_up = None

    async def _position_at(self, start_us: int) -> None:
        """Begin with what is recorded from ``start_us`` on."""
        from_us = dict.fromkeys(self._symbols, start_us)
        state, counts = await read_remaining(self._sets, self._market, from_us)
        for symbol, delivered in self._delivered.items():
            delivered.floor_us = start_us
            self._sequences[symbol] = max(0, state.sequences.get(symbol, 0) - counts[symbol])
        self._found_position()
        self._begin_catching_up()

    def _found_position(self) -> None:
        self._positioned = True
        self._read_clock_us, self._read_sequences = self._clock_us, dict(self._sequences)

    def _conclude(self, work: _CatchingUp, state: StreamState) -> None:
        """The last page is read: does the count agree with the sequences?"""
        missed = {
            symbol: published - reached
            for symbol, reached in self._sequences.items()
            if (published := state.sequences.get(symbol, 0)) > reached
        }
        if missed and work.passes < _PASSES:
            # Late ticks that came in behind a page while the next was read.
            self._catching_up = _CatchingUp(work.began_at, self._delivered, work.passes + 1)
            return
        for symbol, short in missed.items():
            # What lies there and cannot be read was counted as a tick when this reader began; it is told already.
            count = short - len(work.unreadable[symbol])
            if count <= 0:
                continue
            metrics.READER_MISSED.labels(self._market).inc(count)
            logger.error("ticks are missing", extra={"market": self._market, "symbol": symbol, "ticks": count})
        for symbol, began_at in work.began_at.items():
            # A Redis that came back with less than it had does not set a reader back: it knows the ticks.
            self._sequences[symbol] = max(state.sequences.get(symbol, 0), began_at)
        for delivered in self._delivered.values():
            delivered.held = False
        if state.clock_us > self._clock_us:
            self._append(ClockAdvance(time_us=state.clock_us))
        self._catching_up = None


class _CatchingUp:
    """A reading of the sets that is under way, from as far back as the delivered ticks are remembered."""

    __slots__ = ("began_at", "from_us", "passes", "seen", "unreadable")

    def __init__(self, began_at: Mapping[str, int], delivered: Mapping[str, DeliveredTicks], passes: int = 1) -> None:
        self.began_at = dict(began_at)
        self.passes = passes
        self.from_us = {symbol: memory.floor_us for symbol, memory in delivered.items()}
        self.seen = {symbol: memory.ids() for symbol, memory in delivered.items()}
        self.unreadable: dict[str, set[bytes]] = {symbol: set() for symbol in delivered}


def _count(message: Message) -> int:
    return len(message.ticks) if isinstance(message, TickBatch) else 0
