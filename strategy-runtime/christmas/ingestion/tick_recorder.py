"""Moves one market's ticks from Redis into the database."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec
from redis.asyncio import Redis

from christmas.ingestion import metrics, tick_store
from christmas.ingestion.bulk import insert
from christmas.ingestion.database import connect, try_lock
from christmas.ingestion.quarantine_follower import QUARANTINE_COLUMNS
from christmas.ingestion.retry import Attempts, Reason, keep_trying, sleep_until
from christmas.ingestion.tick_source import TickSource
from christmas.ingestion.tick_store import BatchEncoder, EncodedBatch
from christmas.market.stream import watermark_key
from christmas.market.tick import MICROSECONDS_PER_SECOND
from christmas.telemetry import crash
from christmas.telemetry.cancelling import end

if TYPE_CHECKING:
    from asyncpg import Connection

logger = logging.getLogger(__name__)

_REDIS_DEADLINE_S: Final = 5.0
_LOCK_RETRY_S: Final = 1.0
_PAGE: Final = 2_500
"""Ticks read and encoded at one go: a longer one keeps the batch before from being sent meanwhile."""


class Refused(msgspec.Struct, frozen=True):
    """What came as a tick and cannot be stored as one."""

    symbol: str
    reason: str
    payload: bytes

    @property
    def entry_id(self) -> str:
        """The same for the same content, so that it is stored once."""
        return "unstorable/" + hashlib.sha256(self.payload).hexdigest()[:32]

    @property
    def text(self) -> str:
        return self.payload.decode(errors="backslashreplace").replace("\0", "\\0")


class ReadyBatch(msgspec.Struct, kw_only=True):
    """Read and encoded; lost only together with the process, while Redis still has it."""

    encoded: EncodedBatch
    refused: list[Refused]
    settled_us: dict[str, int]
    at_end: bool


class TickRecorder:
    """One market's recorder. While one batch is written, the next is read and encoded."""

    def __init__(
        self,
        *,
        redis: Redis,
        database_url: str,
        market: str,
        symbols: tuple[str, ...],
        stopping: asyncio.Event,
        reason: Reason,
        batch_ticks: int = 20_000,
        interval_s: float = 0.2,
    ) -> None:
        self._redis = redis
        self._database_url = database_url
        self._market = market
        self._symbols = symbols
        self._stopping = stopping
        self._reason = reason
        self._batch_ticks = batch_ticks
        metrics.UNSTORABLE.labels(market)  # begins at 0: rate() sees the first, too
        self._interval_s = interval_s
        self._in_hand: list[ReadyBatch] = []
        """Batches whose transaction failed: at most the one in writing and the one behind it."""
        self._published_us: dict[str, int] = {}

    async def run(self) -> None:
        """Record until stopped; then what is in Redis is recorded still, if the database is there."""
        await keep_trying(self._record, market=self._market, part="ticks", stopping=self._stopping, reason=self._reason)

    async def _record(self, attempts: Attempts) -> None:
        async with connect(self._database_url, f"recorder-{self._market}") as connection:
            while not await try_lock(connection, f"recorder:{self._market}"):
                self._reason(f"another recorder writes {self._market}")
                if self._stopping.is_set():
                    return
                await sleep_until(self._stopping, _LOCK_RETRY_S)
            await tick_store.prepare(connection)
            for batch in list(self._in_hand):
                batch.encoded = batch.encoded.staged()
                await self._write(connection, batch)
            await self._follow(connection, attempts)

    async def _follow(self, connection: Connection, attempts: Attempts) -> None:
        stored = await tick_store.last_stored(connection, self._market, self._symbols)
        encoder = BatchEncoder(self._market, stored)
        source = TickSource(self._redis, self._market, self._symbols, page=max(1, min(_PAGE, self._batch_ticks // 2)))
        full_reads = 0
        writing: asyncio.Task[None] | None = None
        try:
            while True:
                was_stopping = self._stopping.is_set()
                started = time.monotonic()
                batch = await self._next_batch(source, encoder)
                metrics.FULL_READS.labels(self._market).inc(source.full_reads - full_reads)
                full_reads = source.full_reads
                if writing is not None:
                    await writing
                    writing = None
                attempts.worked()
                self._reason(None)
                writing = asyncio.create_task(self._write(connection, batch), name=f"write {self._market}")
                if batch.at_end:
                    await writing
                    writing = None
                    if was_stopping:
                        return
                    await sleep_until(self._stopping, started + self._interval_s - time.monotonic())
        finally:
            if writing is not None:
                await end(writing)
            await source.close()

    async def _next_batch(self, source: TickSource, encoder: BatchEncoder) -> ReadyBatch:
        """Pages until a batch is full or nothing more waits.

        The loop gets its turn between the pieces of work, so that the batch before goes on to be sent.
        """
        encoded = EncodedBatch(parts=[], ticks=0, refused=[])
        refused: list[Refused] = []
        while True:
            page = await source.read()
            await asyncio.sleep(0)
            encoded.add(encoder.encode(page.ticks))
            refused += [Refused(bad.symbol, bad.reason, bad.member) for bad in page.unreadable]
            if page.at_end or encoded.ticks >= self._batch_ticks:
                break
        refused += [Refused(symbol, reason, msgspec.json.encode(tick)) for symbol, tick, reason in encoded.refused]
        batch = ReadyBatch(encoded=encoded, refused=refused, settled_us=page.settled_us, at_end=page.at_end)
        if encoded.ticks or refused:
            self._in_hand.append(batch)
        return batch

    async def _write(self, connection: Connection, batch: ReadyBatch) -> None:
        if batch.encoded.ticks or batch.refused:
            started = time.perf_counter()
            crash.point("recorder.ticks.store")
            stored = await self._store(connection, batch)
            crash.point("recorder.ticks.stored")
            metrics.BATCH_SECONDS.labels(self._market).observe(time.perf_counter() - started)
            metrics.BATCH_TICKS.labels(self._market).observe(batch.encoded.ticks)
            metrics.TICKS.labels(self._market, "direct").inc(stored.direct)
            metrics.TICKS.labels(self._market, "staged").inc(stored.staged)
            metrics.DUPLICATES.labels(self._market).inc(stored.duplicates)
            self._in_hand = [other for other in self._in_hand if other is not batch]
        await self._publish(batch.settled_us)

    async def _store(self, connection: Connection, batch: ReadyBatch) -> tick_store.Stored:
        if batch.refused:
            metrics.UNSTORABLE.labels(self._market).inc(len(batch.refused))
            logger.error(
                "ticks cannot be stored as such",
                extra={"market": self._market, "count": len(batch.refused), "first": batch.refused[0].reason},
            )
            now = datetime.now(UTC)
            rows = [
                (self._market, item.entry_id, item.symbol, f"Unstorable: {item.reason}", now, item.text)
                for item in batch.refused
            ]
            await insert(connection, "quarantined_ticks", QUARANTINE_COLUMNS, rows)
        return await tick_store.store(connection, self._market, batch.encoded)

    async def _publish(self, settled_us: dict[str, int]) -> None:
        """Tell the gateway what it may trim. Never moves back, and says nothing twice.

        Rounded down to whole seconds: what comes later and belongs before is then always marked late,
        and the gateway knows of every late tick that is not recorded yet.
        """
        published, second = self._published_us, MICROSECONDS_PER_SECOND
        bounds = {symbol: (time_us + 1) // second * second - 1 for symbol, time_us in settled_us.items()}
        news = {symbol: bound_us for symbol, bound_us in bounds.items() if bound_us > published.get(symbol, -1)}
        if not news:
            return
        crash.point("recorder.watermark.write")
        async with asyncio.timeout(_REDIS_DEADLINE_S):
            mapping = {symbol: str(at) for symbol, at in news.items()}
            await self._redis.hset(watermark_key(self._market), mapping=mapping)  # type: ignore[misc]
        crash.point("recorder.watermark.written")
        published.update(news)
