"""A print before anyone has looked at it: what feeds hand to the gateway."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class FeedTick(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A print as a feed hands it over: raw, unchecked, quantity not yet in lots."""

    time_us: int
    symbol: str
    trade_id: str
    price: Decimal
    quantity: Decimal
    """In base currency."""
    taker_side: str | None = None
    open: Decimal | None = None
    """``open``, ``high`` and ``low`` are set only where one print stands for a whole bar."""
    high: Decimal | None = None
    low: Decimal | None = None
