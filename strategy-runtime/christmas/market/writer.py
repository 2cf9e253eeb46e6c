"""Writes a market's stream to Redis: each batch in one transaction, as often as it takes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec
from redis.asyncio import Redis

from christmas.market import metrics
from christmas.market.quality import Reason
from christmas.market.raw import FeedTick
from christmas.market.sequencer import Sequenced, coalesce
from christmas.market.stored import Complaints, as_stored
from christmas.market.stream import (
    ANSWERED_FIELD,
    CLOCK_FIELD,
    QUARANTINE_FIELD,
    QUARANTINE_MAXIMUM,
    REFUSED_FIELD,
    Message,
    Quarantined,
    StreamState,
    parse_stream,
    quarantine_key,
    stream_key,
    trimmed_field,
)
from christmas.market.tick import Tick, TickBatch, clock_channel, ticks_key
from christmas.market.trimming import Trimmer, TrimPolicy
from christmas.market.wire import UNAVAILABLE, Argument, Command, Wire, backoff_s
from christmas.telemetry import crash
from christmas.telemetry.cancelling import end
from christmas.telemetry.unreadable import UNREADABLE

logger = logging.getLogger(__name__)

AlertHandler = Callable[[str, str], None]
"""Takes a reason in CamelCase and a sentence."""

_TICKS_A_TRANSACTION: Final = 2_000
_RESTORABLE_TICKS: Final = 10_000
_SEED_TICKS: Final = 20_000
_SEED_REFUSED: Final = 1_000
_encoder = msgspec.json.Encoder()
_encode, _encode_lines = _encoder.encode, _encoder.encode_lines
_decode_quarantined = msgspec.json.Decoder(Quarantined).decode


class TickWriter:
    """The one writer of a market's stream.

    Sets, sequences, clock and doorbells of a write are one transaction: Redis has all of it or nothing, so
    a write whose answer got lost can be sent again (the members are the same, and readers know the
    sequences). When Redis comes back with less than it had (no persistence, or a second of it), the newest
    ticks are written again from memory.
    """

    def __init__(
        self,
        redis: Redis,
        market: str,
        *,
        trim: TrimPolicy | None = None,
        on_alert: AlertHandler | None = None,
        on_waiting: Callable[[str | None], None] = lambda _reason: None,
        deadline_s: float = 5.0,
    ) -> None:
        self._redis = redis
        self._market = market
        self._wire = Wire(redis, deadline_s=deadline_s)
        self._lock = asyncio.Lock()
        self._on_alert = on_alert
        self._on_waiting = on_waiting
        self._clock_channel = clock_channel(market)
        self._stream_key = stream_key(market)
        self.answered_us: int | None = None
        """In lock-step: goes into the stream with every write, for a gateway that is killed within a window."""
        self._clock_us = 0
        self._newest_us = 0
        self._acknowledged: dict[str, int] = {}
        self._refused = 0
        self._restorable: deque[_Written] = deque()
        self._restorable_ticks = 0
        self._forgotten_us: dict[str, int] = {}
        self._trimmer = Trimmer(market, trim or TrimPolicy(), self._alert)
        self._trimming: asyncio.Task[None] | None = None
        self._written = metrics.TICKS_WRITTEN.labels(market)
        self._seconds = metrics.WRITE_SECONDS.labels(market)
        self._failures = metrics.WRITE_FAILURES.labels(market)

    async def load_state(self, symbols: Sequence[str]) -> StreamState:
        """Where the stream stands in Redis, for `Sequencer` and for this writer; call it once, before writing."""
        commands: list[Command] = [
            ("HGETALL", self._stream_key),
            ("XREVRANGE", quarantine_key(self._market), "+", "-", "COUNT", _SEED_REFUSED),
            *(("ZRANGE", ticks_key(self._market, symbol), -_SEED_TICKS, -1, "WITHSCORES") for symbol in symbols),
        ]
        fields, refused, *sets = await self._insist(commands)
        state = parse_stream(fields)
        recent: dict[str, list[Tick]] = {}
        known_from_us = dict(state.trimmed_us)
        complaints = Complaints(self._market)
        for symbol, answer in zip(symbols, sets, strict=True):
            members = answer if isinstance(answer, list) else []
            stored = as_stored(symbol, zip(members[::2], members[1::2], strict=True))
            complaints.of(symbol, stored.unreadable)
            recent[symbol] = stored.ticks
            if len(members) == 2 * _SEED_TICKS:
                known_from_us[symbol] = max(known_from_us.get(symbol, 0), int(float(members[1])) + 1)
        # What an earlier writer wrote cannot be restored from this one's memory.
        self._forgotten_us = {symbol: ticks[-1].time_us + 1 for symbol, ticks in recent.items() if ticks}
        self._acknowledged = dict(state.sequences)
        self._clock_us = state.clock_us
        self._newest_us = max([state.clock_us, *(ticks[-1].time_us for ticks in recent.values() if ticks)])
        self._refused = state.refused
        self._trimmer.begin(self._newest_us)
        return msgspec.structs.replace(
            state, recent=recent, known_from_us=known_from_us, refused_prints=_prints_of(refused)
        )

    async def write_sequenced(self, sequenced: Sequenced) -> None:
        """Write all that came of some prints, and count it."""
        if sequenced.duplicates:
            metrics.DUPLICATES.labels(self._market).inc(sequenced.duplicates)
        await self.write(sequenced.messages, sequenced.quarantined)

    async def write(self, messages: Sequence[Message], quarantined: Sequence[Quarantined] = ()) -> None:
        """Publish messages in their order; returns when Redis has all of them.

        Tries for as long as it takes (back-off with jitter): a tick that was sequenced is never dropped.
        Neighbouring batches of a symbol travel as one. Cancelling it leaves a transaction done or not done.
        """
        async with self._lock:
            for written in _transactions(coalesce(messages), quarantined):
                await self._write_one(written)

    async def start(self) -> None:
        """Begin to trim behind the recorder's watermark."""
        self._trimming = asyncio.create_task(self._trim_forever(), name=f"trim {self._market}")

    async def close(self) -> None:
        if self._trimming is not None:
            await end(self._trimming)
            self._trimming = None
        await self._wire.close()

    async def trim(self) -> int:
        """Remove what the recorder has stored and nobody needs here any more; answers how many ticks.

        Raises one of `wire.UNAVAILABLE`.
        """
        removed = 0
        for symbol in tuple(self._acknowledged):
            more = True
            while more:
                async with self._lock:
                    count, more = await self._trimmer.trim(self._transact, symbol, self._clock_us)
                removed += count
        async with self._lock:
            await self._trimmer.watch_memory(self._transact, tuple(self._acknowledged))
        return removed

    async def _trim_forever(self) -> None:
        while True:
            await asyncio.sleep(self._trimmer.policy.every_s)
            try:
                await self.trim()
            except UNAVAILABLE as error:
                logger.warning("trimming waits", extra={"market": self._market, "error": repr(error)})

    async def _write_one(self, written: _Written) -> None:
        started = time.monotonic()
        self._clock_us = max(self._clock_us, written.clock_us)
        self._newest_us = max(self._newest_us, self._clock_us, *written.latest_us.values())
        self._trimmer.note(written.late, self._newest_us)
        refusals = [self._refusal(entry) for entry in written.quarantined]
        position = (*written.position(), *self._position())
        crash.point("gateway.ticks.write")
        await self._insist(
            [
                *written.sets(self._market),
                ("HSET", self._stream_key, *position),
                *refusals,
                *written.doorbells(self._market),
            ]
        )
        crash.point("gateway.ticks.written")
        self._acknowledged |= written.sequences
        if written.count:
            self._keep(written)
            self._written.inc(written.count)
        if written.late:
            metrics.LATE_TICKS.labels(self._market).inc(len(written.late))
        self._seconds.observe(time.monotonic() - started)

    async def _insist(self, commands: Sequence[Command]) -> list[object]:
        """One transaction, tried until it is done."""
        failures = 0
        while True:
            try:
                results = await self._transact(commands)
            except UNAVAILABLE as error:
                failures += 1
                self._failures.inc()
                if failures == 1:
                    logger.warning(
                        "ticks wait: Redis does not answer", extra={"market": self._market, "error": repr(error)}
                    )
                    self._alert("RedisUnavailable", f"{self._market}: ticks wait for Redis ({error!r})")
                    self._on_waiting(f"ticks wait for Redis: {error!r}")
                await asyncio.sleep(backoff_s(failures))
            else:
                if failures:
                    logger.info("Redis answers again", extra={"market": self._market, "failures": failures})
                    self._on_waiting(None)
                return results

    async def _transact(self, commands: Sequence[Command]) -> list[object]:
        """One transaction, tried once; a connection that is new is first checked for what Redis has lost."""
        if not self._wire.is_open:
            await self._wire.open()
            await self._restore()
        return await self._wire.transact(commands)

    async def _restore(self) -> None:
        """Write again what a Redis that came back no longer has."""
        if not self._acknowledged:
            return
        (fields,) = await self._wire.transact([("HGETALL", self._stream_key)])
        there = parse_stream(fields).sequences
        lost = [symbol for symbol, sequence in self._acknowledged.items() if there.get(symbol, 0) < sequence]
        if not lost:
            return
        for written in self._restorable:
            await self._wire.transact(written.sets(self._market))
        position: list[Argument] = self._position()
        for symbol, sequence in self._acknowledged.items():
            position += (symbol, sequence)
        for symbol in lost:
            position += (trimmed_field(symbol), self._forgotten_us.get(symbol, 0))
        await self._wire.transact([("HSET", self._stream_key, *position)])
        metrics.RESTORED_TICKS.labels(self._market).inc(self._restorable_ticks)
        message = (
            f"{self._market}: Redis came back without its newest ticks; {self._restorable_ticks} were written again"
        )
        logger.error(message, extra={"market": self._market, "symbols": lost})
        self._alert("RedisLostTicks", message)

    def _position(self) -> list[Argument]:
        answered: list[Argument] = [] if self.answered_us is None else [ANSWERED_FIELD, self.answered_us]
        return [CLOCK_FIELD, self._clock_us, REFUSED_FIELD, self._refused, *answered]

    def _keep(self, written: _Written) -> None:
        self._restorable.append(written)
        self._restorable_ticks += written.count
        while self._restorable_ticks > _RESTORABLE_TICKS and len(self._restorable) > 1:
            forgotten = self._restorable.popleft()
            self._restorable_ticks -= forgotten.count
            for symbol, time_us in forgotten.latest_us.items():
                self._forgotten_us[symbol] = max(self._forgotten_us.get(symbol, 0), time_us + 1)

    def _refusal(self, entry: Quarantined) -> Command:
        self._refused += 1
        metrics.QUARANTINED.labels(self._market, entry.reason).inc()
        key = quarantine_key(self._market)
        identity = f"{self._refused}-0"
        return ("XADD", key, "MAXLEN", "~", QUARANTINE_MAXIMUM, identity, QUARANTINE_FIELD, _encode(entry))

    def _alert(self, reason: str, message: str) -> None:
        if self._on_alert is not None:
            self._on_alert(reason, message)


class _Written:
    """One transaction's worth of the stream, encoded once."""

    __slots__ = ("clock_us", "count", "late", "latest_us", "members", "payloads", "quarantined", "sequences")

    def __init__(self) -> None:
        self.members: dict[str, list[Argument]] = {}
        """By symbol: score, member, score, member..."""
        self.payloads: list[tuple[str | None, bytes]] = []
        """In order: the symbol (None: the clock's channel) and what is published."""
        self.sequences: dict[str, int] = {}
        self.latest_us: dict[str, int] = {}
        self.late: list[Tick] = []
        self.quarantined: list[Quarantined] = []
        self.clock_us = 0
        self.count = 0

    def take(self, message: Message) -> None:
        if not isinstance(message, TickBatch):
            self.clock_us = message.time_us
            self.payloads.append((None, _encode(message)))
            return
        symbol = message.ticks[0].symbol
        ticks = message.ticks
        # One call for all of them, and each is encoded once for set and doorbell. JSON has no bare line feed.
        encoded = _encode_lines(ticks)[:-1].split(b"\n")
        times_us = [tick.time_us for tick in ticks]
        scored: list[Argument] = [b""] * (2 * len(ticks))
        scored[::2] = times_us
        scored[1::2] = encoded
        self.members.setdefault(symbol, []).extend(scored)
        self.payloads.append((symbol, b'{"n":%d,"x":[%b]}' % (message.sequence, b",".join(encoded))))
        self.sequences[symbol] = message.sequence
        self.latest_us[symbol] = max(self.latest_us.get(symbol, 0), *times_us)
        self.late += [tick for tick in ticks if tick.late]
        self.count += len(ticks)

    def sets(self, market: str) -> list[Command]:
        return [("ZADD", ticks_key(market, symbol), *scored) for symbol, scored in self.members.items()]

    def position(self) -> tuple[Argument, ...]:
        return tuple(part for entry in self.sequences.items() for part in entry)

    def doorbells(self, market: str) -> list[Command]:
        return [
            ("PUBLISH", clock_channel(market) if symbol is None else ticks_key(market, symbol), payload)
            for symbol, payload in self.payloads
        ]


def _prints_of(entries: object) -> list[FeedTick]:
    """The prints of entries of the quarantine, as XREVRANGE answers them."""
    if not isinstance(entries, list):
        raise TypeError(f"XREVRANGE answered {entries!r}")
    prints = []
    for _, fields in entries:
        # One that another version wrote is only not known again.
        with contextlib.suppress(*UNREADABLE):
            quarantined = _decode_quarantined(fields[1])
            if quarantined.reason != Reason.TIME_IN_FUTURE:
                prints.append(quarantined.print)
    return prints


def _transactions(messages: Sequence[Message], quarantined: Sequence[Quarantined]) -> Iterator[_Written]:
    """The messages in transactions that do not hold up Redis; what was refused goes with the last."""
    current = _Written()
    for message in messages:
        for part in _split(message):
            current.take(part)
            if current.count >= _TICKS_A_TRANSACTION:
                yield current
                current = _Written()
    current.quarantined += quarantined
    if current.payloads or current.quarantined:
        yield current


def _split(message: Message) -> Iterator[Message]:
    if not isinstance(message, TickBatch) or len(message.ticks) <= _TICKS_A_TRANSACTION:
        yield message
        return
    before = message.sequence - len(message.ticks)
    for start in range(0, len(message.ticks), _TICKS_A_TRANSACTION):
        ticks = message.ticks[start : start + _TICKS_A_TRANSACTION]
        yield TickBatch(sequence=before + start + len(ticks), ticks=ticks)
