"""Reads a gateway's journal and the paper venue's ledger: SQLite, opened read-only, also while they are written.

Nothing here is shared with the code that writes them but the shapes of the rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from christmas.audit.books import JournalBook, Line, VenueBook
from christmas.brokers.paper.matching import PaperOrder
from christmas.execution.journal import JournalEntry
from christmas.execution.order import Fill

_BUSY_S: Final = 5.0
_entry = msgspec.json.Decoder(JournalEntry)
_order = msgspec.json.Decoder(PaperOrder)
_fill = msgspec.json.Decoder(Fill)


class _State(msgspec.Struct, frozen=True, kw_only=True):
    initial_cash: Decimal
    cash: Decimal
    positions: dict[str, int] = {}


class StoreUnreadable(Exception):
    """A store that could not be looked at: what is wrong, and the mend."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend


def decode_line(sequence: int, owner: str, body: bytes | str) -> Line:
    """A journal's row; one that cannot be decoded keeps its place."""
    try:
        entry: JournalEntry = _entry.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        return Line(sequence=sequence, owner=owner, entry=None, trouble=str(error))
    return Line(sequence=sequence, owner=owner, entry=entry)


def read_journal(path: Path) -> JournalBook:
    """All of it as of one moment. Raises StoreUnreadable."""
    with _reading(path) as connection:
        marks: dict[str, int] = dict(connection.execute("SELECT name, value FROM marks").fetchall())
        rows = connection.execute("SELECT sequence, owner, body FROM entries ORDER BY sequence")
        lines = tuple(decode_line(sequence, owner, body) for sequence, owner, body in rows)
    return JournalBook(lines=lines, started_after=marks.get("started_after", 0), acked=marks.get("acked", 0))


def read_venue(path: Path) -> VenueBook:
    """The paper venue's books as of one moment. Raises StoreUnreadable."""
    with _reading(path) as connection:
        row = connection.execute("SELECT body FROM state").fetchone()
        if row is None:
            raise StoreUnreadable(f"{path} is empty", "the venue has not been shown a market yet: look again later")
        try:
            state = msgspec.json.decode(row[0], type=_State)
            orders = tuple(_order.decode(body) for (body,) in connection.execute("SELECT body FROM orders"))
            fills = tuple(_fill.decode(b) for (b,) in connection.execute("SELECT body FROM fills ORDER BY sequence"))
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
            raise StoreUnreadable(f"{path}: {error}", "the ledger is damaged, or of another version") from error
    return VenueBook(
        initial_cash=state.initial_cash, cash=state.cash, positions=state.positions, orders=orders, fills=fills
    )


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A read transaction; errors of SQLite within it become StoreUnreadable."""
    if not path.is_file():
        raise StoreUnreadable(f"there is no {path}", "name the right --state or --journal")
    try:
        with closing(_open(path)) as connection:
            connection.execute("BEGIN")
            yield connection
    except sqlite3.Error as error:
        mend = "is it damaged? Compare with a copy: sqlite3 FILE 'PRAGMA integrity_check'"
        raise StoreUnreadable(f"{path}: {error}", mend) from error


def _open(path: Path) -> sqlite3.Connection:
    name = quote(str(path.absolute()))
    connection: Any = None
    try:
        connection = sqlite3.connect(f"file:{name}?mode=ro", uri=True, timeout=_BUSY_S, isolation_level=None)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        if connection is not None:
            connection.close()
        if path.with_name(path.name + "-wal").exists():
            raise
        # A read-only folder, in which the shared memory of the log cannot be made: nobody writes there either.
        return sqlite3.connect(f"file:{name}?mode=ro&immutable=1", uri=True, isolation_level=None)
    return connection  # type: ignore[no-any-return]
