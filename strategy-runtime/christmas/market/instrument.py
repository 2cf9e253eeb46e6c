"""What is traded: increments, lots and the hours in which a venue takes orders."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec

from christmas.market.hours import TradingHours


class InexactAmount(ValueError):
    """A price or a quantity is not a whole number of the instrument's increments or lots."""


class Instrument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One tradable symbol at one venue.

    Prices are decimals that are whole multiples of ``price_increment`` (in quote currency);
    quantities are whole lots, each of ``lot_size`` (in base currency).
    """

    symbol: str
    price_increment: Decimal
    lot_size: Decimal
    minimum_notional: Decimal = Decimal(0)
    minimum_lots: int = 1
    maximum_lots: int | None = None
    trading_hours: TradingHours | None = None
    """``None``: the market never closes."""

    @property
    def base(self) -> str:
        return self.symbol.partition("/")[0]

    @property
    def quote(self) -> str:
        return self.symbol.partition("/")[2] or "USD"

    def lots(self, quantity: Decimal) -> int:
        """The lots in ``quantity`` (base currency); raises InexactAmount when it is not whole."""
        count = quantity / self.lot_size
        whole = int(count)
        if whole != count:
            raise InexactAmount(f"{self.symbol}: quantity {quantity} is not a whole number of lots of {self.lot_size}")
        return whole

    def lots_floor(self, quantity: Decimal) -> int:
        """The most whole lots that ``quantity`` (base currency) pays for."""
        return int((quantity / self.lot_size).to_integral_value(ROUND_FLOOR))

    def quantity(self, lots: int) -> Decimal:
        """Lots as a base currency quantity, exactly."""
        return self.lot_size * lots

    def notional(self, price: Decimal, lots: int) -> Decimal:
        """The exact value in quote currency of ``lots`` at ``price``."""
        return price * self.lot_size * lots

    def is_on_increment(self, price: Decimal) -> bool:
        return price % self.price_increment == 0

    def price_floor(self, price: Decimal) -> Decimal:
        """The highest valid price at or below ``price``."""
        increments = (price / self.price_increment).to_integral_value(ROUND_FLOOR)
        return increments * self.price_increment

    def price_ceiling(self, price: Decimal) -> Decimal:
        """The lowest valid price at or above ``price``."""
        increments = (price / self.price_increment).to_integral_value(ROUND_CEILING)
        return increments * self.price_increment
