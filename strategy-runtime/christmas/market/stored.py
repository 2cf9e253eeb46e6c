"""Ticks as they lie in a symbol's sorted set, and what else lies there."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from christmas.market import metrics
from christmas.market.tick import Tick
from christmas.telemetry.unreadable import UNREADABLE

logger = logging.getLogger(__name__)

_TOLD_MAXIMUM: Final = 1_000
_decode_tick = msgspec.json.Decoder(Tick).decode


class Stored(NamedTuple):
    """A stretch of a set."""

    ticks: list[Tick]
    """In the set's order."""
    unreadable: list[bytes]
    """Members that are no ticks of this symbol, or lie at another time than their own."""
    last_us: int | None
    """The time of the last member, readable or not; None without one."""


def as_stored(symbol: str, members: Iterable[tuple[bytes, bytes | float]]) -> Stored:
    """Members with their scores, as ZRANGE answers them."""
    ticks: list[Tick] = []
    unreadable: list[bytes] = []
    last_us: int | None = None
    for member, score in members:
        last_us = int(float(score))
        try:
            tick = _decode_tick(member)
        except UNREADABLE:
            unreadable.append(member)
            continue
        if tick.time_us == last_us and tick.symbol == symbol:
            ticks.append(tick)
        else:
            unreadable.append(member)
    return Stored(ticks, unreadable, last_us)


class Complaints:
    """Counts what cannot be read and tells it, each once, however often it is met.

    Beyond a thousand of them it only counts.
    """

    def __init__(self, market: str) -> None:
        self._market = market
        self._told: set[bytes] = set()

    def of(self, symbol: str, unreadable: Iterable[bytes]) -> None:
        for member in unreadable:
            if member in self._told:
                continue
            metrics.READER_UNREADABLE.labels(self._market).inc()
            if len(self._told) >= _TOLD_MAXIMUM:
                continue
            self._told.add(member)
            logger.warning(
                "a stored print cannot be read, it is passed over",
                extra={"market": self._market, "symbol": symbol, "print": member[:200].decode(errors="replace")},
            )
