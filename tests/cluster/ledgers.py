"""What a gateway's pod has in its journal and its venue in its ledger, what the database has, and what there was.

The market is made up, and a pure function of time: which prints there were is computed here, asking nobody.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import selectors
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from christmas.audit.audit import AccountBooks, compare
from christmas.audit.database import read_database
from christmas.audit.difference import Difference, persisting
from christmas.audit.journal_file import read_journal, read_venue
from christmas.audit.places import Account
from christmas.brokers.feeds.open import open_feed
from christmas.brokers.feeds.synthetic import SyntheticFeed
from christmas.brokers.paper.terms import instrument_of
from christmas.execution.journal import JournalEntry, OrderChanged, OrderWritten, SessionChanged
from christmas.resources.broker import BrokerSpec
from tests.chaos.books import Books
from tests.chaos.books import read_database as read_rows
from tests.chaos.books import read_journal as read_journal_rows
from tests.chaos.books import read_venue as read_venue_rows
from tests.cluster.helm import Namespace
from tests.faults.bench import differences

_LOOKS: Final = 6
_STATE: Final = "/var/lib/christmas"
_WAL_BYTES: Final = slice(18, 20)
_CHUNK: Final = 3 * 65_536
"""Bytes; a multiple of three, so that pieces in base64 make one text."""
_COPY: Final = """
import base64, pathlib, sqlite3, sys
copied = pathlib.Path("{path}.copied")
try:
    source, copy = sqlite3.connect("file:{path}?mode=ro", uri=True, timeout=10), sqlite3.connect(copied)
    source.backup(copy)
    copy.close()
    # Piece by piece: the gateway's memory is its own, and a journal may be as large.
    with copied.open("rb") as file:
        while piece := file.read({chunk}):
            sys.stdout.write(base64.b64encode(piece).decode())
finally:
    copied.unlink(missing_ok=True)
"""


class Ledgers:
    """Of one Broker in one namespace."""

    def __init__(self, namespace: Namespace, folder: Path, *, broker: str = "paper") -> None:
        self._namespace = namespace
        self._folder = folder
        self._broker = broker
        self.market = f"{namespace.name}.{broker}"
        self._session = f"default.{namespace.name}"

    # --- the journal ---------------------------------------------------------------------------

    def entries(self) -> list[JournalEntry]:
        book = read_journal(self._copy("journal.sqlite"))
        broken = [line for line in book.lines if line.entry is None]
        assert not broken, broken
        return [line.entry for line in book.lines if line.entry is not None]

    def _copy(self, file: str) -> Path:
        """As of one moment, out of the gateway's pod."""
        text = self._namespace.python(f"gateway-{self._broker}-0", _COPY.format(path=f"{_STATE}/{file}", chunk=_CHUNK))
        content = bytearray(base64.b64decode(text))
        # There is no write-ahead log beside a copy.
        content[_WAL_BYTES] = b"\x01\x01"
        path = self._folder / file
        path.write_bytes(content)
        return path

    # --- comparing -----------------------------------------------------------------------------

    def audit(self) -> list[Difference]:
        """What `christmas audit` finds while the fleet trades: errors that stay from look to look."""
        found: list[Difference] | None = None
        for look in range(_LOOKS):
            seen = self._look()
            found = seen if found is None else persisting(found, seen)
            found = [one for one in found if one.severity == "error"]
            if not found:
                return []
            time.sleep(0.5 * 2 ** min(look, 3))
        return found or []

    def _look(self) -> list[Difference]:
        """The database first, then the journal, then the venue: each knows at least what the one before it knew."""
        account = Account(broker=self._broker, market=self.market, journal=self._folder / "journal.sqlite")
        with self.database_url() as url:
            database = asyncio.run(read_database(url, self.market))
        journal = read_journal(self._copy("journal.sqlite"))
        venue = read_venue(self._copy("venue.sqlite"))
        return compare(AccountBooks(account=account, journal=journal, venue=venue, database=database))[0]

    def settled(self) -> list[str]:
        """At rest: the three places compared by SQL alone."""
        journal = read_journal_rows(self._copy("journal.sqlite"))
        venue = read_venue_rows(self._copy("venue.sqlite"))
        with self.database_url() as url:
            rows = asyncio.run(read_rows(url, market=self.market, session_id=self._session))
        return differences(Books(journal, venue, rows))

    @contextlib.contextmanager
    def database_url(self) -> Iterator[str]:
        """A way to the database for its owner, for the block."""
        command = ["kubectl", "-n", self._namespace.name, "port-forward", "pod/christmas-timescaledb-0", ":5432"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as forward:
            try:
                port = _port_of(forward)
                password = quote(self._namespace.stores()["database-password"])
                yield f"postgresql://christmas:{password}@127.0.0.1:{port}/christmas"
            finally:
                forward.terminate()

    # --- ticks ---------------------------------------------------------------------------------

    def first_tick_us(self) -> int:
        return int(self._namespace.query(f"{_TIME_US} FROM ticks WHERE market = '{self.market}' ORDER BY time LIMIT 1"))

    def stored_ticks(self, from_us: int, until_us: int) -> list[str]:
        """Trade ids, as often as they are stored."""
        where = f"market = '{self.market}' AND time >= {_moment(from_us)} AND time < {_moment(until_us)}"
        return self._namespace.query(f"SELECT trade_id FROM ticks WHERE {where}").split()  # noqa: S608

    def there_were(self, from_us: int, until_us: int) -> set[str]:
        """Trade ids of the prints that the market made."""
        spec = msgspec.convert(self._namespace.get("broker", self._broker)["spec"], BrokerSpec)
        instruments = {one.symbol: instrument_of(one) for one in spec.instruments}
        feed = open_feed(spec.feed, instruments, base_dir=Path())
        assert isinstance(feed, SyntheticFeed)
        seconds = (until_us - from_us) // 1_000_000 + 2
        prints = feed.history(until_us, seconds)
        return {tick.trade_id for tick in prints if from_us <= tick.time_us < until_us}


def recovered_s(entries: list[JournalEntry], strategy: str, since_us: int) -> float:
    """Seconds from a moment to the first order of a Strategy that was written down later and reached the venue."""
    written: dict[str, int] = {}
    for entry in entries:
        if isinstance(entry, OrderWritten) and entry.strategy == strategy and entry.wall_us > since_us:
            written[entry.intent.client_order_id] = entry.wall_us
        elif isinstance(entry, OrderChanged) and entry.venue_order_id and entry.client_order_id in written:
            return (written[entry.client_order_id] - since_us) / 1e6
    raise AssertionError(f"no order of {strategy} reached the venue")


def orders_between(entries: list[JournalEntry], strategy: str, from_us: int, until_us: int) -> list[str]:
    return [
        entry.intent.client_order_id
        for entry in entries
        if isinstance(entry, OrderWritten) and entry.strategy == strategy and from_us <= entry.wall_us < until_us
    ]


def one_speaker_at_a_time(entries: list[JournalEntry]) -> dict[str, list[str]]:
    """The instances (pods) that spoke for each Strategy, in turn; whoever was superseded never had an order again.

    An order is accepted from the instance alone that has the session: the last one that was opened.
    """
    speakers: dict[str, list[str]] = {}
    last: dict[str, str] = {}
    superseded: set[str] = set()
    epochs: dict[str, int] = {}
    for entry in entries:
        if isinstance(entry, SessionChanged) and entry.state == "superseded":
            superseded.add(entry.instance)
        elif isinstance(entry, SessionChanged) and entry.state == "opened":
            assert entry.instance not in superseded, f"{entry.strategy}: {entry.instance} was let in again"
            assert entry.epoch >= epochs.get(entry.strategy_uid, 0), f"{entry.strategy}: an older epoch was let in"
            epochs[entry.strategy_uid] = entry.epoch
            # One that was deleted and made anew by its name is another Strategy.
            before = last.get(entry.strategy_uid)
            if before != entry.instance:
                assert before is None or before in superseded, f"{entry.strategy}: {before} was not fenced off first"
                speakers.setdefault(entry.strategy, []).append(entry.instance)
                last[entry.strategy_uid] = entry.instance
        elif isinstance(entry, OrderWritten) and entry.intent.breaks_policy != "flatten":
            # What flattens is the gateway's own order; it has the epoch of the last one that it is for.
            assert entry.epoch == epochs[entry.strategy_uid], f"{entry.strategy}: an order of epoch {entry.epoch}"
    return speakers


def _port_of(forward: subprocess.Popen[bytes]) -> int:
    assert forward.stdout is not None
    said, selector = b"", selectors.DefaultSelector()
    selector.register(forward.stdout, selectors.EVENT_READ)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if selector.select(1.0):
            more = os.read(forward.stdout.fileno(), 4096)
            said += more
            found = re.search(rb"127\.0\.0\.1:(\d+) ->", said)
            if found:
                return int(found[1])
            if not more:
                break
    raise AssertionError(f"kubectl port-forward: {said.decode()}")


_TIME_US: Final = "SELECT (extract(epoch FROM time) * 1000000)::bigint"


def _moment(time_us: int) -> str:
    return f"to_timestamp({time_us // 1_000_000}) + interval '{time_us % 1_000_000} microseconds'"
