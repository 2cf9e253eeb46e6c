"""Money, exactly: what a round trip cost, brought in and is worth.

Nothing here divides, and nothing rounds: the context raises `decimal.Inexact` rather than lose a digit,
so that sums over the orders table give the same last decimal.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from typing import Final, Protocol

import msgspec

from christmas.execution.order import Fill, Purpose

EXACT: Final = Context(prec=120, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
_ZERO: Final = Decimal(0)


def notional(price: Decimal, lot_size: Decimal, lots: int) -> Decimal:
    """The exact value in quote currency of ``lots`` at ``price``."""
    return EXACT.multiply(EXACT.multiply(price, lot_size), Decimal(lots))


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    result = _ZERO
    for amount in amounts:
        result = EXACT.add(result, amount)
    return result


class RecordedFill(Protocol):
    """A fill and what it was for; `christmas.execution.journal.FillRecorded` is one, and so is `PositionFill`."""

    @property
    def position_id(self) -> str: ...

    @property
    def purpose(self) -> Purpose: ...

    @property
    def lot_size(self) -> Decimal: ...

    @property
    def fill(self) -> Fill: ...


class PositionFill(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the fills table."""

    position_id: str
    purpose: Purpose
    lot_size: Decimal
    fill: Fill


class RoundTrip(msgspec.Struct, kw_only=True):
    """One long position: bought by its entry, sold by its exits. Amounts in quote currency."""

    position_id: str
    symbol: str
    lot_size: Decimal
    entry_lots: int = 0
    exit_lots: int = 0
    entry_notional: Decimal = _ZERO
    exit_notional: Decimal = _ZERO
    entry_fees: Decimal = _ZERO
    exit_fees: Decimal = _ZERO
    opened_us: int = 0
    """Of the first fill by the venue's time; 0 before it."""
    closed_us: int = 0
    """Of the last exit fill so far."""

    def add(self, purpose: Purpose, fill: Fill) -> None:
        """Take one execution in; the caller sees to it that each comes once."""
        value = notional(fill.price, self.lot_size, fill.lots)
        if purpose == "entry":
            self.entry_lots += fill.lots
            self.entry_notional = EXACT.add(self.entry_notional, value)
            self.entry_fees = EXACT.add(self.entry_fees, fill.fee)
            self.opened_us = min(self.opened_us, fill.time_us) if self.opened_us else fill.time_us
        else:
            self.exit_lots += fill.lots
            self.exit_notional = EXACT.add(self.exit_notional, value)
            self.exit_fees = EXACT.add(self.exit_fees, fill.fee)
            self.closed_us = max(self.closed_us, fill.time_us)

    @property
    def lots(self) -> int:
        """Held: bought and not yet sold."""
        return self.entry_lots - self.exit_lots

    @property
    def is_closed(self) -> bool:
        """All that was bought is sold."""
        return self.entry_lots > 0 and self.lots == 0

    @property
    def fees(self) -> Decimal:
        return EXACT.add(self.entry_fees, self.exit_fees)

    @property
    def cash_flow(self) -> Decimal:
        """Proceeds - entry notional - all fees. Of a closed position that is its realised PnL."""
        return EXACT.subtract(EXACT.subtract(self.exit_notional, self.entry_notional), self.fees)

    @property
    def locked(self) -> Decimal:
        """Capital in it: what it cost less what came back, never below zero; zero when nothing is held."""
        if self.lots <= 0:
            return _ZERO
        return max(_ZERO, EXACT.subtract(self.entry_notional, self.exit_notional))

    def unrealised(self, price: Decimal) -> Decimal:
        """Cash flows so far, and what is held at ``price``; an exit's future fee is not in it."""
        return EXACT.add(self.cash_flow, notional(price, self.lot_size, self.lots))

    @property
    def average_price(self) -> Decimal | None:
        """Mean entry price, rounded, for display only."""
        if not self.entry_lots:
            return None
        return self.entry_notional / (self.lot_size * self.entry_lots)


def round_trips(fills: Iterable[RecordedFill]) -> list[RoundTrip]:
    """The positions that ``fills`` amount to, in the order in which they were opened.

    A fill that is given twice (by order and fill id) counts once. The order of fills changes nothing.
    """
    trips: dict[str, RoundTrip] = {}
    seen: set[tuple[str, str]] = set()
    for recorded in fills:
        fill = recorded.fill
        key = (fill.client_order_id, fill.fill_id)
        if key in seen:
            continue
        seen.add(key)
        trip = trips.get(recorded.position_id)
        if trip is None:
            trip = trips[recorded.position_id] = RoundTrip(
                position_id=recorded.position_id, symbol=fill.symbol, lot_size=recorded.lot_size
            )
        trip.add(recorded.purpose, fill)
    return sorted(trips.values(), key=lambda trip: (trip.opened_us, trip.position_id))
