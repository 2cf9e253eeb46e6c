"""`christmas audit` on what a fault test has left behind, which also checks that NoLoss held."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from christmas.audit.difference import AuditReport
from christmas.resources.strategy import Strategy

_WITHIN_S: Final = 60.0


def as_state_folder(place: Path, gateway: Path, runtimes: Iterable[Path]) -> Path:
    """Lay out processes that no fleet has started as a fleet would have: their settings are found under their names."""
    processes = place / "processes"
    processes.mkdir(parents=True)
    (processes / "gateway-paper").symlink_to(gateway, target_is_directory=True)
    for folder in runtimes:
        (processes / f"runtime-{folder.name.removeprefix('runtime-')}").symlink_to(folder, target_is_directory=True)
    return place


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
