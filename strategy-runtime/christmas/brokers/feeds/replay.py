"""Recorded prints played again: as they came, N times as fast, or as fast as they are taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from heapq import merge
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from christmas.brokers.feeds.error import FeedError
from christmas.brokers.feeds.metrics import MESSAGES
from christmas.brokers.feeds.source import Source
from christmas.brokers.port import FeedProgress
from christmas.market.quality import TRADE_ID_MAXIMUM
from christmas.market.raw import FeedTick
from christmas.market.tick import MICROSECONDS_PER_SECOND

LARGEST_BATCH: Final = 1000
_BREATHE_EVERY: Final = 64
"""Batches without a wait after which other tasks get their turn."""
_LOOP_STEP_US: Final = 60 * MICROSECONDS_PER_SECOND

TimedPrint = tuple[int, FeedTick]


class ReplayFeed:
    """Prints of one or more files, merged by time. Times are the files' own, at any speed.

    A capture is paced by the receiver's clock, other files by the prints' times. With ``loop`` each
    further pass is moved behind the one before it, ids too.
    """

    def __init__(
        self,
        files: Sequence[Path],
        *,
        speed: str,
        symbol: str | None,
        known: Mapping[str, object],
        loop: bool = False,
        paced_from_us: int = 0,
    ) -> None:
        """Raises FeedError when a file is missing or has no known format."""
        self._sources = [Source(path, symbol=symbol, known=known) for path in files]
        formats = {source.format == "capture" for source in self._sources}
        if len(formats) > 1:
            raise FeedError("captures and tables cannot be played together: their clocks differ; use one kind")
        self._speed = None if speed == "max" else float(speed.removesuffix("x"))
        if self._speed == 0:
            raise FeedError(f"feed.replay.speed {speed!r} would never get anywhere; write max or a number above zero")
        self._loop = loop
        self._paced_from_us = paced_from_us
        self._total: int | None = None
        self._rows_before = 0
        self._time_us = 0
        self._closed = False

    @property
    def progress(self) -> FeedProgress:
        """Rows (messages, in a capture) read so far and in all; None: it cannot be told, or it never ends."""
        total = self._total
        if total is None and not self._loop:
            estimates = [source.estimate() for source in self._sources]
            total = None if None in estimates else sum(filter(None, estimates))
        return FeedProgress(done=self._rows_before + self._rows(), total=total, time_us=self._time_us)

    async def batches(self) -> AsyncIterator[Sequence[FeedTick]]:
        """Prints that fall together: of the same time, or by now due together. Raises FeedError."""
        if not self._loop:
            counts = await asyncio.gather(*(asyncio.to_thread(source.count) for source in self._sources))
            self._total = None if None in counts else sum(filter(None, counts))
        messages = MESSAGES.labels("replay")
        pacer: _Pacer | None = None
        counted = 0
        prints = _Prints(self._prints())
        following = prints.next()
        for turn in count(1):
            if following is None or self._closed:
                break
            paced_us, tick = following
            if self._speed is not None and tick.time_us >= self._paced_from_us:
                pacer = pacer or _Pacer(paced_us, self._speed)
                until_us = await pacer.wait(paced_us)
            else:
                until_us = paced_us
                if turn % _BREATHE_EVERY == 0:
                    await asyncio.sleep(0)
            batch = [tick]
            following = prints.next()
            while following is not None and following[0] <= until_us and len(batch) < LARGEST_BATCH:
                batch.append(following[1])
                following = prints.next()
            self._time_us = batch[-1].time_us
            done = self._rows_before + self._rows()
            messages.inc(done - counted)
            counted = done
            yield batch
        if prints.error is not None and not self._closed:
            raise prints.error

    async def close(self) -> None:
        self._closed = True

    def _rows(self) -> int:
        return sum(source.rows for source in self._sources)

    def _prints(self) -> Iterator[TimedPrint]:
        played = _Pass()
        for timed in self._one_pass():
            played.add(timed)
            yield timed
        if not played.prints:
            names = ", ".join(str(source.path) for source in self._sources)
            raise FeedError(f"{names}: no trade or bar in it; name other files in feed.replay.files")
        repeat = 0
        while self._loop:
            repeat += 1
            self._rows_before += self._rows()
            yield from (played.moved(timed, repeat) for timed in self._one_pass())

    def _one_pass(self) -> Iterator[TimedPrint]:
        if len(self._sources) == 1:
            return self._sources[0].prints()
        return merge(*(source.prints() for source in self._sources), key=lambda timed: timed[0])


class _Prints:
    """Looks one print ahead, and keeps an error for when what came before it has been handed over."""

    def __init__(self, prints: Iterator[TimedPrint]) -> None:
        self._prints = prints
        self.error: FeedError | None = None

    def next(self) -> TimedPrint | None:
        try:
            return next(self._prints, None)
        except FeedError as error:
            self.error = error
            return None


class _Pass:
    """What must be known of one pass to put the next ones behind it."""

    def __init__(self) -> None:
        self.prints = 0
        self._first_us = self._last_us = 0
        self._first_id = self._last_id = 0

    def add(self, timed: TimedPrint) -> None:
        paced_us, tick = timed
        number = _number(tick.trade_id)
        if not self.prints:
            self._first_us = self._last_us = paced_us
            self._first_id = self._last_id = number
        self.prints += 1
        self._first_us = min(self._first_us, paced_us, tick.time_us)
        self._last_us = max(self._last_us, paced_us, tick.time_us)
        self._first_id, self._last_id = min(self._first_id, number), max(self._last_id, number)

    def moved(self, timed: TimedPrint, repeat: int) -> TimedPrint:
        """The same print in the ``repeat``-th further pass; whole minutes on, so that bars stay aligned."""
        paced_us, tick = timed
        step_us = -(-(self._last_us + 1 - self._first_us) // _LOOP_STEP_US) * _LOOP_STEP_US
        moved_us = repeat * step_us
        if tick.high is not None:
            trade_id = str(int(tick.trade_id) + moved_us // 1000)
        elif number := _number(tick.trade_id):
            trade_id = str(number + repeat * (self._last_id - self._first_id + 1))
        else:
            trade_id = f"{tick.trade_id}~{repeat}"
        return paced_us + moved_us, msgspec.structs.replace(tick, time_us=tick.time_us + moved_us, trade_id=trade_id)


def _number(trade_id: str) -> int:
    """An id that is a plain number as such, any other as 0."""
    plain = trade_id.isascii() and trade_id.isdigit() and len(trade_id) <= TRADE_ID_MAXIMUM
    return int(trade_id) if plain else 0


class _Pacer:
    """Deadlines count from the first print, so being late once does not delay what follows."""

    def __init__(self, start_us: int, speed: float) -> None:
        self._start_us = start_us
        self._speed = speed
        self._started_s = asyncio.get_running_loop().time()

    async def wait(self, time_us: int) -> int:
        """Until ``time_us`` is due; returns the time up to which prints are due by then."""
        loop = asyncio.get_running_loop()
        delay_s = self._started_s + (time_us - self._start_us) / (MICROSECONDS_PER_SECOND * self._speed) - loop.time()
        await asyncio.sleep(max(0.0, delay_s))
        elapsed_s = loop.time() - self._started_s
        return max(time_us, self._start_us + int(elapsed_s * self._speed * MICROSECONDS_PER_SECOND))
