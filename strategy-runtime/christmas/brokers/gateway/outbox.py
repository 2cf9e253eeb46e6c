"""Pumps the journal into its Redis stream, each entry once, also across the loss of Redis.

An entry's stream id is its sequence, so a second writing of it is refused by Redis itself. Before
each batch the stream is asked for its last id within the same transaction: a Redis that has lost
data (flushed, restored from an old copy) is noticed before a gap is written, and the pump goes back
to what the recorder has acknowledged. A stream that does not begin there has lost entries out of its
midst; a stream cannot be mended behind its last id, so it is written anew.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError, WatchError

from christmas.brokers.gateway import metrics
from christmas.brokers.gateway.journal import Journal, JournalDamaged
from christmas.execution.journal import journal_stream
from christmas.telemetry import crash

logger = logging.getLogger(__name__)

_DEADLINE_S: Final = 5.0
_LOOK_EVERY_S: Final = 1.0
_BATCH: Final = 256
_LINGER_S: Final = 0.02
"""What is written down within it goes in one batch: nobody trades on the stream, and orders want the loop."""


def acked_key(market: str) -> str:
    """Where the recorder leaves the sequence up to which it has stored everything."""
    return f"{journal_stream(market)}:acked"


class Outbox:
    def __init__(self, redis: Redis, journal: Journal, market: str) -> None:
        self._redis = redis
        self._journal = journal
        self._stream = journal_stream(market)
        self._acked_key = acked_key(market)
        self._acked = journal.mark("acked")
        self._moved = asyncio.Event()
        self.sent = 0
        """The last sequence that Redis is known to have."""

    async def prepare(self, *, is_replay: bool) -> None:
        """Before the journal's first entry: settle what an earlier journal of this market left in Redis.

        A replay begins anew, so its old stream goes. A journal that was lost (a new volume) goes on
        with numbers above the old ones: the recorder ignores what it believes to have.

        Raises JournalDamaged when Redis has been told more than the journal holds.
        """
        if self._journal.sequence > 0:
            async with asyncio.timeout(_DEADLINE_S):
                last = await self._last_id()
            if last > self._journal.sequence:
                raise JournalDamaged(
                    self._journal.path,
                    f"it ends at entry {self._journal.sequence}, and entry {last} has been told to Redis",
                )
            return
        async with asyncio.timeout(_DEADLINE_S):
            if is_replay:
                await self._redis.delete(self._stream, self._acked_key)
                return
            last, acked = await self._last_id(), await self._read_acked()
        if max(last, acked) > 0:
            logger.warning("this journal is new, its stream is not", extra={"last": last, "acked": acked})
            self._journal.start_after(max(last, acked))

    async def run(self) -> None:
        """Pump until cancelled."""
        failures = 0
        while True:
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    moved = await self.pump()
                failures = 0
            except WatchError:
                continue
            except (RedisError, OSError, TimeoutError, RuntimeError) as error:
                # RuntimeError: uvloop's word for a connection that broke while nobody looked.
                failures += 1
                if failures == 1:
                    logger.warning("the outbox waits: Redis does not answer", extra={"error": str(error)})
                await asyncio.sleep(random.uniform(0.5, 1.0) * min(5.0, 0.1 * 2**failures))
                continue
            if not moved:
                await self._journal.more_than(self.sent, _LOOK_EVERY_S)
            if moved < _BATCH:
                await asyncio.sleep(_LINGER_S)

    async def flush(self, within_s: float) -> bool:
        """Wait until Redis has the whole journal; False when that took too long."""
        upto = self._journal.sequence
        try:
            async with asyncio.timeout(within_s):
                await self._journal.flushed()
                while self.sent < upto:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    async def pump(self) -> int:
        """Write one batch; how many entries that was."""
        async with self._redis.pipeline(transaction=True) as pipe:
            await pipe.watch(self._stream)
            first, last = await self._ends(pipe)
            await self._note_acked()
            resume = max(last, self._acked)
            has_hole = last > self._acked and first != self._acked + 1 and self._has(self._acked + 1)
            if has_hole:
                resume = self._acked
            if resume < self.sent:
                logger.warning("Redis has lost journal entries; they are written again", extra={"has": resume})
            entries = self._journal.read_after(resume, _BATCH)
            if entries:
                pipe.multi()  # type: ignore[no-untyped-call]
                if has_hole:
                    pipe.delete(self._stream)
                for sequence, body in entries:
                    pipe.xadd(self._stream, {"e": body}, id=f"{sequence}-0")
                crash.point("gateway.outbox.write")
                await pipe.execute()
                crash.point("gateway.outbox.written")
        self.sent = entries[-1][0] if entries else resume
        self._moved.set()
        metrics.OUTBOX_SENT.inc(len(entries))
        metrics.OUTBOX_WAITING.set(self._journal.durable - self.sent)
        return len(entries)

    async def _note_acked(self) -> None:
        acked = min(await self._read_acked(), self._journal.durable)
        if acked > self._acked:
            crash.point("gateway.acknowledged.note")
            self._acked = acked
            self._journal.acknowledge(acked)
            crash.point("gateway.acknowledged.noted")

    async def _read_acked(self) -> int:
        return int(await self._redis.get(self._acked_key) or 0)

    def _has(self, sequence: int) -> bool:
        """Whether the journal can still tell an entry."""
        found = self._journal.read_after(sequence - 1, 1)
        return bool(found) and found[0][0] == sequence

    async def _last_id(self) -> int:
        return (await self._ends(self._redis))[1]

    async def _ends(self, client: Redis) -> tuple[int, int]:
        """The first id in the stream (0: it is empty), and the last one ever given (0: it is not there)."""
        try:
            info = await client.xinfo_stream(self._stream)
        except ResponseError as error:
            if "no such key" in str(error).lower():
                return 0, 0
            raise
        first = info["first-entry"]
        return _sequence(first[0]) if first else 0, _sequence(info["last-generated-id"])


def _sequence(identity: bytes | str) -> int:
    return int((identity.decode() if isinstance(identity, bytes) else identity).partition("-")[0])
