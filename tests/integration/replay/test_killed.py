"""Processes of a replay at full speed are killed: it goes on, and its report is that of an undisturbed one."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

import pytest

from tests.integration.replay import manifests
from tests.integration.replay.conftest import Cut
from tests.integration.replay.fleet import FleetRun, decision_bytes, parsed, replay
from tests.support.data import SPOT_BTC

pytestmark = pytest.mark.timeout(300)
ROWS = 6_000
GATEWAY = "christmas.brokers.gateway"
RUNTIME = "christmas.runtime"
RECORDER = "christmas.ingestion.recorder"
Undisturbed = tuple[FleetRun, bytes]


@pytest.fixture(scope="module")
def everyone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return manifests.write(tmp_path_factory.mktemp("everyone"), [manifests.broker(), *manifests.everyone()])


@pytest.fixture(scope="module")
def undisturbed(
    cut: Cut, everyone: Path, store_urls: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Undisturbed:
    state = tmp_path_factory.mktemp("undisturbed")
    return replay(everyone, [cut(SPOT_BTC, ROWS)], state, database_url=store_urls[0], redis_url=store_urls[1])


@pytest.mark.parametrize(
    ("module", "name", "at_orders"),
    [
        (RUNTIME, "runtime-aging", (50, 200)),
        (RUNTIME, "runtime-stopping", (100,)),
        (RUNTIME, "runtime-ticker", (120,)),
        (GATEWAY, "", (60, 200)),
        (RECORDER, "", (100,)),
    ],
)
def test_a_killed_process_changes_nothing(
    undisturbed: Undisturbed,
    cut: Cut,
    everyone: Path,
    store_urls: tuple[str, str],
    tmp_path: Path,
    module: str,
    name: str,
    at_orders: tuple[int, ...],
) -> None:
    """Killed when the journal has so many orders, in the midst of whatever it does then."""
    database_url, redis_url = store_urls
    with FleetRun(everyone, [cut(SPOT_BTC, ROWS)], tmp_path, database_url=database_url, redis_url=redis_url) as run:
        for orders in at_orders:
            run.wait_for(lambda orders=orders: run.orders_written() >= orders)
            killed: list[int] = []
            run.wait_for(lambda killed=killed: _kill(run, module, name, killed))
            run.wait_for(lambda killed=killed: (run.pid(module, name) or killed[0]) != killed[0])
        report = run.report(within_s=120.0)
    assert report == undisturbed[1], _difference(run, undisturbed[0])
    assert parsed(report)["ticks"]["stored"] == ROWS
    assert decision_bytes(run.decisions()) == decision_bytes(undisturbed[0].decisions())
    assert _venue_orders(run) == _venue_orders(undisturbed[0])


def _kill(run: FleetRun, module: str, name: str, killed: list[int]) -> bool:
    pid = run.pid(module, name)
    if pid is None:
        return False
    os.kill(pid, signal.SIGKILL)
    killed.append(pid)
    return True


def _venue_orders(run: FleetRun) -> list[str]:
    """Every order that the venue ever had; an id cannot be there twice, another order for the same wish could."""
    connection = sqlite3.connect(run.venue)
    try:
        return sorted(str(row[0]) for row in connection.execute("SELECT client_order_id FROM orders"))
    finally:
        connection.close()


def _difference(run: FleetRun, other: FleetRun) -> str:
    """The first decision of each strategy that is not the same."""
    ours, theirs = decision_bytes(run.decisions()), decision_bytes(other.decisions())
    lines = []
    for name in sorted(ours.keys() | theirs.keys()):
        pairs = zip(ours.get(name, []), theirs.get(name, []), strict=False)
        first = next((pair for pair in pairs if pair[0] != pair[1]), None)
        lines.append(f"{name}: {len(ours.get(name, []))} and {len(theirs.get(name, []))}, {first}")
    return "\n".join([*lines, run.words()])
