"""What a market's stream keeps in Redis beside its ticks, and in which keys.

- ``stream:<market>``, a hash: ``clock`` (µs), for each symbol the sequence of its last tick,
  ``trimmed:<symbol>``, the time before which its set is no longer complete, ``quarantine``, the number
  of prints that were refused, and in lock-step ``answered``, the market's time (µs) up to which strategies
  have decided, and all that they decided was seen to.
- ``watermark:<market>``, a hash written by the recorder: for each symbol the time up to which (inclusive)
  every tick of the stream so far is stored.
- ``quarantine:<market>``, a bounded stream of the prints that were refused, ids ``<number>-0``.

Ticks, sequences and clock of one write go in one transaction, so a reader that takes sets and hash in one
transaction too knows exactly which doorbells it has thereby seen.
"""

from __future__ import annotations

from typing import Final

import msgspec

from christmas.market.raw import FeedTick
from christmas.market.tick import ClockAdvance, Tick, TickBatch

CLOCK_FIELD: Final = "clock"
ANSWERED_FIELD: Final = "answered"
REFUSED_FIELD: Final = "quarantine"
QUARANTINE_FIELD: Final = "q"
QUARANTINE_MAXIMUM: Final = 10_000
_TRIMMED: Final = "trimmed:"

Message = TickBatch | ClockAdvance


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """A print that was not let into the market, and why."""

    print: FeedTick
    reason: str
    """CamelCase, one of `christmas.market.quality.Reason`."""
    detail: str
    received_us: int
    """The receiver's clock."""


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a market's stream stands: what a gateway that starts again goes on from."""

    clock_us: int = 0
    sequences: dict[str, int] = {}
    """By symbol: the sequence of the last tick."""
    trimmed_us: dict[str, int] = {}
    """By symbol: ticks before this time may be missing from the set."""
    recent: dict[str, list[Tick]] = {}
    """By symbol: the set's newest ticks, oldest first."""
    known_from_us: dict[str, int] = {}
    """By symbol: ``recent`` holds all ticks from this time on."""
    refused: int = 0
    refused_prints: list[FeedTick] = []
    """The newest of them, that are known again when they come once more after a restart; not those that were only
    too early.
    """
    answered_us: int | None = None
    """In lock-step: what strategies have answered for before the last write. None: not a market in lock-step."""


def stream_key(market: str) -> str:
    return f"stream:{market}"


def watermark_key(market: str) -> str:
    return f"watermark:{market}"


def quarantine_key(market: str) -> str:
    return f"quarantine:{market}"


def trimmed_field(symbol: str) -> str:
    return _TRIMMED + symbol


def parse_stream(answer: object) -> StreamState:
    """The hash ``stream:<market>`` as HGETALL answers it: names and values in turn."""
    if not isinstance(answer, list):
        raise TypeError(f"HGETALL answered {answer!r}")
    fields: dict[bytes, bytes] = dict(zip(answer[::2], answer[1::2], strict=True))
    clock_us = refused = 0
    sequences: dict[str, int] = {}
    trimmed_us: dict[str, int] = {}
    answered_us: int | None = None
    for raw_name, raw_value in fields.items():
        name, value = raw_name.decode(), int(raw_value)
        if name == CLOCK_FIELD:
            clock_us = value
        elif name == REFUSED_FIELD:
            refused = value
        elif name == ANSWERED_FIELD:
            answered_us = value
        elif name.startswith(_TRIMMED):
            trimmed_us[name.removeprefix(_TRIMMED)] = value
        else:
            sequences[name] = value
    return StreamState(
        clock_us=clock_us,
        sequences=sequences,
        trimmed_us=trimmed_us,
        refused=refused,
        answered_us=answered_us,
    )
