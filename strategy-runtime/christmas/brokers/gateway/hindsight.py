"""What a strategy knew at an earlier market time: the book without what it had not been told by then.

In lock-step a runtime that starts again goes on where its strategy last answered, while journal and venue
are already a window ahead. Shown today's orders it would know of fills before their time.
"""

from __future__ import annotations

from collections.abc import Iterable

from christmas.brokers.gateway.book import Book
from christmas.execution.journal import FillRecorded, JournalEntry, OrderChanged


def book_as_known(entries: Iterable[JournalEntry], until_us: int) -> Book:
    """The book of all ``entries`` (oldest first) but the steps that become known after ``until_us``.

    A fill stands in the journal right before the step that tells of it, and goes with it.
    """
    book = Book()
    fill: FillRecorded | None = None
    for entry in entries:
        if isinstance(entry, FillRecorded):
            fill = entry
            continue
        if isinstance(entry, OrderChanged):
            if entry.effective_us <= until_us:
                if fill is not None:
                    book.apply(fill)
                book.apply(entry)
            fill = None
            continue
        book.apply(entry)
    return book
