"""`christmas audit` on what a fault test has left behind, which also checks that NoLoss held."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from christmas.audit.difference import AuditReport
from christmas.resources.strategy import Strategy
from tests.support.waiting import eventually

_WITHIN_S: Final = 60.0
_CLOSES_WITHIN_S: Final = 120.0
_CLOSED: Final = """
SELECT 1 FROM entries WHERE kind = 'fill_recorded' GROUP BY json_extract(CAST(body AS TEXT), '$.position_id')
HAVING sum(
  json_extract(CAST(body AS TEXT), '$.fill.lots')
  * CASE json_extract(CAST(body AS TEXT), '$.fill.side') WHEN 'buy' THEN 1 ELSE -1 END
) = 0 LIMIT 1
"""


def as_state_folder(place: Path, gateway: Path, runtimes: Iterable[Path]) -> Path:
    """Lay out processes that no fleet has started as a fleet would have: their settings are found under their names."""
    processes = place / "processes"
    processes.mkdir(parents=True)
    (processes / "gateway-paper").symlink_to(gateway, target_is_directory=True)
    for folder in runtimes:
        (processes / f"runtime-{folder.name.removeprefix('runtime-')}").symlink_to(folder, target_is_directory=True)
    return place


async def a_position_closed(journal: Path) -> None:
    """Return when there is one: on a market that falls, a policy that never sells at a loss takes its time."""

    def closed() -> bool:
        with contextlib.closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True, timeout=5)) as connection:
            return connection.execute(_CLOSED).fetchone() is not None

    await eventually(closed, within_s=_CLOSES_WITHIN_S, every_s=0.5, what="a position is closed")


async def audited(state: Path, database_url: str) -> list[str]:
    """What `christmas audit` tells that is wrong; empty: its exit code is 0, and it has seen NoLoss at work."""
    return await asyncio.to_thread(_audited, state, database_url)


def _audited(state: Path, database_url: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "christmas.cli", "audit", "--state", str(state), "-o", "json"],
        capture_output=True,
        check=False,
        timeout=_WITHIN_S,
        env={**os.environ, "DATABASE_URL": database_url},
    )
    if done.returncode not in {0, 1, 2} or not done.stdout:
        return [f"the audit ended with {done.returncode}: {done.stderr.decode()[-2000:]}"]
    report = msgspec.json.decode(done.stdout, type=AuditReport)
    found = [
        f"{each.kind} at {each.place}: expected {each.expected}, found {each.found}"
        for each in report.differences
        if each.severity == "error"
    ]
    found += [f"the audit could not look at {each.store}: {each.what}" for each in report.unreachable]
    if done.returncode and not found:
        found.append(f"the audit's exit code is {done.returncode}")
    if not closed_without_loss(state, report):
        # Without this a fleet that never sold would pass for one that never sold at a loss.
        found.append("no position of a NoLoss strategy was closed: nothing shows that the policy held")
    return found


def closed_without_loss(state: Path, report: AuditReport) -> int:
    """How many positions of strategies with NoLoss the audit has seen closed."""
    manifests = [
        msgspec.json.decode(file.read_bytes(), type=Strategy)
        for file in (state / "processes").glob("runtime-*/strategy.json")
    ]
    kept = {each.metadata.uid for each in manifests if each.spec.exit.policy == "NoLoss"}
    return sum(each.closed_trades for each in report.strategies if each.strategy_uid in kept)
