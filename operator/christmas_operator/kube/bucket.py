"""A bound on requests per second that lets short bursts through."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Bucket:
    """Tokens come back at ``rate`` a second, up to ``burst`` of them."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._at = clock()

    def reserve(self) -> float:
        """Takes one token; how many seconds to wait before it may be used. Whoever asks first goes first."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = max(self._at, now)
        self._tokens -= 1
        return max(0.0, -self._tokens / self._rate)

    def pause(self, seconds: float) -> None:
        """The server asks for quiet: nothing goes out before then, and no burst after it."""
        self._at = max(self._at, self._clock() + seconds)
        self._tokens = min(self._tokens, -seconds * self._rate)

    async def take(self) -> None:
        wait = self.reserve()
        if wait > 0:
            await asyncio.sleep(wait)
