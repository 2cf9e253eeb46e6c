"""The venue's statement against the journal, and against itself. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from christmas.audit.books import Balance, VenueBook
from christmas.audit.difference import Difference
from christmas.audit.journal_checks import JournalFold
from christmas.execution.order import Fill, OrderIntent

_STOP = "halt the account (`christmas kill`) until it is clear where it comes from"
_RECONCILE = "a running gateway reconciles by itself: look again; else start it, and keep both files if it stays"
_DAMAGED = "the venue's own books contradict themselves: keep the file, and compare with a copy"


def compare_venue(broker: str, fold: JournalFold, venue: VenueBook) -> Iterator[Difference]:
    """Orders, fills, positions and cash, both ways."""
    yield from _orders(broker, fold, venue)
    yield from _fills(broker, fold, venue)
    lot_sizes = {order.written.intent.symbol: order.written.lot_size for order in fold.orders.values()}
    ours = [entry.fill for entry in fold.fills.values()]
    yield from _sums(f"{broker}/venue", "venue.books", list(venue.fills), venue, lot_sizes, _DAMAGED)
    yield from _sums(f"{broker}/venue", "venue", ours, venue, lot_sizes, _RECONCILE)
    for symbol, lots in venue.positions.items():
        if lots < 0:
            yield Difference(
                kind="venue.short",
                place=f"{broker}/venue {symbol}",
                expected="nothing sold that is not held",
                found=f"{lots} lots",
                mend=_STOP,
            )


def compare_balance(broker: str, fold: JournalFold, balance: Balance) -> Iterator[Difference]:
    """Another venue tells holdings only, and the account may hold more than our strategies bought."""
    for symbol, lots in _held(entry.fill for entry in fold.fills.values()).items():
        at_venue = balance.holdings.get(symbol, 0)
        if at_venue < lots:
            yield Difference(
                kind="venue.position",
                place=f"{broker}/venue {symbol}",
                expected=f"at least {lots} lots, by the journal's fills",
                found=f"{at_venue} lots",
                mend=_RECONCILE,
            )


def _orders(broker: str, fold: JournalFold, venue: VenueBook) -> Iterator[Difference]:
    filled: dict[str, int] = defaultdict(int)
    for fill in venue.fills:
        filled[fill.client_order_id] += fill.lots
    at_venue = {order.intent.client_order_id: order for order in venue.orders}
    for key, order in at_venue.items():
        place = f"{broker}/venue order {key}"
        if order.filled_lots != filled[key]:
            yield Difference(
                kind="venue.books-order",
                place=place,
                expected=f"{filled[key]} lots filled, by its fills",
                found=f"{order.filled_lots}",
                mend=_DAMAGED,
            )
        ours = fold.orders.get(key)
        if ours is None:
            yield Difference(
                kind="venue.order-not-journaled",
                place=place,
                expected="every order is in the journal before it is sent",
                found="the journal does not know it",
                mend=_STOP,
            )
            continue
        if order.intent != ours.written.intent:
            yield Difference(
                kind="venue.order-at-odds",
                place=place,
                expected=f"what was decided: {_terms(ours.written.intent)}",
                found=_terms(order.intent),
                mend=_STOP,
            )
        if (order.status.is_final or ours.status.is_final) and order.status is not ours.status:
            yield Difference(
                kind="venue.status",
                place=place,
                expected=f"{ours.status.value}, by the journal",
                found=order.status.value,
                mend=_RECONCILE,
            )
    for key, ours in fold.orders.items():
        if ours.sent and key not in at_venue:
            yield Difference(
                kind="venue.order-lost",
                place=f"{broker}/venue order {key}",
                expected=f"an order that the journal has as {ours.status.value}",
                found="the venue does not know it",
                mend=_RECONCILE,
            )


def _fills(broker: str, fold: JournalFold, venue: VenueBook) -> Iterator[Difference]:
    counts = Counter(fill.fill_id for fill in venue.fills)
    for fill in venue.fills:
        place = f"{broker}/venue fill {fill.fill_id}"
        if counts[fill.fill_id] > 1:
            yield Difference(
                kind="venue.fill-doubled", place=place, expected="each fill once", found="twice", mend=_DAMAGED
            )
        ours = fold.fills.get(fill.fill_id)
        if ours is None:
            yield Difference(
                kind="venue.fill-not-journaled",
                place=place,
                expected="every fill is in the journal",
                found=f"{fill.lots} lots at {fill.price} of order {fill.client_order_id} are not",
                mend=_RECONCILE,
            )
        elif ours.fill != fill:
            yield Difference(
                kind="venue.fill-at-odds", place=place, expected=_words(ours.fill), found=_words(fill), mend=_STOP
            )
    for key, ours in fold.fills.items():
        if key not in counts:
            yield Difference(
                kind="venue.fill-lost",
                place=f"{broker}/venue fill {key}",
                expected=f"{_words(ours.fill)}, by entry {ours.sequence} of the journal",
                found="the venue does not know it",
                mend=_RECONCILE,
            )


def _sums(  # noqa: PLR0917 (what is compared, with what, and how to say so)
    place: str, kind: str, fills: list[Fill], venue: VenueBook, lot_sizes: Mapping[str, Decimal], mend: str
) -> Iterator[Difference]:
    whose = "the venue's" if kind == "venue.books" else "the journal's"
    held = _held(fills)
    for symbol in sorted(held.keys() | {name for name, lots in venue.positions.items() if lots}):
        expected, found = held.get(symbol, 0), venue.positions.get(symbol, 0)
        if expected != found:
            yield Difference(
                kind=f"{kind}.position" if kind == "venue" else "venue.books-position",
                place=f"{place} {symbol}",
                expected=f"{expected} lots, by {whose} fills",
                found=f"{found} lots",
                mend=mend,
                gap=str(found - expected),
            )
    if any(fill.symbol not in lot_sizes for fill in fills):
        # A fill of a symbol that no order of ours is of: told as a fill that is not journaled.
        return
    cash = venue.initial_cash
    for fill in fills:
        value = fill.price * fill.lots * lot_sizes[fill.symbol]
        cash += (value if fill.side == "sell" else -value) - fill.fee
    if cash != venue.cash:
        yield Difference(
            kind="venue.cash" if kind == "venue" else "venue.books-cash",
            place=f"{place} cash",
            expected=f"{cash}, by {whose} fills",
            found=str(venue.cash),
            mend=mend,
            gap=str(venue.cash - cash),
        )


def _held(fills: Iterable[Fill]) -> dict[str, int]:
    held: dict[str, int] = defaultdict(int)
    for fill in fills:
        held[fill.symbol] += fill.lots if fill.side == "buy" else -fill.lots
    return {symbol: lots for symbol, lots in held.items() if lots}


def _terms(intent: OrderIntent) -> str:
    return " ".join(f"{name}={getattr(intent, name)}" for name in ("side", "type", "lots", "price", "symbol"))


def _words(fill: Fill) -> str:
    return f"{fill.side} {fill.lots} at {fill.price}, fee {fill.fee}, order {fill.client_order_id}, at {fill.time_us}"
