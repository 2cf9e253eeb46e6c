"""What journal entries amount to as rows: a pure fold, so that entries can be written in batches."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from christmas.execution.journal import (
    CancelWritten,
    FillRecorded,
    JournalEntry,
    OrderChanged,
    OrderWritten,
    SignalNoted,
)


class Projection(msgspec.Struct, kw_only=True):
    """What one batch of entries inserts and changes."""

    orders: list[OrderWritten] = []
    changes: dict[str, OrderChanged] = {}
    """The last change of each order, by client order id, with the venue's id from any of them."""
    cancels: dict[str, CancelWritten] = {}
    """The first request to cancel each order, by client order id."""
    fills: list[FillRecorded] = []
    signals: list[SignalNoted] = []

    @property
    def filled_orders(self) -> list[str]:
        """The client order ids whose sums change."""
        return sorted({entry.fill.client_order_id for entry in self.fills})


class OutOfSequenceError(Exception):
    """The journal's stream does not go on where it was left, and nothing may be skipped."""


def project(entries: Iterable[JournalEntry]) -> Projection:
    """Fold entries, in their order, into rows. Sessions and halts stay in the raw journal only."""
    projection = Projection()
    for entry in entries:
        match entry:
            case OrderWritten():
                projection.orders.append(entry)
            case OrderChanged():
                before = projection.changes.get(entry.client_order_id)
                projection.changes[entry.client_order_id] = _with_venue_id(entry, before)
            case CancelWritten():
                projection.cancels.setdefault(entry.intent.client_order_id, entry)
            case FillRecorded():
                projection.fills.append(entry)
            case SignalNoted():
                projection.signals.append(entry)
            case _:
                pass
    return projection


def _with_venue_id(entry: OrderChanged, before: OrderChanged | None) -> OrderChanged:
    if before is None or entry.venue_order_id:
        return entry
    return msgspec.structs.replace(entry, venue_order_id=before.venue_order_id)


def split_known(sequences: list[int], watermark: int) -> int:
    """How many leading ``sequences`` are at or below ``watermark``, when the rest goes on without a gap.

    Raises OutOfSequenceError for a gap, in words for people.
    """
    known = 0
    expected = watermark + 1
    for sequence in sequences:
        if sequence <= watermark:
            known += 1
            continue
        if sequence != expected:
            raise OutOfSequenceError(f"entry {expected} of the journal is missing, the next there is {sequence}")
        expected += 1
    return known
