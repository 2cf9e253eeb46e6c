"""How long the gateway waits for a venue, and between attempts."""

from __future__ import annotations

import asyncio
import random

import msgspec


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of wall time; in lock-step the market stands still meanwhile, so pauses are short."""

    request_s: float = 5.0
    """The deadline of one request; what has not been answered by then is unknown."""
    first_pause_s: float = 0.1
    longest_pause_s: float = 15.0
    placings: int = 3
    """How often one order is sent before it is given up, when the venue is sure not to have it."""
    answer_latency_us: int = 0
    """A simulated venue's way there and back, in market time: when a strategy knows our own answers."""
    report_latency_us: int = 0
    """A simulated venue's way back."""
    market_waits: bool = False
    """Lock-step: however long this process was gone, the market has not moved."""

    async def pause(self, attempt: int) -> None:
        """Back off before the ``attempt``-th repetition (from 1), with jitter."""
        await asyncio.sleep(
            random.uniform(0.5, 1.0) * min(self.longest_pause_s, self.first_pause_s * 2 ** min(attempt - 1, 20))
        )


def lockstep_timing(answer_latency_us: int, report_latency_us: int) -> Timing:
    return Timing(
        first_pause_s=0.001,
        longest_pause_s=0.02,
        answer_latency_us=answer_latency_us,
        report_latency_us=report_latency_us,
        market_waits=True,
    )
