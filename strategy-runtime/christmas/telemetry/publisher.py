"""Publishes typed events to the installation's Redis stream without ever holding up its caller."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import deque
from typing import Final

import msgspec
from prometheus_client import Counter, Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError

from christmas.telemetry.cancelling import end
from christmas.telemetry.events import EVENTS_MAXIMUM, Event, events_key

logger = logging.getLogger(__name__)

QUEUE_MAXIMUM: Final = 10_000
_BATCH: Final = 200
_LINGER_S: Final = 0.05
"""What is published within it is written together: events only watch, and what leads to them is in a hurry."""
_DEADLINE_S: Final = 5.0
_PUBLISHED = Counter("christmas_events_published_total", "Events written to the stream.", ["event"])
_DROPPED = Counter("christmas_events_dropped_total", "Events lost because the queue was full while Redis was away.")
_WAITING = Gauge("christmas_events_waiting", "Events that wait to be written.")


class EventPublisher:
    """A bounded queue and the one task that empties it into Redis.

    Events only watch: orders and fills are safe in the journal, so when Redis is away for long the
    oldest events are dropped, and counted.
    """

    def __init__(self, redis: Redis, replay_id: str = "") -> None:
        self._redis = redis
        self._key = events_key(replay_id)
        self._queue: deque[Event] = deque(maxlen=QUEUE_MAXIMUM)
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def publish(self, event: Event) -> None:
        if len(self._queue) == QUEUE_MAXIMUM:
            _DROPPED.inc()
        self._queue.append(event)
        self._filled.set()
        self._emptied.clear()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._pump(), name="events")

    async def close(self, flush_s: float = 2.0) -> None:
        """Write what waits, for at most ``flush_s`` seconds, then stop."""
        if self._task is None:
            return
        self._closing.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(flush_s):
                await self._emptied.wait()
        await end(self._task)

    async def _pump(self) -> None:
        failures = 0
        while True:
            await self._filled.wait()
            await self._linger()
            batch = [self._queue[i] for i in range(min(_BATCH, len(self._queue)))]
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    await self._write(batch)
            except (RedisError, OSError, TimeoutError, RuntimeError) as error:
                # RuntimeError: uvloop's word for a connection that broke while nobody looked.
                failures += 1
                if failures == 1:
                    logger.warning("events wait: Redis does not answer", extra={"error": str(error)})
                await asyncio.sleep(random.uniform(0.5, 1.0) * min(10.0, 0.1 * 2**failures))
                continue
            failures = 0
            # The deque may have dropped some of these at its left end while Redis was written to.
            for event in batch:
                if self._queue and self._queue[0] is event:
                    self._queue.popleft()
                _PUBLISHED.labels(type(event).__struct_config__.tag).inc()
            _WAITING.set(len(self._queue))
            if not self._queue:
                self._filled.clear()
                self._emptied.set()

    async def _linger(self) -> None:
        if len(self._queue) < _BATCH:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LINGER_S):
                    await self._closing.wait()

    async def _write(self, batch: list[Event]) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            for event in batch:
                pipe.xadd(self._key, {"e": msgspec.json.encode(event)}, maxlen=EVENTS_MAXIMUM, approximate=True)
            await pipe.execute()
