"""The journal: SQLite in WAL mode, synced to disk by one thread that commits what has piled up.

An entry is numbered when it is appended and durable when its callback runs. What a thread cannot
write ends the gateway: an account must not be traded without its journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from christmas.brokers.gateway import metrics
from christmas.brokers.gateway.checksum import UNCHAINED, Head, Written, chained
from christmas.execution.journal import FillRecorded, JournalEntry, OrderChanged, OrderWritten
from christmas.telemetry import crash

logger = logging.getLogger(__name__)

RECENT_MAXIMUM: Final = 4_096
"""Encoded entries kept in memory for the outbox."""
WAITING_MAXIMUM: Final = 65_536
"""Entries not yet on disk, at most: beyond it the disk has stopped working."""
_PAGE: Final = 512
_RESERVED_BYTES: Final = 8 << 20
"""The log is made this long at once: a commit that makes a file longer waits for the file system's own
journal too (p99 3.0 ms against 0.6 ms here)."""
_CHECKPOINT_ROWS: Final = 64
_CHECKPOINT_ROWS_BUSY: Final = 600
"""Entries after which the log is written back: when nothing else is to be done, and in any case."""
_IDLE_S: Final = 0.1
_LINGER_S: Final = 0.01
"""What nobody waits for goes to disk with what somebody does, or after this long: an order that comes just
after it would else wait for two commits.
"""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries (
  sequence INTEGER PRIMARY KEY, kind TEXT NOT NULL, owner TEXT NOT NULL, client_order_id TEXT NOT NULL,
  body BLOB NOT NULL, sum INTEGER
);
CREATE UNIQUE INDEX IF NOT EXISTS entries_written ON entries (client_order_id) WHERE kind = 'order_written';
CREATE INDEX IF NOT EXISTS entries_filled ON entries (client_order_id) WHERE kind = 'fill_recorded';
CREATE INDEX IF NOT EXISTS entries_changed ON entries (owner, sequence) WHERE kind = 'order_changed';
CREATE INDEX IF NOT EXISTS entries_noted ON entries (owner, sequence) WHERE kind = 'signal_noted';
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_INSERT: Final = "INSERT INTO entries (sequence, kind, owner, client_order_id, body, sum) VALUES "
_CHAINED: Final = (
    "SELECT sequence, kind, owner, client_order_id, body, sum FROM entries"
    " WHERE kind <> 'signal_noted' ORDER BY sequence"
)
_LAST_SUM: Final = "SELECT sum FROM entries WHERE kind <> 'signal_noted' ORDER BY sequence DESC LIMIT 1"
_ROWS_A_STATEMENT: Final = 32
"""Each statement costs the thread a turn at the interpreter, which the event loop is slow to give up."""
_Row = tuple[int, str, str, str, bytes, int]
_RETRY_S: Final = (0.05, 1.0)
_PASSING: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
"""What a disk may get over: somebody makes room, a volume comes back."""
_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[JournalEntry] = msgspec.json.Decoder(JournalEntry)


class JournalFailed(Exception):
    """The journal cannot be written any more."""


class JournalDamaged(ValueError):
    """What is on disk is not what was written: trading on it could double or lose an order."""

    def __init__(self, place: Path, what: str) -> None:
        super().__init__(
            f"{place}: the journal is damaged: {what}. Nothing is traded on it. Put back an undamaged copy of"
            f" {place.name}, {place.name}-wal and {place.stem}.head; or, when there is none, withdraw and close by hand"
            " what is open at the venue and move these files away: a new journal then begins"
        )


class _Group(msgspec.Struct):
    rows: list[_Row]
    then: Callable[[], None] | None = None
    acked: int = 0


class Journal:
    """Used from one event loop; a second connection reads what is committed."""

    def __init__(self, path: Path, *, synced: bool = True) -> None:
        """``synced`` False: a commit survives the end of the process and not that of the machine. For a replay
        in lock-step: nothing in it is real, and it can be made again.

        Raises JournalDamaged, sqlite3.Error when the file cannot be used now, OSError.
        """
        self.path = path
        self._synced = synced
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Gets a JournalFailed when the disk does not take entries."""
        self.durable = 0
        """The last sequence on disk."""
        self._loop = asyncio.get_running_loop()
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=RECENT_MAXIMUM)
        self._queue: queue.SimpleQueue[list[_Group] | None] = queue.SimpleQueue()
        self._held: list[_Group] = []
        self._lingering: asyncio.TimerHandle | None = None
        self._committed = asyncio.Event()
        self._closing = threading.Event()
        self.on_waiting: Callable[[str | None], None] = lambda _reason: None
        """Told why entries wait for the disk, and None when they do not any more."""
        self._sum = 0
        """Of the last entry in the chain."""
        self._head = Head(path)
        self._reader = self._open_checked()
        self.sequence = max(self._maximum(), self.mark("started_after"))
        """The last one that was given out."""
        self.durable = self.sequence
        if self._head.read() > self.sequence:
            raise JournalDamaged(path, f"it ends at entry {self.sequence}, and {self._head.read()} had been on disk")
        self._thread = threading.Thread(target=self._write_forever, name="journal", daemon=True)
        self._thread.start()

    def append(
        self,
        entries: Sequence[JournalEntry],
        *,
        owner: str = "",
        then: Callable[[], None] | None = None,
        urgent: bool = True,
    ) -> tuple[JournalEntry, ...]:
        """Number and hand over; ``then`` runs in the loop once they are on disk, in order of appending.

        All of one call become durable together. ``owner`` is the strategy's uid. What is not ``urgent`` may
        linger, never longer than what is appended after it.
        """
        if self.failed.done():
            raise JournalFailed("the journal has failed")
        if self.sequence - self.durable > WAITING_MAXIMUM:
            raise JournalFailed(f"{self.sequence - self.durable} entries wait for the disk")
        numbered: list[JournalEntry] = []
        rows: list[_Row] = []
        for entry in entries:
            self.sequence += 1
            written = msgspec.structs.replace(entry, sequence=self.sequence)
            numbered.append(written)
            kind = str(type(entry).__struct_config__.tag)
            order_id, body = _order_id(written), _encoder.encode(written)
            total = chained(self._sum, Written(self.sequence, kind, owner, order_id, body))
            if kind != UNCHAINED:
                self._sum = total
            rows.append((self.sequence, kind, owner, order_id, body, total))
        self._hold(_Group(rows, then), urgent=urgent)
        metrics.JOURNAL_WAITING.set(self.sequence - self.durable)
        return tuple(numbered)

    async def flushed(self) -> None:
        """Return when all that was appended so far is on disk."""
        upto = self.sequence
        self._hand_over()
        while self.durable < upto:
            if self.failed.done():
                raise JournalFailed("the journal has failed")
            self._committed.clear()
            await self._committed.wait()

    async def more_than(self, sequence: int, timeout_s: float) -> None:
        """Return when something after ``sequence`` is on disk, or after ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.durable <= sequence:
                    self._committed.clear()
                    await self._committed.wait()
        except TimeoutError:
            return

    def recover(self) -> Iterator[JournalEntry]:
        """All entries that carry state, oldest first. Raises JournalDamaged."""
        try:
            for sequence, _, _, _, body, _ in self._checked():
                try:
                    entry = _decoder.decode(body)
                except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                    raise JournalDamaged(self.path, f"entry {sequence} cannot be read: {error}") from error
                yield entry
        except sqlite3.DatabaseError as error:
            raise JournalDamaged(self.path, str(error)) from error

    def read_after(self, sequence: int, limit: int = _PAGE) -> list[tuple[int, bytes]]:
        """Durable entries after ``sequence`` as they are encoded, oldest first."""
        if self._recent and self._recent[0][0] <= sequence + 1:
            first = self._recent[0][0]
            start = sequence + 1 - first
            return [self._recent[i] for i in range(start, min(start + limit, len(self._recent)))]
        rows = self._reader.execute(
            "SELECT sequence, body FROM entries WHERE sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?",
            (sequence, self.durable, limit),
        )
        return [(number, body) for number, body in rows]

    def has_order(self, client_order_id: str) -> bool:
        row = self._reader.execute(
            "SELECT 1 FROM entries WHERE kind = 'order_written' AND client_order_id = ?", (client_order_id,)
        ).fetchone()
        return row is not None

    def has_fill(self, client_order_id: str, fill_id: str) -> bool:
        """Whether a fill of an order is on disk. By index: a reconciling asks for thousands."""
        rows = self._reader.execute(
            "SELECT body FROM entries WHERE kind = 'fill_recorded' AND client_order_id = ?", (client_order_id,)
        )
        entries = (_decoder.decode(body) for (body,) in rows)
        return any(isinstance(entry, FillRecorded) and entry.fill.fill_id == fill_id for entry in entries)

    def changes_of(self, owner: str, after: int) -> list[tuple[OrderChanged, FillRecorded | None]]:
        """A strategy's order changes but the first ``after``, each with the fill that came with it."""
        rows = self._reader.execute(
            "SELECT c.body, f.body FROM entries AS c LEFT JOIN entries AS f"
            " ON f.sequence = c.sequence - 1 AND f.kind = 'fill_recorded' AND f.client_order_id = c.client_order_id"
            " WHERE c.kind = 'order_changed' AND c.owner = ? AND c.sequence <= ?"
            " ORDER BY c.sequence LIMIT -1 OFFSET ?",
            (owner, self.durable, after),
        ).fetchall()
        pairs: list[tuple[OrderChanged, FillRecorded | None]] = []
        for changed_body, fill_body in rows:
            changed = _decoder.decode(changed_body)
            fill = None if fill_body is None else _decoder.decode(fill_body)
            if isinstance(changed, OrderChanged) and (fill is None or isinstance(fill, FillRecorded)):
                pairs.append((changed, fill))
        return pairs

    def last_signal_us(self, owner: str) -> int:
        """Market time of a strategy's last signal; -1 when there is none."""
        row = self._reader.execute(
            "SELECT body FROM entries WHERE kind = 'signal_noted' AND owner = ? ORDER BY sequence DESC LIMIT 1",
            (owner,),
        ).fetchone()
        return -1 if row is None else _decoder.decode(row[0]).time_us

    def mark(self, name: str) -> int:
        row = self._reader.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return 0 if row is None else int(row[0])

    def start_after(self, sequence: int) -> None:
        """Give out only numbers above ``sequence``: an earlier journal of this market has used those up."""
        if self.sequence >= sequence:
            return
        self._reader.execute("INSERT OR REPLACE INTO marks VALUES ('started_after', ?)", (sequence,))
        self.sequence = self.durable = sequence

    def acknowledge(self, sequence: int) -> None:
        """The recorder has everything up to ``sequence``; signals up to there are not needed here any more."""
        self._hold(_Group([], acked=sequence), urgent=False)

    def close(self) -> None:
        """Write what waits and stop the thread."""
        self._hand_over()
        self._closing.set()
        self._queue.put(None)
        self._thread.join(timeout=10.0)
        self._reader.close()
        self._head.close()
        if not self.failed.done():
            self.failed.cancel()

    def _hold(self, group: _Group, *, urgent: bool) -> None:
        self._held.append(group)
        if urgent:
            self._hand_over()
        elif self._lingering is None:
            self._lingering = self._loop.call_later(_LINGER_S, self._hand_over)

    def _hand_over(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        if self._held:
            self._queue.put(self._held)
            self._held = []

    def _open_checked(self) -> sqlite3.Connection:
        try:
            reader = _open(self.path, self._synced)
            reader.executescript(_SCHEMA)
            if "sum" not in {row[1] for row in reader.execute("PRAGMA table_info(entries)")}:
                # Of a version that wrote none; its entries are believed as they are.
                reader.execute("ALTER TABLE entries ADD COLUMN sum INTEGER")
            found = reader.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise JournalDamaged(self.path, found)
            row = reader.execute(_LAST_SUM).fetchone()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF in _PASSING:
                raise
            raise JournalDamaged(self.path, str(error)) from error
        self._sum = int(row[0] or 0) if row is not None else 0
        return reader

    def _checked(self) -> Iterator[_Row]:
        """The chained entries; raises JournalDamaged where the chain does not hold."""
        previous = 0
        for row in self._reader.execute(_CHAINED):
            *entry, total = row
            if total is not None or previous:
                expected = chained(previous, Written(*entry)) if isinstance(row[4], bytes) else None
                if expected is None or total != expected:
                    raise JournalDamaged(self.path, f"entry {row[0]} or the one before it is not as it was written")
                previous = expected
            yield row

    def _maximum(self) -> int:
        row = self._reader.execute("SELECT max(sequence) FROM entries").fetchone()
        return int(row[0] or 0)

    def _write_forever(self) -> None:
        try:
            connection = _open(self.path, self._synced)
        except sqlite3.Error as error:
            self._tell(self._on_failed, JournalFailed(str(error)))
            return
        try:
            _passing(connection, lambda: _reserve(connection))
            rows = 0
            while True:
                groups, ends = self._take(_IDLE_S if rows >= _CHECKPOINT_ROWS else None)
                if groups:
                    rows += self._commit(connection, groups)
                    self._tell(self._on_durable, groups)
                if rows >= _CHECKPOINT_ROWS and (not groups or rows >= _CHECKPOINT_ROWS_BUSY):
                    _passing(connection, lambda: connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall())
                    rows = 0
                if ends:
                    return
        except (sqlite3.Error, OSError) as error:
            self._tell(self._on_failed, JournalFailed(str(error)))
        finally:
            connection.close()

    def _commit(self, connection: sqlite3.Connection, groups: Sequence[_Group]) -> int:
        """Write them, for as long as it takes: while the disk is full nothing is lost, and nothing is sent."""
        failures = 0
        while True:
            try:
                rows = _commit(connection, groups)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _PASSING or self._closing.is_set():
                    raise
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                failures += 1
                if failures == 1:
                    self._tell(self._on_waiting, f"the journal waits for its disk: {error}")
                first, longest = _RETRY_S
                self._closing.wait(random.uniform(0.5, 1.0) * min(longest, first * 2.0 ** min(failures, 16)))
                continue
            if failures:
                self._tell(self._on_waiting, None)
            if rows:
                with contextlib.suppress(OSError):
                    # It may lag behind; what it says is then less, and still true.
                    self._head.write(max(group.rows[-1][0] for group in groups if group.rows))
            return rows

    def _on_waiting(self, reason: str | None) -> None:
        (logger.warning if reason else logger.info)(reason or "the journal is written again")
        metrics.JOURNAL_STALLED.set(reason is not None)
        self.on_waiting(reason)

    def _take(self, within_s: float | None) -> tuple[list[_Group], bool]:
        """Everything that waits now, at least one unless nothing comes ``within_s``; and whether to end."""
        groups: list[_Group] = []
        try:
            item = self._queue.get(timeout=within_s)
        except queue.Empty:
            return groups, False
        while item is not None:
            groups += item
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return groups, False
        return groups, True

    def _tell(self, callback: Callable[..., None], argument: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, argument)
        except RuntimeError:
            logger.info("the event loop ended before the journal did")

    def _on_durable(self, groups: list[_Group]) -> None:
        crash.point("gateway.journal.durable")
        for group in groups:
            for row in group.rows:
                self._recent.append((row[0], row[4]))
                self.durable = row[0]
        metrics.JOURNAL_WAITING.set(self.sequence - self.durable)
        self._committed.set()
        for group in groups:
            if group.then is not None:
                group.then()

    def _on_failed(self, error: JournalFailed) -> None:
        logger.critical("the journal cannot be written", extra={"error": str(error)})
        if not self.failed.done():
            self.failed.set_exception(error)
        self._committed.set()


def _open(path: Path, synced: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={'FULL' if synced else 'OFF'}")
    return connection


def _passing(connection: sqlite3.Connection, work: Callable[[], object]) -> None:
    """Do what only makes the journal quicker; a disk that does not allow it now is no reason to stop."""
    try:
        work()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _PASSING:
            raise
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        logger.info("the journal's upkeep waits for its disk", extra={"error": str(error)})


def _reserve(connection: sqlite3.Connection) -> None:
    """Make the log long, and decide ourselves when it is written back."""
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("CREATE TABLE reserved (filler BLOB)")
    connection.execute("INSERT INTO reserved VALUES (zeroblob(?))", (_RESERVED_BYTES,))
    connection.execute("DROP TABLE reserved")
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _commit(connection: sqlite3.Connection, groups: Sequence[_Group]) -> int:
    """Write them in one transaction; how many entries that was."""
    rows = [row for group in groups for row in group.rows]
    acked = max(group.acked for group in groups)
    started = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    for start in range(0, len(rows), _ROWS_A_STATEMENT):
        part = rows[start : start + _ROWS_A_STATEMENT]
        values = ", ".join(["(?, ?, ?, ?, ?, ?)"] * len(part))
        connection.execute(_INSERT + values, [value for row in part for value in row])
    if acked:
        connection.execute("INSERT OR REPLACE INTO marks VALUES ('acked', ?)", (acked,))
        # The last one of each strategy stays: what is sent again is known by its time.
        connection.execute(
            "DELETE FROM entries WHERE kind = 'signal_noted' AND sequence <= ? AND sequence NOT IN"
            " (SELECT max(sequence) FROM entries WHERE kind = 'signal_noted' GROUP BY owner)",
            (acked,),
        )
    if rows:
        crash.point("gateway.journal.commit")
    connection.execute("COMMIT")
    if rows:
        crash.point("gateway.journal.committed")
        metrics.JOURNAL_COMMIT.observe(time.perf_counter() - started)
        metrics.JOURNAL_GROUP.observe(len(rows))
    return len(rows)


def _order_id(entry: JournalEntry) -> str:
    match entry:
        case OrderWritten():
            return entry.intent.client_order_id
        case OrderChanged():
            return entry.client_order_id
        case FillRecorded():
            return entry.fill.client_order_id
        case _:
            return ""
