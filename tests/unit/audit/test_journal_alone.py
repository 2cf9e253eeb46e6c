"""``christmas audit --journal`` of a file from elsewhere: NoLoss is judged by its orders and fills alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from christmas.audit.difference import AuditReport
from christmas.cli.audit import audit
from christmas.execution.journal import JournalEntry
from christmas.resources.meta import Metadata
from christmas.resources.strategy import BrokerRef, Capital, Exit, ExitPolicy, Strategy, StrategySpec
from tests.unit.audit import story


def losing(**exit_order: Any) -> list[JournalEntry]:
    """Bought at 100, sold at 90."""
    told = story.entries()
    order = story.written("sell", **{"price": Decimal(90), **exit_order})
    return [*told[:6], order, told[7], story.filled("sell", price=Decimal(90)), told[9]]


def save(file: Path, told: list[JournalEntry]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE entries (sequence INTEGER PRIMARY KEY, owner TEXT, body TEXT)")
        database.execute("CREATE TABLE marks (name TEXT, value INTEGER)")
        rows = [(line.sequence, line.owner, msgspec.json.encode(line.entry)) for line in story.journal(told).lines]
        database.executemany("INSERT INTO entries VALUES (?, ?, ?)", rows)
    return file


def manifest(policy: ExitPolicy) -> Strategy:
    spec = StrategySpec(
        broker_ref=BrokerRef(name="paper"),
        symbols=(story.SYMBOL,),
        capital=Capital(amount="1000", per_trade="100"),
        exit=Exit(policy=policy),
    )
    return Strategy(metadata=Metadata(name="one", uid=story.UID), spec=spec)


def look(journal: Path, *more: str) -> Result:
    return CliRunner(env={"DATABASE_URL": ""}).invoke(audit, ["--journal", str(journal), "-o", "json", *more])


def found(result: Result) -> list[tuple[str, str]]:
    report = msgspec.json.decode(result.stdout, type=AuditReport)
    return sorted((each.severity, each.kind) for each in report.differences)


BROKEN = [("error", "noloss.exit"), ("error", "noloss.loss")]


def test_a_journal_that_kept_the_promise_has_no_difference(tmp_path: Path) -> None:
    result = look(save(tmp_path / "journal.sqlite", story.entries()))
    assert (found(result), result.exit_code) == ([], 2)


@pytest.mark.parametrize("price", [Decimal(90), None])
def test_a_loss_is_found_without_a_manifest(tmp_path: Path, price: Decimal | None) -> None:
    kind = "limit" if price is not None else "market"
    result = look(save(tmp_path / "journal.sqlite", losing(price=price, type=kind)))
    assert (found(result), result.exit_code) == (BROKEN, 1)
    assert "--policy NAME=StopLoss" in result.stdout


def test_a_limit_that_the_user_wrote_is_a_note(tmp_path: Path) -> None:
    result = look(save(tmp_path / "journal.sqlite", losing(breaks_policy="maximumAge")))
    assert (found(result), result.exit_code) == ([("note", "noloss.broken")], 2)


def test_a_policy_that_is_named_is_what_counts(tmp_path: Path) -> None:
    journal = save(tmp_path / "journal.sqlite", losing())
    assert found(look(journal, "--policy", "one=StopLoss")) == []
    assert found(look(journal, "--policy", "two=StopLoss")) == BROKEN


def test_a_journal_in_a_state_folder_goes_by_the_manifests_there(tmp_path: Path) -> None:
    journal = save(tmp_path / "data" / "gateway-paper" / "journal.sqlite", losing())
    folder = tmp_path / "processes" / "runtime-one"
    folder.mkdir(parents=True)
    (folder / "strategy.json").write_bytes(msgspec.json.encode(manifest("StopLoss")))
    assert found(look(journal)) == []
    (folder / "strategy.json").write_bytes(msgspec.json.encode(manifest("NoLoss")))
    result = look(journal)
    assert found(result) == BROKEN
    assert "--policy" not in result.stdout
    (folder / "strategy.json").write_text("{")
    assert look(journal).exit_code == 2


@pytest.mark.parametrize("value", ["one", "=NoLoss", "one=Never"])
def test_a_policy_that_there_is_not_is_refused(tmp_path: Path, value: str) -> None:
    result = look(save(tmp_path / "journal.sqlite", losing()), "--policy", value)
    assert (result.exit_code, "one of NoLoss, StopLoss, Trailing" in result.output) == (2, True)


def test_a_policy_belongs_to_a_journal() -> None:
    assert "--policy belongs to --journal" in CliRunner().invoke(audit, ["--policy", "one=NoLoss"]).output
