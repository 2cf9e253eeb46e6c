"""Whole replays of recorded prints in lock-step, disturbed or not, and what they come to."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, NamedTuple

from christmas.fleet.process import ManagedProcess
from christmas.fleet.state import StateFolder
from christmas.fleet.stores import EmbeddedPostgres
from tests.chaos.books import Books, read_database, read_journal, read_venue
from tests.chaos.findings import differences, findings
from tests.integration.replay import manifests
from tests.integration.replay.fleet import Decisions, FleetRun, decision_bytes
from tests.support.data import MINUTE_BARS
from tests.support.waiting import eventually

BAD_PRINT_EVERY: Final = 500
"""So that the way of refused prints is disturbed too."""


class Stores(NamedTuple):
    """Where replays put their rows and keys; None: each has embedded stores of its own."""

    database_url: str | None = None
    redis_url: str | None = None


class Outcome(NamedTuple):
    report: bytes
    books: Books
    decisions: dict[str, list[bytes]]
    audit: str
    """What ``christmas audit`` has to say; empty when it finds nothing."""


class Scene(NamedTuple):
    """What is replayed."""

    folder: Path
    file: Path
    rows: int
    quarantined: int = 0


def everyone(folder: Path, file: Path, rows: int) -> Scene:
    """The first ``rows`` prints of a recording, for one strategy of each kind."""
    written = manifests.write(folder / "manifests", [manifests.broker(), *manifests.everyone()])
    with gzip.open(file, "rt") as lines:
        prints = list(itertools.islice(lines, rows + 1))
    cut = folder / "prints.csv"
    cut.write_text("".join(prints))
    return Scene(written, cut, len(prints) - 1)


def with_bad_prints(scene: Scene, *, every: int) -> Scene:
    """The same with a print of no price behind each so many."""
    header, *prints = scene.file.read_text().splitlines()
    columns = header.split(",")
    lines, bad = [header], 0
    for number, line in enumerate(prints, start=1):
        lines.append(line)
        if number % every == 0:
            values = line.split(",")
            values[columns.index("trade_id")] = f"9{values[columns.index('trade_id')]}"
            values[columns.index("price")] = "0.01"
            lines.append(",".join(values))
            bad += 1
    file = scene.file.with_name("bad-prints.csv")
    file.write_text("\n".join(lines) + "\n")
    return scene._replace(file=file, quarantined=bad)


def start(scene: Scene, state: Path, stores: Stores, *, crash_at: str = "") -> FleetRun:
    """``crash_at``: as in CHRISTMAS_CRASH_AT."""
    return FleetRun(
        scene.folder,
        [scene.file],
        state,
        database_url=stores.database_url,
        redis_url=stores.redis_url,
        environment={"CHRISTMAS_CRASH_AT": crash_at} if crash_at else {},
    )


def wrong(scene: Scene, outcome: Outcome, undisturbed: Outcome) -> list[str]:
    """What is wrong with a replay in itself, and in what it is not the undisturbed one."""
    found = findings(outcome.books, ticks=scene.rows, quarantined=scene.quarantined)
    if outcome.audit:
        found.append(f"christmas audit: {outcome.audit}")
    found += differences(outcome.books, undisturbed.books)
    if outcome.report != undisturbed.report:
        found.append("another report")
    if outcome.decisions != undisturbed.decisions:
        found.append("other decisions")
    return found


async def outcome(run: FleetRun, report: bytes, stores: Stores) -> Outcome:
    """What a replay that has ended comes to."""
    content = json.loads(report)
    market, session_id = f"paper.{content['replay_id']}", content["session_id"]
    async with _database(run, stores) as url:
        database = await read_database(url, market=market, session_id=session_id)
    books = Books(read_journal(run.journal), read_venue(run.venue), database)
    decided: Decisions = run.decisions()
    return Outcome(report, books, decision_bytes(decided), await asyncio.to_thread(_audit, run, stores))


def crash_points_left(run: FleetRun) -> list[str]:
    """Lines of those that nothing has died of."""
    (file,) = run.state.glob("replays/*/crash-points")
    return file.read_text().splitlines()


@contextlib.asynccontextmanager
async def _database(run: FleetRun, stores: Stores) -> AsyncIterator[str]:
    """The URL of the replay's database; an embedded one, which ended with the fleet, runs for the block."""
    if stores.database_url is not None:
        yield stores.database_url
        return
    (folder,) = run.state.glob("replays/*")
    state = StateFolder(folder)
    state.prepare()
    store = EmbeddedPostgres(state, durable=False)
    await store.prepare()
    process: ManagedProcess = store.process()
    await process.start()
    try:
        await eventually(lambda: _answers(store), within_s=30.0, what="the replay's PostgreSQL answers")
        yield store.url
    finally:
        await process.stop(15.0)


def _audit(run: FleetRun, stores: Stores) -> str:
    """As a person would ask after the fleet has ended."""
    where = ["--start-database"] if stores.database_url is None else ["--database-url", stores.database_url]
    done = subprocess.run(
        [sys.executable, "-m", "christmas.cli", "audit", "--state", str(run.state), "--replay", "last", *where],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return "" if done.returncode == 0 else f"exit code {done.returncode}: {done.stdout[-2000:]}{done.stderr[-1000:]}"


async def _answers(store: EmbeddedPostgres) -> bool:
    return await store.probe() is None


def outcome_now(run: FleetRun, report: bytes, stores: Stores) -> Outcome:
    """`outcome` for those without an event loop."""
    return asyncio.run(outcome(run, report, stores))


def of_bars(folder: Path, data: Path) -> Scene:
    """Days of one-minute bars: a market that is long enough for Redis to be trimmed."""
    rows = 15_000
    slow = manifests.strategy("slow", timeframe="5m", rules={"entry": "rsi(14) < 30", "exit": "rsi(14) > 60"})
    written = manifests.write(folder / "manifests", [manifests.broker(), slow])
    with gzip.open(data / MINUTE_BARS, "rt") as lines:
        prints = list(itertools.islice(lines, rows + 1))
    cut = folder / "bars.csv"
    cut.write_text("".join(prints))
    return Scene(written, cut, rows)
