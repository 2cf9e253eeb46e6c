"""The work queue: each object at most once in it, nobody starved, failures slower and slower.

Pure bookkeeping on a clock that is handed in; `take` is the only thing that waits.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, Literal, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)

Lane = Literal["changed", "resync"]
"""Somebody's change goes before what is looked at only to be sure, but not for ever."""

FIRST_RETRY_S: Final = 0.2
LAST_RETRY_S: Final = 60.0
_CHANGED_IN_A_ROW: Final = 8
"""So many changes are taken, then one of a resync: five thousand of them must not wait for ever."""


class Taken(NamedTuple, Generic[K]):
    key: K
    waited_s: float


class WorkQueue(Generic[K]):
    """An object that is being worked on is not handed out again; what happens to it meanwhile is worked on after."""

    def __init__(
        self,
        *,
        maximum: int,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._maximum = maximum
        self._clock = clock
        self._jitter = jitter
        self._lanes: dict[Lane, OrderedDict[K, float]] = {"changed": OrderedDict(), "resync": OrderedDict()}
        self._working: set[K] = set()
        self._again: dict[K, Lane] = {}
        self._due: dict[K, float] = {}
        self._timers: list[tuple[float, int, K]] = []
        self._numbers = 0
        self._failures: dict[K, int] = {}
        self._in_a_row = 0
        self._filled = asyncio.Event()
        self.dropped = 0

    def __len__(self) -> int:
        return sum(len(lane) for lane in self._lanes.values())

    def depth(self, lane: Lane) -> int:
        return len(self._lanes[lane])

    @property
    def delayed(self) -> int:
        return len(self._due)

    @property
    def failing(self) -> int:
        return len(self._failures)

    @property
    def working(self) -> int:
        return len(self._working)

    def add(self, key: K, lane: Lane = "changed") -> bool:
        """Due now. False when the queue is full: a resync will come by again."""
        if key in self._working:
            if self._again.get(key) != "changed":
                self._again[key] = lane
            return True
        if key in self._lanes["changed"]:
            return True
        waiting_since = self._lanes["resync"].get(key)
        if waiting_since is not None and lane == "resync":
            return True
        if waiting_since is None and len(self) >= self._maximum:
            self.dropped += 1
            return False
        self._lanes["resync"].pop(key, None)
        self._lanes[lane][key] = self._clock()
        self._filled.set()
        return True

    def add_after(self, key: K, seconds: float) -> None:
        """Due then, unless it is due sooner already."""
        at = self._clock() + max(0.0, seconds)
        known = self._due.get(key)
        if known is not None and known <= at:
            return
        self._due[key] = at
        self._numbers += 1
        heapq.heappush(self._timers, (at, self._numbers, key))
        self._filled.set()

    def retry(self, key: K, at_least_s: float = 0.0) -> float:
        """It failed: due again after a span that doubles from failure to failure; the span."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        span = min(LAST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(failures, 16))
        # Half of it is random: what failed together must not come back together.
        after = max(at_least_s, span * (0.5 + 0.5 * self._jitter()))
        self.add_after(key, after)
        return after

    def forget_failures(self, key: K) -> None:
        self._failures.pop(key, None)

    def discard(self, key: K) -> None:
        """It exists no longer."""
        for lane in self._lanes.values():
            lane.pop(key, None)
        self._again.pop(key, None)
        self._due.pop(key, None)
        self._failures.pop(key, None)

    def done(self, key: K) -> None:
        """The worker is through with it."""
        self._working.discard(key)
        lane = self._again.pop(key, None)
        if lane is not None:
            self.add(key, lane)

    async def take(self) -> Taken[K]:
        """The next object; the caller calls `done` with it."""
        while True:
            wait = self._ripen()
            taken = self._pop()
            if taken is not None:
                return taken
            self._filled.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._filled.wait()
            except TimeoutError:
                continue

    def _ripen(self) -> float | None:
        """Move what has become due to its lane; seconds to the next, None when nothing is delayed."""
        now = self._clock()
        while self._timers:
            at, _, key = self._timers[0]
            if self._due.get(key) != at:
                heapq.heappop(self._timers)
                continue
            if at > now:
                return at - now
            heapq.heappop(self._timers)
            del self._due[key]
            self.add(key)
        return None

    def _pop(self) -> Taken[K] | None:
        changed, resync = self._lanes["changed"], self._lanes["resync"]
        lane = changed
        if not changed or (resync and self._in_a_row >= _CHANGED_IN_A_ROW):
            lane = resync
        if not lane:
            return None
        self._in_a_row = self._in_a_row + 1 if lane is changed else 0
        key, since = lane.popitem(last=False)
        self._working.add(key)
        return Taken(key, self._clock() - since)
