"""A tick on its way from Redis to the database: what `christmas.market.tick.Tick` says, numbers unread.

Both ends write decimals as text, and most prices were seen a moment ago, so reading every price as a
Decimal would be a quarter of the recorder's work for nothing. The members' wire names are Tick's.
"""

from __future__ import annotations

import msgspec

from christmas.market.tick import Side


class StoredTick(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """See `christmas.market.tick.Tick` for the fields; the prices are decimals as text."""

    time_us: int = msgspec.field(name="t")
    trade_id: str = msgspec.field(name="i")
    price: str = msgspec.field(name="p")
    lots: int = msgspec.field(name="v")
    taker_side: Side | None = msgspec.field(name="k", default=None)
    open: str | None = msgspec.field(name="o", default=None)
    high: str | None = msgspec.field(name="h", default=None)
    low: str | None = msgspec.field(name="l", default=None)
    late: bool = msgspec.field(name="x", default=False)
