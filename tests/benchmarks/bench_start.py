"""How soon things run: the command's help, a runtime, the whole example fleet.

    .venv/bin/python -m tests.benchmarks.bench_start [-o json]

A runtime's start is its own gauge (from the start of its process, warm-up included, until it can answer the market)
and, from outside, the time until a restarted one of the running fleet answers /readyz with ok. The fleet's start is
that of ``christmas up examples`` from an empty state folder: databases are created, the schema is brought up, the
synthetic market has begun. The first order depends on the market's mood too; it is looked for, and shown.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec
import psutil

from christmas.resources.strategy import Strategy
from tests.benchmarks.fleet import CHRISTMAS, Fleet, ending_cleanly
from tests.benchmarks.results import Row, arguments_of, tell

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"
HELP_S: Final = 0.3
RUNTIME_S: Final = 2.0
UP_S: Final = 20.0
_HELP_RUNS: Final = 10
_RESTARTS: Final = 3
_UP_WITHIN_S: Final = 90.0


def help_s() -> float:
    """Median of runs with a hot cache."""
    taken = []
    for _ in range(_HELP_RUNS + 1):
        started = time.perf_counter()
        subprocess.run([CHRISTMAS, "--help"], stdout=subprocess.DEVNULL, check=True)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:])


def _strategies(fleet: Fleet) -> list[str]:
    files = fleet.state.glob("manifests/strategy.*.json")
    return sorted(msgspec.json.decode(file.read_bytes(), type=Strategy).metadata.name for file in files)


def _orders(fleet: Fleet) -> float | None:
    metrics = fleet.metrics("gateway", "paper")
    return None if metrics is None else metrics.value("christmas_gateway_orders_sent_total") or None


def _all_ready(fleet: Fleet) -> bool | None:
    names = _strategies(fleet)
    return (bool(names) and all(fleet.is_ready("runtime", name) for name in names)) or None


def restart_s(fleet: Fleet, name: str) -> float:
    """From the start of the process that follows a killed one until it is ready."""
    before = fleet.status("runtime", name)
    assert before is not None, f"runtime {name} does not run"
    os.kill(before.pid, signal.SIGKILL)

    def is_back() -> float | None:
        now = fleet.status("runtime", name)
        if now is None or now.pid == before.pid or not fleet.is_ready("runtime", name):
            return None
        return time.time() - psutil.Process(now.pid).create_time()

    return fleet.wait_for(f"the restart of {name}", is_back, 60.0)


def of_fleet() -> list[Row]:
    with Fleet(EXAMPLES) as fleet:
        fleet.wait_for("a fleet that is ready", lambda: _all_ready(fleet), _UP_WITHIN_S)
        ready_s = time.perf_counter() - fleet.started_at
        fleet.wait_for("the first order", lambda: _orders(fleet), _UP_WITHIN_S)
        order_s = time.perf_counter() - fleet.started_at
        names = _strategies(fleet)
        gauges = [
            metrics.value("christmas_runtime_start_seconds")
            for name in names
            if (metrics := fleet.metrics("runtime", name)) is not None
        ]
        again = statistics.median(restart_s(fleet, name) for name in (names * _RESTARTS)[:_RESTARTS])
    together = f"{len(names)} runtimes at once, with stores and gateway"
    return [
        _row("christmas up examples: all runtimes warm and ready", ready_s, UP_S),
        _row("christmas up examples: first order at the venue", order_s, UP_S),
        _row("a runtime's start, its own gauge (slowest)", max(gauges), RUNTIME_S, note=f" ({together})"),
        _row("a runtime's start, from outside", again, RUNTIME_S, note=f" (median of {_RESTARTS}, one at a time)"),
    ]


def _row(name: str, seconds: float, limit: float, *, note: str = "") -> Row:
    return Row(name=name, measured=f"{seconds:.2f} s{note}", target=f"<= {limit:g} s", passed=0 < seconds <= limit)


def main() -> int:
    arguments = arguments_of(__doc__).parse_args()
    with ending_cleanly():
        rows = [_row("christmas --help", help_s(), HELP_S, note=f" (median of {_HELP_RUNS})"), *of_fleet()]
    return tell("start", rows, arguments.output)


if __name__ == "__main__":
    sys.exit(main())
