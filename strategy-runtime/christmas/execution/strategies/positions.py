"""What a strategy sees of its positions: each one, and all of a symbol together."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

_PERCENT: Final = 100


class PositionView(msgspec.Struct, frozen=True, kw_only=True):
    """One round trip that is not over, as the engine knows it.

    A position exists from the moment its entry order is decided: until the first fill, ``lots`` is 0 and
    ``average_price`` None. That way a strategy that asks ``position.is_flat`` does not enter twice while its
    first order is still on the way.
    """

    position_id: str
    symbol: str
    lots: int
    """Held now: bought and not yet sold."""
    quantity: Decimal
    """``lots`` in base currency."""
    average_price: Decimal | None
    """Mean price of the entry's fills, without fees."""
    opened_us: int
    """When the entry was decided."""
    entry_notional: Decimal
    """What the entry's fills cost, without fees, in quote currency."""
    cash_flow: Decimal
    """Proceeds so far, minus entry notional, minus all fees so far: negative while nothing is sold."""
    is_closing: bool = False
    """An exit order is working."""

    def unrealised_pnl(self, price: Decimal) -> Decimal:
        """In quote currency: the cash flow so far and the remaining quantity at ``price``; no exit fee."""
        return self.cash_flow + self.quantity * price

    def profit(self, price: Decimal) -> float | None:
        """`unrealised_pnl` in percent of the entry's notional; None before the first fill."""
        if not self.entry_notional:
            return None
        return float(self.unrealised_pnl(price) / self.entry_notional * _PERCENT)


class Position:
    """All positions of one symbol together, at one moment: ``self.position`` in a strategy."""

    __slots__ = ("_now_us", "_price", "_views")

    def __init__(self, views: Sequence[PositionView], price: Decimal | None, now_us: int) -> None:
        self._views = views
        self._price = price
        self._now_us = now_us

    @property
    def is_flat(self) -> bool:
        """Nothing is held and no entry is on the way."""
        return not self._views

    @property
    def count(self) -> int:
        """Round trips that are not over, entries on the way included."""
        return len(self._views)

    @property
    def lots(self) -> int:
        return sum(view.lots for view in self._views)

    @property
    def quantity(self) -> Decimal:
        """In base currency."""
        return sum((view.quantity for view in self._views), Decimal(0))

    @property
    def average_price(self) -> Decimal | None:
        """The mean entry price, weighted by the quantity still held; None when nothing is held."""
        quantity = self.quantity
        if not quantity:
            return None
        cost = sum(
            (view.average_price * view.quantity for view in self._views if view.average_price is not None), Decimal(0)
        )
        return cost / quantity

    @property
    def age_us(self) -> int:
        """Of the oldest one, in microseconds of market time; 0 when flat."""
        return max((self._now_us - view.opened_us for view in self._views), default=0)

    @property
    def unrealised_pnl(self) -> Decimal:
        """In quote currency at the last price, fees paid so far included; 0 when flat."""
        price = self._price
        if price is None:
            return Decimal(0)
        return sum((view.unrealised_pnl(price) for view in self._views), Decimal(0))

    @property
    def profit(self) -> float:
        """`unrealised_pnl` in percent of the entries' notional; 0.0 when nothing was bought."""
        notional = sum((view.entry_notional for view in self._views), Decimal(0))
        return float(self.unrealised_pnl / notional * _PERCENT) if notional else 0.0

    def __repr__(self) -> str:
        return f"Position(count={self.count}, quantity={self.quantity}, unrealised_pnl={self.unrealised_pnl})"
