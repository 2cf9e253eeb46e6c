"""What may be removed from a market's sets: only what the recorder has stored, and only when it is old."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from christmas.market import metrics
from christmas.market.stream import stream_key, trimmed_field, watermark_key
from christmas.market.tick import Tick, ticks_key
from christmas.market.wire import Command
from christmas.telemetry import crash

_CHUNK: Final = 2_000
"""Ticks removed at once: about 2 ms of Redis' time."""
_ALIGNMENT_US: Final = 60_000_000
"""Sets are cut at whole minutes, so that no bar of up to a minute is cut in two."""
_ALERT_AT: Final = 0.8


Transact = Callable[[Sequence[Command]], Awaitable[list[object]]]
"""Runs commands in one transaction on the writer's connection, between two of its writes."""


class TrimPolicy(msgspec.Struct, frozen=True, kw_only=True):
    keep_us: int = 600_000_000
    """Market time that stays readable in Redis."""
    every_s: float = 2.0
    memory_cap_bytes: int = 512 * 1024 * 1024
    """Alerted at 80 % of it. Unrecorded ticks are not removed even then."""


def trim_bound_us(
    watermark_us: int | None, clock_us: int, newest_us: int, unrecorded_late_us: Sequence[int], keep_us: int
) -> int:
    """The time before which a symbol's ticks may go; 0 when none may.

    Never past the recorder's watermark, nor past a late tick that the recorder may not have seen; and the
    newest tick always stays, as what a gateway that starts again knows the price by.
    """
    if watermark_us is None:
        return 0
    bound_us = min(watermark_us + 1, clock_us - keep_us, newest_us, *unrecorded_late_us)
    return max(0, bound_us - bound_us % _ALIGNMENT_US)


class Trimmer:
    """Decides and carries out the trimming of a market's sets."""

    def __init__(self, market: str, policy: TrimPolicy, alert: Callable[[str, str], None]) -> None:
        self.policy = policy
        self._market = market
        self._alert = alert
        self._alerted = False
        self._late: dict[str, deque[tuple[int, int]]] = {}
        """By symbol: the time of each late tick, and the stream's newest time when it was written."""
        self._inherited_us = 0
        """The stream's newest time when this writer began: of earlier late ticks it knows nothing."""

    def begin(self, newest_us: int) -> None:
        self._inherited_us = newest_us

    def note(self, late: Sequence[Tick], written_us: int) -> None:
        """Late ticks are about to be written; nothing in the stream is newer than ``written_us`` yet."""
        for tick in late:
            self._late.setdefault(tick.symbol, deque()).append((tick.time_us, written_us))

    async def trim(self, transact: Transact, symbol: str, clock_us: int) -> tuple[int, bool]:
        """Remove at most a chunk; answers how many ticks went and whether more may go now.

        The caller sees to it that nothing is written meanwhile: a late tick must not slip in between the
        decision and the removal.
        """
        key = ticks_key(self._market, symbol)
        stored, oldest, edge, newest = await transact(
            [
                ("HGET", watermark_key(self._market), symbol),
                ("ZRANGE", key, 0, 0, "WITHSCORES"),
                ("ZRANGE", key, _CHUNK, _CHUNK, "WITHSCORES"),
                ("ZRANGE", key, -1, -1, "WITHSCORES"),
            ]
        )
        watermark_us = int(bytes(stored)) if isinstance(stored, bytes) else None
        oldest_us, edge_us, newest_us = _score(oldest), _score(edge), _score(newest)
        if watermark_us is None or watermark_us <= self._inherited_us or oldest_us is None or newest_us is None:
            return 0, False
        late_us = self._unrecorded_late(symbol, watermark_us)
        bound_us = trim_bound_us(watermark_us, clock_us, newest_us, late_us, self.policy.keep_us)
        if oldest_us >= bound_us:
            return 0, False
        # Up to the first tick behind the chunk; past it only when the chunk is all of one time.
        until_us = bound_us if edge_us is None else min(bound_us, max(edge_us, oldest_us + 1))
        crash.point("gateway.trim.remove")
        removed, _ = await transact(
            [
                ("ZREMRANGEBYSCORE", key, "-inf", f"({until_us}"),
                ("HSET", stream_key(self._market), trimmed_field(symbol), bound_us),
            ]
        )
        crash.point("gateway.trim.removed")
        count = removed if isinstance(removed, int) else 0
        metrics.TRIMMED_TICKS.labels(self._market).inc(count)
        return count, until_us < bound_us

    async def watch_memory(self, transact: Transact, symbols: Sequence[str]) -> None:
        """Measure what the sets take, and alert before it is too much."""
        keys = [ticks_key(self._market, symbol) for symbol in symbols]
        if not keys:
            return
        counts: list[Command] = [("ZCARD", key) for key in keys]
        sizes: list[Command] = [("MEMORY", "USAGE", key, "SAMPLES", 5) for key in keys]
        answers = [answer if isinstance(answer, int) else 0 for answer in await transact(counts + sizes)]
        ticks, size = sum(answers[: len(keys)]), sum(answers[len(keys) :])
        metrics.RETAINED_TICKS.labels(self._market).set(ticks)
        metrics.RETAINED_BYTES.labels(self._market).set(size)
        alerted = size >= _ALERT_AT * self.policy.memory_cap_bytes
        metrics.MEMORY_ALERT.labels(self._market).set(alerted)
        if alerted and not self._alerted:
            self._alert(
                "TickMemory",
                f"{self._market}: {ticks} ticks take {size >> 20} MiB of {self.policy.memory_cap_bytes >> 20} MiB in "
                "Redis; the recorder does not keep up, and what it has not stored is not removed",
            )
        self._alerted = alerted

    def _unrecorded_late(self, symbol: str, watermark_us: int) -> list[int]:
        """The times of late ticks that the recorder may not have stored yet.

        It stores the stream in order. A watermark past the market's time at a late tick's writing comes from
        a tick behind it in the stream, so the late one is stored too.
        """
        waiting = self._late.get(symbol)
        if not waiting:
            return []
        self._late[symbol] = waiting = deque(entry for entry in waiting if entry[1] >= watermark_us)
        return [time_us for time_us, _ in waiting]


def _score(answer: object) -> int | None:
    """The score in an answer to ZRANGE ... WITHSCORES of one member."""
    return int(float(answer[1])) if isinstance(answer, list) and answer else None
