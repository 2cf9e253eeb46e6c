"""Moves one market's journal from its Redis stream into the database, and acknowledges it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from redis.asyncio import Redis

from christmas.execution.journal import journal_stream
from christmas.ingestion import journal_store, metrics
from christmas.ingestion.database import STATEMENT_DEADLINE_S, connect, try_lock
from christmas.ingestion.journal_store import Owner, RawEntry
from christmas.ingestion.keys import acked_key
from christmas.ingestion.projection import OutOfSequenceError, split_known
from christmas.ingestion.retry import Attempts, Reason, keep_trying, sleep_until
from christmas.telemetry import crash

if TYPE_CHECKING:
    from asyncpg import Connection

logger = logging.getLogger(__name__)

_BATCH: Final = 1_000
_REDIS_DEADLINE_S: Final = 5.0
_LOCK_RETRY_S: Final = 1.0
_BROKEN_RETRY_S: Final = 2.0
_FIELD: Final = b"e"


class JournalFollower:
    """Never skips an entry: where the stream has a gap, it says so and waits for the missing one."""

    def __init__(
        self,
        *,
        redis: Redis,
        database_url: str,
        owner: Owner,
        stopping: asyncio.Event,
        reason: Reason,
        interval_s: float = 0.1,
    ) -> None:
        self._redis = redis
        self._database_url = database_url
        self._owner = owner
        self._stream = journal_stream(owner.market)
        self._stopping = stopping
        self._reason = reason
        self._interval_s = interval_s

    async def run(self) -> None:
        """Project until stopped; then what is in Redis is projected still, if the database is there."""
        await keep_trying(
            self._record, market=self._owner.market, part="journal", stopping=self._stopping, reason=self._reason
        )

    async def _record(self, attempts: Attempts) -> None:
        market = self._owner.market
        async with connect(self._database_url, f"journal-{market}") as connection:
            while not await try_lock(connection, f"journal:{market}"):
                self._reason(f"another recorder projects the journal of {market}")
                if self._stopping.is_set():
                    return
                await sleep_until(self._stopping, _LOCK_RETRY_S)
            watermark = await journal_store.read_watermark(connection, market)
            # From the beginning: entries that are stored already are compared before they are trimmed, so
            # a new journal under an old name is noticed before its numbers pass the old ones.
            position = 0
            while True:
                was_stopping = self._stopping.is_set()
                try:
                    position, watermark, more = await self._step(connection, position, watermark)
                except OutOfSequenceError as error:
                    self._report_broken(error)
                    if was_stopping:
                        return
                    position = 0
                    await sleep_until(self._stopping, _BROKEN_RETRY_S)
                    continue
                attempts.worked()
                self._reason(None)
                metrics.JOURNAL_BROKEN.labels(market).set(0)
                if more:
                    continue
                if was_stopping:
                    return
                await sleep_until(self._stopping, self._interval_s)

    async def _step(self, connection: Connection, position: int, watermark: int) -> tuple[int, int, bool]:
        """Read entries behind ``position`` and store them; the new position and watermark, and whether more wait."""
        market = self._owner.market
        raws = await self._read(position)
        if not raws:
            return position, watermark, False
        known = split_known([raw.sequence for raw in raws], watermark)
        if known:
            await journal_store.verify_known(connection, self._owner, raws[:known])
        new = raws[known:]
        if new:
            crash.point("recorder.journal.store")
            async with asyncio.timeout(STATEMENT_DEADLINE_S), connection.transaction():
                await journal_store.store(connection, self._owner, new)
                crash.point("recorder.journal.projected")
            crash.point("recorder.journal.stored")
            watermark = new[-1].sequence
            metrics.JOURNAL_ENTRIES.labels(market).inc(len(new))
        await self._acknowledge(watermark)
        return raws[-1].sequence, watermark, len(raws) == _BATCH

    async def _read(self, position: int) -> list[RawEntry]:
        async with asyncio.timeout(_REDIS_DEADLINE_S), self._redis.pipeline(transaction=False) as pipe:
            pipe.xrange(self._stream, min=f"({position}", max="+", count=_BATCH)
            pipe.xlen(self._stream)
            replies: list[Any] = await pipe.execute()
        entries, waiting = replies
        metrics.JOURNAL_WAITING.labels(self._owner.market).set(waiting)
        return [
            RawEntry(int(identity.partition(b"-")[0]), bytes(fields.get(_FIELD, b""))) for identity, fields in entries
        ]

    async def _acknowledge(self, watermark: int) -> None:
        """After the commit: the gateway may forget these entries, and so may Redis."""
        if watermark == 0:
            return
        crash.point("recorder.journal.acknowledge")
        async with asyncio.timeout(_REDIS_DEADLINE_S), self._redis.pipeline(transaction=False) as pipe:
            pipe.set(acked_key(self._owner.market), watermark)
            pipe.xtrim(self._stream, minid=f"{watermark + 1}-0", approximate=False)
            await pipe.execute()
        crash.point("recorder.journal.acknowledged")

    def _report_broken(self, error: OutOfSequenceError) -> None:
        market = self._owner.market
        self._reason(f"journal of {market}: {error}")
        metrics.JOURNAL_BROKEN.labels(market).set(1)
        metrics.ERRORS.labels(market, "journal", "sequence").inc()
        logger.error("the journal does not go on", extra={"market": market, "error": str(error)})
