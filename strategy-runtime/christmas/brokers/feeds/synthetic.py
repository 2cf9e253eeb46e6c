"""The offline default: made-up markets, paced by the wall clock, with exchange times of now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from heapq import merge
from itertools import takewhile
from typing import Final

from christmas.brokers.feeds.metrics import MESSAGES, SKIPPED_SPANS
from christmas.brokers.feeds.synthetic_market import SyntheticMarket
from christmas.market.instrument import Instrument
from christmas.market.raw import FeedTick
from christmas.market.tick import MICROSECONDS_PER_SECOND
from christmas.telemetry.steady import steady_us

LARGEST_BATCH: Final = 1000
LONGEST_BACKLOG_US: Final = 30 * MICROSECONDS_PER_SECOND
"""A machine that slept longer than this goes on from now."""
_logger = logging.getLogger(__name__)


class SyntheticFeed:
    """One made-up market for each instrument. It never ends."""

    def __init__(
        self,
        instruments: Sequence[Instrument],
        *,
        seed: int,
        ticks_per_second: float,
        start_price: float,
        annual_volatility: float,
        clock: Callable[[], int] = steady_us,
    ) -> None:
        """``ticks_per_second`` of each symbol on average; ``clock``: UTC µs now."""
        self._markets = [
            SyntheticMarket(
                instrument,
                seed=seed,
                ticks_per_second=ticks_per_second,
                start_price=start_price,
                annual_volatility=annual_volatility,
            )
            for instrument in instruments
        ]
        self._clock = clock
        self._from_us: int | None = None
        self._closed = asyncio.Event()

    def history(self, until_us: int, seconds: int) -> list[FeedTick]:
        """The prints of the ``seconds`` before ``until_us``; `batches` then goes on from there."""
        self._from_us = until_us
        prints = self._prints(until_us - seconds * MICROSECONDS_PER_SECOND)
        return list(takewhile(lambda tick: tick.time_us < until_us, prints))

    async def batches(self) -> AsyncIterator[Sequence[FeedTick]]:
        """Prints that are due together."""
        messages = MESSAGES.labels("synthetic")
        prints = self._prints(self._clock() if self._from_us is None else self._from_us)
        following = next(prints)
        while True:
            now_us = self._clock()
            if now_us - following.time_us > LONGEST_BACKLOG_US:
                SKIPPED_SPANS.inc()
                _logger.warning("synthetic market skips to now", extra={"behind_us": now_us - following.time_us})
                prints = self._prints(now_us)
                following = next(prints)
            await self._wait((following.time_us - now_us) / MICROSECONDS_PER_SECOND)
            if self._closed.is_set():
                return
            now_us = self._clock()
            batch: list[FeedTick] = []
            while following.time_us <= now_us and len(batch) < LARGEST_BATCH:
                batch.append(following)
                following = next(prints)
            if batch:
                messages.inc(len(batch))
                yield batch

    async def close(self) -> None:
        self._closed.set()

    async def _wait(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            return

    def _prints(self, from_us: int) -> Iterator[FeedTick]:
        return merge(*(market.prints(from_us) for market in self._markets), key=lambda tick: tick.time_us)
