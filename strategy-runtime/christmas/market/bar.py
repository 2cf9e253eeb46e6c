"""A bar: what the ticks of one interval of time amount to."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class Bar(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The ticks with ``start_us <= time_us < end_us`` that were not late.

    ``open`` belongs to the earliest and ``close`` to the last tick by (exchange time, trade id), so
    the order of arrival changes nothing. An interval without a tick has no bar.
    """

    symbol: str
    start_us: int
    end_us: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    lots: int
    """Traded volume in lots."""
    buy_lots: int
    """The part of ``lots`` whose taker bought."""
    sell_lots: int
    """The part of ``lots`` whose taker sold; unknown sides are in neither."""
    price_lots: Decimal
    """The sum of price x lots: divided by ``lots``, the volume-weighted average price."""
    ticks: int
