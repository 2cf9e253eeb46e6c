"""Positions of one strategy as the gateway counts them: exact, and only what the risk gate needs."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from christmas.execution.order import Fill

_ZERO = Decimal(0)


class Position(msgspec.Struct, kw_only=True):
    """One round trip, long: entries buy, exits sell. Amounts in quote currency."""

    position_id: str
    symbol: str
    lot_size: Decimal
    opened_us: int
    entry_lots: int = 0
    exit_lots: int = 0
    bought: Decimal = _ZERO
    sold: Decimal = _ZERO
    fees: Decimal = _ZERO
    orders: set[str] = msgspec.field(default_factory=set)
    live_orders: set[str] = msgspec.field(default_factory=set)
    changed_us: int = 0

    @property
    def lots(self) -> int:
        return self.entry_lots - self.exit_lots

    @property
    def is_closed(self) -> bool:
        """Nothing held, and nothing at the venue that could change that."""
        return self.lots == 0 and not self.live_orders

    @property
    def locked(self) -> Decimal:
        """Capital in it: what it cost, less what came back."""
        return max(_ZERO, self.bought - self.sold)

    @property
    def realised(self) -> Decimal:
        """Of a closed position: sold - bought - all fees; zero while it is open."""
        return self.sold - self.bought - self.fees if self.is_closed else _ZERO

    def unrealised(self, price: Decimal | None) -> Decimal:
        """Cash flows so far and what is left at ``price``; zero when nothing is held or no price known."""
        if self.lots == 0 or price is None:
            return _ZERO
        return self.sold - self.bought - self.fees + price * self.lot_size * self.lots

    def add(self, fill: Fill) -> None:
        notional = fill.price * self.lot_size * fill.lots
        if fill.side == "buy":
            self.entry_lots += fill.lots
            self.bought += notional
        else:
            self.exit_lots += fill.lots
            self.sold += notional
        self.fees += fill.fee
        self.changed_us = max(self.changed_us, fill.time_us)
