"""What an audit finds, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec

Severity = Literal["error", "note"]
Store = Literal["journal", "venue", "database"]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it has to be (``error``), or that somebody should know of (``note``)."""

    kind: str
    """Stable, for scripts: ``venue.order-not-journaled``. docs/auditing.md lists them all."""
    severity: Severity = "error"
    place: str
    """Where: a Broker, a store, and the row in it."""
    expected: str
    found: str
    mend: str = ""
    gap: str = ""
    """Of a sum that moves while the fleet trades: by how much it is off."""


class StrategyBooks(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy's raw fills in the journal amount to. Amounts in quote currency, exact."""

    broker: str
    strategy: str
    strategy_uid: str
    orders: int
    denied: int
    fills: int
    closed_trades: int
    winning_trades: int
    open_positions: int
    held_lots: dict[str, int]
    realised_pnl: Decimal
    fees: Decimal


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """One store that was asked."""

    broker: str
    store: Store
    what: str
    """How much was read, or why it could not be."""
    reached: bool = True
    mend: str = ""


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    looked: tuple[Looked, ...]
    differences: tuple[Difference, ...]
    strategies: tuple[StrategyBooks, ...]

    @property
    def errors(self) -> int:
        return sum(difference.severity == "error" for difference in self.differences)

    @property
    def unreachable(self) -> tuple[Looked, ...]:
        return tuple(looked for looked in self.looked if not looked.reached)

    @property
    def exit_code(self) -> int:
        """0: all was looked at and nothing is wrong. 1: differences. 2: something could not be looked at."""
        if self.errors:
            return 1
        return 2 if self.unreachable or not self.looked else 0


def persisting(before: Sequence[Difference], now: Sequence[Difference]) -> list[Difference]:
    """Of what is there ``now``, the notes, and those errors that were there ``before`` too.

    On a running fleet the stores are read one after the other, and what was under way in between differs once. A sum
    differs at each look where much is traded, each time by something else: only one that is off by the same stays.
    """
    known = {(each.kind, each.place, each.gap) for each in before if each.severity == "error"}
    return [each for each in now if each.severity == "note" or (each.kind, each.place, each.gap) in known]
