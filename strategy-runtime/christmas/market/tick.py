"""A tick, and the messages in which ticks travel over Redis.

The gateway writes each tick into the sorted set ``ticks:<market>:<symbol>`` (score: exchange time
in µs, member: the tick as compact JSON) and publishes a `TickBatch` on the channel of the same name
as the doorbell. `ClockAdvance` messages travel on ``clock:<market>``. One Redis connection keeps the
order in which messages were published across channels, so a subscriber of both sees one totally
ordered stream.

``market`` is the Broker's name, or in a replay ``<broker>.<replay id>``, so that replayed prints
never mix with recorded ones.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

import msgspec

Side = Literal["buy", "sell"]
MICROSECONDS_PER_SECOND: Final = 1_000_000


class Tick(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One trade print.

    ``open``, ``high`` and ``low`` are set only on the print of a bar replay, where one print stands
    for all trades of an interval and ``price`` is its close. ``late`` marks a print that came after
    the clock had passed the end of its second: it is recorded, and no bar contains it.
    """

    time_us: int = msgspec.field(name="t")
    symbol: str = msgspec.field(name="s")
    trade_id: str = msgspec.field(name="i")
    price: Decimal = msgspec.field(name="p")
    lots: int = msgspec.field(name="v")
    taker_side: Side | None = msgspec.field(name="k", default=None)
    open: Decimal | None = msgspec.field(name="o", default=None)
    high: Decimal | None = msgspec.field(name="h", default=None)
    low: Decimal | None = msgspec.field(name="l", default=None)
    late: bool = msgspec.field(name="x", default=False)


class TickBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Ticks of one symbol that arrived together.

    ``sequence`` counts the symbol's ticks: it is the number of the batch's last tick, so a reader
    whose last sequence is ``n`` has missed something unless ``sequence - len(ticks) == n``.
    """

    sequence: int = msgspec.field(name="n")
    ticks: tuple[Tick, ...] = msgspec.field(name="x")


class ClockAdvance(msgspec.Struct, frozen=True, kw_only=True):
    """The market's clock reached ``time_us``: every later tick before it will be marked late."""

    time_us: int = msgspec.field(name="c")


def ticks_key(market: str, symbol: str) -> str:
    """The sorted set and the doorbell channel of one symbol."""
    return f"ticks:{market}:{symbol}"


def clock_channel(market: str) -> str:
    return f"clock:{market}"
