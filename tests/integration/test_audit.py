# ruff: noqa: S608 (statements are put together from what the test itself wrote)
"""``christmas audit`` on the stores of a real replay: clean as they are, and each way of corrupting them is found."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.integration.replay import manifests
from tests.integration.replay.fleet import FleetRun
from tests.support.data import shared_data_folder
from tests.support.servers import ServerUnavailableError, create_database, drop_database, start_postgres

pytestmark = pytest.mark.timeout(300)
_CHRISTMAS = Path(sys.executable).parent / "christmas"
_ROWS = 2_500
_POLICIES = [
    option
    for manifest in manifests.everyone()
    for option in (
        "--policy",
        f"{manifest['metadata']['name']}={manifest['spec'].get('exit', {}).get('policy', 'NoLoss')}",
    )
]
"""A journal alone does not tell them."""


class Ran(NamedTuple):
    """A replay that has ended. ``server``: where its database is; nobody is connected to it any more."""

    folder: Path
    server: str
    database: str
    market: str


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    data = shared_data_folder()
    if data is None:
        pytest.skip("no recorded market data; set CHRISTMAS_TEST_DATA to the folder with the Binance files")
    try:
        server = str(start_postgres().get_uri())
    except ServerUnavailableError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("audit")
    written = manifests.write(folder / "manifests", [manifests.broker(), *manifests.everyone()])
    prints = folder / "prints.csv"
    with gzip.open(data / "binance-spot-btcusdt-trades-20240808.csv.gz", "rt") as lines:
        prints.write_text("".join(itertools.islice(lines, _ROWS + 1)))
    database = create_database(server)
    with FleetRun(written, [prints], folder / "state", database_url=database) as run:
        report = json.loads(run.report(within_s=200))
        assert sum(strategy["fills"] for strategy in report["strategies"]) > 20
        yield Ran(run.journal.parent, server, database, f"paper.{report['replay_id']}")
    drop_database(server, database)


class Copy(NamedTuple):
    """Stores that a test may corrupt."""

    folder: Path
    database: str
    market: str

    def sqlite(self, file: str, *statements: str) -> list[Any]:
        with closing(sqlite3.connect(self.folder / file)) as connection, connection:
            return [connection.execute(statement).fetchall() for statement in statements][-1]

    def sql(self, *statements: str) -> None:
        _sql(self.database, *statements)

    def body(self, kind: str, change: Callable[[dict[str, Any]], None], where: str = "") -> int:
        """Change the JSON of the first entry of a kind; its sequence."""
        sequence, body = self.sqlite(
            "journal.sqlite",
            f"SELECT sequence, body FROM entries WHERE kind = '{kind}' {where} ORDER BY sequence LIMIT 1",
        )[0]
        entry = json.loads(body)
        change(entry)
        with closing(sqlite3.connect(self.folder / "journal.sqlite")) as connection, connection:
            connection.execute("UPDATE entries SET body = ? WHERE sequence = ?", (json.dumps(entry).encode(), sequence))
        return int(sequence)

    def audit(self, *options: str) -> tuple[int, dict[str, Any]]:
        command = [str(_CHRISTMAS), "audit", "--journal", str(self.folder / "journal.sqlite"), "--market", self.market]
        command += ["--database-url", self.database, "-o", "json", *_POLICIES, *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode in {0, 1, 2}, done.stderr
        return done.returncode, json.loads(done.stdout)


def _sql(url: str, *statements: str) -> None:
    async def execute() -> None:
        connection = await asyncpg.connect(url, timeout=20)
        try:
            for statement in statements:
                await connection.execute(statement, timeout=30)
        finally:
            await connection.close()

    asyncio.run(execute())


@pytest.fixture
def stores(ran: Ran, tmp_path: Path) -> Iterator[Copy]:
    folder = tmp_path / "gateway-paper"
    shutil.copytree(ran.folder, folder)
    name = create_database(ran.server)
    drop_database(ran.server, name)
    template, copied = (urlsplit(url).path.removeprefix("/") for url in (ran.database, name))
    _sql(ran.server, f'CREATE DATABASE "{copied}" TEMPLATE "{template}"')
    yield Copy(folder, name, ran.market)
    drop_database(ran.server, name)


def _kinds(report: dict[str, Any]) -> set[str]:
    return {each["kind"] for each in report["differences"] if each["severity"] == "error"}


def test_a_clean_run_has_no_difference(stores: Copy) -> None:
    code, report = stores.audit()
    assert [each for each in report["differences"] if each["severity"] == "error"] == []
    assert code == 0
    assert all(looked["reached"] for looked in report["looked"])
    assert sum(strategy["fills"] for strategy in report["strategies"]) > 20


def test_a_store_that_cannot_be_looked_at_is_said_so(stores: Copy) -> None:
    (stores.folder / "venue.sqlite").write_bytes(b"no database" * 500)
    code, report = stores.audit()
    assert code == 2
    assert [looked["store"] for looked in report["looked"] if not looked["reached"]] == ["venue"]


def test_a_database_that_is_away_is_named_with_its_mend(stores: Copy) -> None:
    command = ["--database-url", "postgresql://127.0.0.1:1/none"]
    code, report = stores.audit(*command)
    away = [looked for looked in report["looked"] if not looked["reached"]]
    assert code == 2
    assert [looked["store"] for looked in away] == ["database"]
    assert "--database-url" in away[0]["mend"]


def _set(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda entry: entry.update(values)


def _of(part: str, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda entry: entry[part].update(values)


_FIRST_FILL = "(SELECT fill_id FROM fills ORDER BY sequence LIMIT 1)"
_FILLED = "(SELECT client_order_id FROM orders WHERE filled_lots > 0 ORDER BY sequence LIMIT 1)"
_A_TICK = "(SELECT trade_id FROM ticks ORDER BY time OFFSET 100 LIMIT 1)"

DATABASE: dict[str, tuple[str, str]] = {
    "a fill is gone": (f"DELETE FROM fills WHERE fill_id = {_FIRST_FILL}", "database.fill-missing"),
    "a fill's price is another": (
        f"UPDATE fills SET price = price + 1 WHERE fill_id = {_FIRST_FILL}",
        "database.fill-at-odds",
    ),
    "a fill is doubled in another session": (
        (
            f"INSERT INTO fills SELECT 'other', market, broker, strategy, fill_id, client_order_id, "
            "position_id, purpose, symbol, side, price, lots, lot_size, fee, liquidity, time, sequence FROM fills "
            f"WHERE fill_id = {_FIRST_FILL}"
        ),
        "database.fill-doubled",
    ),
    "a fill is made up": (
        f"UPDATE fills SET fill_id = 'made-up' WHERE fill_id = {_FIRST_FILL}",
        "database.fill-unknown",
    ),
    "an order is gone": (f"DELETE FROM orders WHERE client_order_id = {_FILLED}", "database.order-missing"),
    "an order's status is another": (
        f"UPDATE orders SET status = 'accepted' WHERE client_order_id = {_FILLED}",
        "database.order-at-odds",
    ),
    "an order's fees are another": (
        f"UPDATE orders SET fees = fees * 2 WHERE client_order_id = {_FILLED}",
        "database.order-at-odds",
    ),
    "an order is made up": (
        f"UPDATE orders SET client_order_id = 'made-up' WHERE client_order_id = {_FILLED}",
        "database.order-unknown",
    ),
    "a signal is gone": (
        "DELETE FROM signals WHERE sequence = (SELECT min(sequence) FROM signals)",
        "database.signal-missing",
    ),
    "a journal row is gone": ("DELETE FROM journal WHERE sequence = 5", "database.entry-missing"),
    "a journal row is another": (
        (
            "UPDATE journal SET entry = replace(entry::text, '\"epoch\":1', '\"epoch\":7')::json WHERE sequence = "
            "(SELECT min(sequence) FROM journal WHERE kind = 'order_written')"
        ),
        "database.entry-at-odds",
    ),
    "the watermark is ahead": (
        "UPDATE journal_watermarks SET sequence = sequence + 1000",
        "database.ahead",
    ),
    "the watermark is behind its rows": (
        "UPDATE journal_watermarks SET sequence = sequence - 3",
        "database.entry-unknown",
    ),
    "a tick is gone": (f"DELETE FROM ticks WHERE trade_id = {_A_TICK}", "ticks.missing"),
    "a tick is doubled": (
        (
            "INSERT INTO ticks SELECT time + interval '1 second', market, symbol, trade_id, price, volume, taker_side, "
            f"open, high, low, late FROM ticks WHERE trade_id = {_A_TICK}"
        ),
        "ticks.doubled",
    ),
    "a tick lies beyond the watermark": (
        "UPDATE watermarks SET time = time - interval '1 minute'",
        "ticks.beyond-watermark",
    ),
    "a print is set aside twice": (
        (
            "INSERT INTO quarantined_ticks SELECT (SELECT market FROM ticks LIMIT 1), entry, 'BTC/USDT', 'absurd', "
            "now(), '[1, 2]' FROM unnest(ARRAY['1-0', '2-0']) AS entry"
        ),
        "ticks.quarantine-doubled",
    ),
    "the watermark of the ticks is gone": ("DELETE FROM watermarks", "ticks.no-watermark"),
}


@pytest.mark.parametrize("what", DATABASE)
def test_the_database_is_corrupted(stores: Copy, what: str) -> None:
    statement, kind = DATABASE[what]
    stores.sql(statement)
    code, report = stores.audit()
    found = [each for each in report["differences"] if each["kind"] == kind]
    assert found, _kinds(report)
    assert all("/database " in each["place"] and each["mend"] for each in found)
    assert code == 1


VENUE: dict[str, tuple[str, str]] = {
    "a fill is lost": ("DELETE FROM fills WHERE sequence = 3", "venue.fill-lost"),
    "a fill is not ours": (
        (
            "INSERT INTO fills (fill_id, time_us, body) SELECT 'made-up', time_us, "
            "replace(body, fill_id, 'made-up') FROM fills WHERE sequence = 3"
        ),
        "venue.fill-not-journaled",
    ),
    "a fill's price is another": (
        "UPDATE fills SET body = json_set(body, '$.price', '1.00') WHERE sequence = 3",
        "venue.fill-at-odds",
    ),
    "an order is lost": (
        "DELETE FROM orders WHERE sequence = (SELECT min(sequence) FROM orders)",
        "venue.order-lost",
    ),
    "an order is not ours": (
        (
            "INSERT INTO orders SELECT 'xstranger', 999999, status, open, replace(body, client_order_id, 'xstranger') "
            "FROM orders WHERE sequence = (SELECT min(sequence) FROM orders)"
        ),
        "venue.order-not-journaled",
    ),
    "an order's lots are others": (
        (
            "UPDATE orders SET body = json_set(body, '$.intent.lots', 77) "
            "WHERE sequence = (SELECT min(sequence) FROM orders)"
        ),
        "venue.order-at-odds",
    ),
    "an order's status is another": (
        (
            "UPDATE orders SET body = json_set(body, '$.status', 'expired') "
            "WHERE sequence = (SELECT min(sequence) FROM orders)"
        ),
        "venue.status",
    ),
    "an order's filled lots are others": (
        (
            "UPDATE orders SET body = json_set(body, '$.filled_lots', 1234) "
            "WHERE sequence = (SELECT min(sequence) FROM orders)"
        ),
        "venue.books-order",
    ),
    "the cash is another": ("UPDATE state SET body = json_set(body, '$.cash', '1.23')", "venue.cash"),
    "the position is another": (
        "UPDATE state SET body = json_set(body, '$.positions.\"BTC/USDT\"', 424242)",
        "venue.position",
    ),
    "more is sold than held": (
        "UPDATE state SET body = json_set(body, '$.positions.\"BTC/USDT\"', -1)",
        "venue.short",
    ),
}


@pytest.mark.parametrize("what", VENUE)
def test_the_venue_is_at_odds(stores: Copy, what: str) -> None:
    statement, kind = VENUE[what]
    # JSON functions take text and the bodies are blobs.
    stores.sqlite(
        "venue.sqlite",
        "UPDATE state SET body = CAST(body AS TEXT)",
        "UPDATE orders SET body = CAST(body AS TEXT)",
        "UPDATE fills SET body = CAST(body AS TEXT)",
        statement,
    )
    code, report = stores.audit()
    found = [each for each in report["differences"] if each["kind"] == kind]
    assert found, _kinds(report)
    assert all("/venue " in each["place"] and each["mend"] for each in found)
    assert code == 1


def test_a_journal_entry_is_removed(stores: Copy) -> None:
    filled = "SELECT client_order_id FROM entries WHERE kind = 'fill_recorded'"
    last = f"SELECT max(sequence) FROM entries WHERE kind = 'order_written' AND client_order_id IN ({filled})"
    sequence = stores.sqlite("journal.sqlite", last)[0][0]
    stores.sqlite("journal.sqlite", f"DELETE FROM entries WHERE sequence = {sequence}")
    code, report = stores.audit()
    assert code == 1
    places = {each["place"]: each["kind"] for each in report["differences"]}
    assert places[f"paper/journal entry {sequence}"] == "journal.entry-removed"
    assert {"journal.not-written-before", "venue.order-not-journaled", "database.order-unknown"} <= _kinds(report)


def test_a_gap_is_found_without_the_database(stores: Copy) -> None:
    sequence = stores.sqlite("journal.sqlite", "SELECT max(sequence) FROM entries WHERE kind = 'order_changed'")[0][0]
    stores.sqlite(
        "journal.sqlite",
        f"UPDATE marks SET value = {sequence - 2} WHERE name = 'acked'",
        f"DELETE FROM entries WHERE sequence = {sequence}",
        f"INSERT INTO entries (sequence, kind, owner, client_order_id, body)"
        f" VALUES ({sequence + 500}, 'x', '', '', '{{')",
    )
    _, report = stores.audit("--database-url", "postgresql://127.0.0.1:1/none")
    assert {"journal.gap", "journal.unreadable"} <= _kinds(report)


def test_two_entries_change_places(stores: Copy) -> None:
    sequence = stores.sqlite("journal.sqlite", "SELECT min(sequence) FROM entries WHERE kind = 'fill_recorded'")[0][0]
    stores.sqlite(
        "journal.sqlite",
        f"UPDATE entries SET sequence = -1 WHERE sequence = {sequence}",
        f"UPDATE entries SET sequence = {sequence} WHERE sequence = {sequence + 1}",
        f"UPDATE entries SET sequence = {sequence + 1} WHERE sequence = -1",
    )
    code, report = stores.audit()
    assert code == 1
    assert {"journal.sequence", "journal.report-missing", "journal.filled-lots"} <= _kinds(report)


def test_a_fill_is_journaled_twice(stores: Copy) -> None:
    row = stores.sqlite(
        "journal.sqlite",
        "SELECT (SELECT max(sequence) FROM entries), owner, client_order_id, body FROM entries "
        "WHERE kind = 'fill_recorded' ORDER BY sequence DESC LIMIT 1",
    )[0]
    entry = json.loads(row[3]) | {"sequence": row[0] + 1}
    with closing(sqlite3.connect(stores.folder / "journal.sqlite")) as connection, connection:
        values = (row[0] + 1, "fill_recorded", row[1], row[2], json.dumps(entry).encode())
        connection.execute(
            "INSERT INTO entries (sequence, kind, owner, client_order_id, body) VALUES (?, ?, ?, ?, ?)", values
        )
    _, report = stores.audit()
    assert {"journal.fill-doubled", "journal.report-missing"} <= _kinds(report)


JOURNAL: dict[str, tuple[str, Callable[[dict[str, Any]], None], str]] = {
    "a fill goes beyond its order": ("fill_recorded", _of("fill", lots=10**9), "journal.overfilled"),
    "a fill is of no order": ("fill_recorded", _of("fill", client_order_id="xnone"), "journal.fill-without-order"),
    "a fill is of another position": ("fill_recorded", _set(position_id="xother"), "journal.fill-at-odds"),
    "an order id is not derived": ("order_written", _of("intent", decided_us=1), "journal.order-id"),
    "an epoch that does not speak": ("order_written", _set(epoch=9), "fence.epoch"),
    "a step before its order": ("order_changed", _set(client_order_id="xnone"), "journal.not-written-before"),
    "a step with other lots": ("order_changed", _set(filled_lots=1), "journal.filled-lots"),
    "a step of no meaning": ("order_changed", _set(status="filled"), "journal.status"),
    "an entry at another's place": ("order_changed", _set(sequence=1), "journal.sequence"),
    "an order without a session": ("session_changed", _set(state="closed"), "fence.no-session"),
}


@pytest.mark.parametrize("what", JOURNAL)
def test_the_journal_is_corrupted(stores: Copy, what: str) -> None:
    kind, change, expected = JOURNAL[what]
    stores.body(kind, change)
    code, report = stores.audit()
    assert expected in _kinds(report)
    assert code == 1


def test_prints_of_which_the_database_never_heard(ran: Ran) -> None:
    """``ended.json`` says how many there were; only a state folder has it."""
    state = ran.folder.parents[1]
    ended = ran.folder / "ended.json"
    before = ended.read_text()
    command = [str(_CHRISTMAS), "audit", "--state", str(state.parents[1]), "--replay", "last", "-o", "json"]
    command += ["--database-url", ran.database]

    def audit() -> tuple[int, set[str]]:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, _kinds(json.loads(done.stdout))

    assert audit() == (0, set())
    try:
        ended.write_text(json.dumps(json.loads(before) | {"received": _ROWS + 1}))
        assert audit() == (1, {"ticks.count"})
    finally:
        ended.write_text(before)
