"""Processes of a replay at full speed are killed: it goes on, and its report is that of an undisturbed one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.replay import manifests
from tests.integration.replay.conftest import Cut
from tests.integration.replay.fleet import FleetRun, decision_bytes, parsed
from tests.support.data import SPOT_BTC

pytestmark = pytest.mark.timeout(300)
ROWS = 6_000
GATEWAY = "christmas.brokers.gateway"
RUNTIME = "christmas.runtime"
RECORDER = "christmas.ingestion.recorder"
Undisturbed = tuple[FleetRun, bytes]
Kills = tuple[str, str, tuple[int, ...]]
"""Which module's process, with what in the path of its settings, at how many orders."""


@pytest.fixture(scope="module")
def everyone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return manifests.write(tmp_path_factory.mktemp("everyone"), [manifests.broker(), *manifests.everyone()])


@pytest.fixture(scope="module")
def replayed(cut: Cut, everyone: Path, store_urls: tuple[str, str]) -> Callable[[Path], FleetRun]:
    """Starts the replay with its state in a folder."""
    return lambda state: FleetRun(
        everyone, [cut(SPOT_BTC, ROWS)], state, database_url=store_urls[0], redis_url=store_urls[1]
    )


@pytest.fixture(scope="module")
def undisturbed(replayed: Callable[[Path], FleetRun], tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    with replayed(tmp_path_factory.mktemp("undisturbed")) as run:
        return run, run.report(within_s=120.0)


@pytest.mark.parametrize(
    "kills",
    [
        (RUNTIME, "runtime-aging", (50, 200)),
        (RUNTIME, "runtime-stopping", (100,)),
        (RUNTIME, "runtime-patient", (120,)),
        (GATEWAY, "", (60, 200)),
        (RECORDER, "", (100,)),
    ],
)
def test_a_killed_process_changes_nothing(
    undisturbed: Undisturbed,
    replayed: Callable[[Path], FleetRun],
    tmp_path: Path,
    kills: Kills,
) -> None:
    """Killed when the journal has so many orders, in the midst of whatever it does then."""
    module, name, at_orders = kills
    with replayed(tmp_path) as run:
        for orders in at_orders:
            run.kill(module, name, at_orders=orders)
        report = run.report(within_s=120.0)
    assert report == undisturbed[1], _difference(run, undisturbed[0])
    assert parsed(report)["ticks"]["stored"] == ROWS
    assert decision_bytes(run.decisions()) == decision_bytes(undisturbed[0].decisions())
    assert _venue_orders(run) == _venue_orders(undisturbed[0])


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
