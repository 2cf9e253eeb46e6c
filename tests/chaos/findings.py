"""What is wrong with the books of one replay, and in what two replays differ. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Set
from decimal import Decimal
from typing import Any, Final

from tests.chaos.books import Books

_SHOWN: Final = 3
_FINAL: Final = frozenset({"filled", "cancelled", "rejected", "denied", "expired"})


def findings(books: Books, *, ticks: int, quarantined: int = 0, lot_size: Decimal = Decimal("0.00001")) -> list[str]:
    """Every disagreement; nothing when all is well. ``ticks``: how many prints there were to store."""
    journal, venue, database = books
    found: list[str] = []

    def check(ok: bool, what: str) -> None:
        if not ok:
            found.append(what)

    check(database.ticks == ticks, f"{database.ticks} ticks are stored, there were {ticks}")
    check(database.trade_ids == ticks, f"{database.trade_ids} trade ids among the stored ticks, there were {ticks}")
    check(database.quarantined == quarantined, f"{database.quarantined} quarantined prints, there were {quarantined}")
    found += _sets("orders at the venue that are not in the journal", venue.orders.keys() - journal.orders.keys())
    found += _sets("orders of the journal that the venue does not have", journal.sent - venue.orders.keys())
    found += _maps("orders, journal and database", journal.orders, database.orders)
    found += _maps("fills, venue and journal", venue.fills, journal.fills)
    found += _maps("fills, venue and database", venue.fills, database.fills)
    check(not journal.repeated_fills, f"fills written down twice: {journal.repeated_fills[:_SHOWN]}")
    expected = list(range(1, journal.sequence + 1))
    check(database.journal == expected, f"the database has {len(database.journal)} of {journal.sequence} entries")
    for key, status in venue.orders.items():
        known = journal.orders.get(key)
        if known is not None and (status in _FINAL or known.status in _FINAL) and known.status != status:
            found.append(f"{key} is {status} at the venue and {known.status} in the journal")
    cash, held = venue.initial_cash, 0
    for fill in journal.fills.values():
        sign = 1 if fill.side == "buy" else -1
        cash -= sign * fill.price * fill.lots * lot_size + fill.fee
        held += sign * fill.lots
    check(cash == venue.cash, f"the fills leave {cash} of cash, the venue says {venue.cash}")
    at_venue = sum(venue.positions.values())
    check(held == at_venue, f"the fills leave {held} lots, the venue says {at_venue}")
    return found


def differences(books: Books, undisturbed: Books) -> list[str]:
    """In what a replay is not the undisturbed one."""
    found = _maps("orders at the venue", undisturbed.venue.orders, books.venue.orders)
    found += _maps("orders in the journal", undisturbed.journal.orders, books.journal.orders)
    found += _maps("fills", undisturbed.venue.fills, books.venue.fills)
    pairs = {
        "cash": (undisturbed.venue.cash, books.venue.cash),
        "positions": (undisturbed.venue.positions, books.venue.positions),
        "signals": (undisturbed.database.signals, books.database.signals),
    }
    return found + [f"{what}: {before}, now {now}" for what, (before, now) in pairs.items() if before != now]


def _sets(what: str, ids: Set[str]) -> list[str]:
    return [f"{len(ids)} {what}: {', '.join(sorted(ids)[:_SHOWN])}"] if ids else []


def _maps(what: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    found = _sets(f"{what}: only in the first", one.keys() - other.keys())
    found += _sets(f"{what}: only in the second", other.keys() - one.keys())
    differing = [key for key in one.keys() & other.keys() if one[key] != other[key]]
    if differing:
        key = min(differing)
        found.append(f"{len(differing)} {what} differ: {key}: {one[key]} and {other[key]}")
    return found
