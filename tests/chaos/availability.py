"""The share of time in which a signal could have become an order, while something fails every half minute.

    .venv/bin/python -m tests.chaos.availability [--minutes 30] [--every 30] [--seed 1] [-o json]

A fleet of its own trades the captured futures stream at its own pace, over and over. Every ``--every`` seconds one
thing happens, chosen by the seed: a process of the fleet or a store is killed, or stands still for some seconds. Ten
times a second each runtime and the gateway are asked whether they are ready, as Kubernetes would ask; a signal could
have become an order when both say so in time. What was the matter in the rest of the time, they or their silence say.
Afterwards the whole fleet is audited.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from tests.benchmarks.bench_latency import BROKER, CODE, ON_BARS, ON_TICKS, RULES, capture
from tests.benchmarks.fleet import CHRISTMAS, Fleet, ending_cleanly
from tests.benchmarks.results import Row, arguments_of, tell

_SAMPLE_EVERY_S: Final = 0.1
_ANSWER_WITHIN_S: Final = 0.25
_SETTLE_S: Final = 10.0
_STOPPED_S: Final = (2.0, 10.0)
ON_BARS_NAMES: Final = ("rising", "falling")
STRATEGIES: Final = (*ON_BARS_NAMES, "on-ticks")
TARGETS: Final = ("gateway", "runtime", "recorder", "valkey", "postgres")


class Fault(NamedTuple):
    at_s: float
    """After the measurement began."""
    target: str
    stopped_s: float
    """0: killed."""

    def __str__(self) -> str:
        return (
            f"{self.target} killed" if not self.stopped_s else f"{self.target} stands still for {self.stopped_s:.0f} s"
        )


def plan(seed: int, seconds: float, every_s: float, stopped_s: float | None = None) -> list[Fault]:
    """One fault every ``every_s``; kills and standstills in turn, of a target by chance.

    With ``stopped_s`` only standstills of that length, of one target after the other.
    """
    if stopped_s is not None:
        numbers = range(int(seconds / every_s))
        return [Fault((number + 0.2) * every_s, TARGETS[number % len(TARGETS)], stopped_s) for number in numbers]
    chance = random.Random(seed)
    faults = []
    for number in range(int(seconds / every_s)):
        length_s = round(chance.uniform(*_STOPPED_S), 1) if number % 2 else 0.0
        faults.append(Fault((number + 0.5) * every_s, chance.choice(TARGETS), length_s))
    return faults


class Watch:
    """Asks one pair of runtime and gateway, again and again, and adds up the time by what they say."""

    def __init__(self, fleet: Fleet, strategy: str) -> None:
        self._fleet = fleet
        self._strategy = strategy
        self._ends = threading.Event()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        """By reason; ready under the empty one."""
        self._thread = threading.Thread(target=self._run, name=f"watch {strategy}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ends.set()
        self._thread.join(timeout=10.0)

    def _run(self) -> None:
        since = time.monotonic()
        while not self._ends.wait(_SAMPLE_EVERY_S):
            why = self._why_not("gateway", "paper") or self._why_not("runtime", self._strategy)
            now = time.monotonic()
            self.seconds[why] += now - since
            since = now

    def _why_not(self, kind: str, name: str) -> str:
        status = self._fleet.status(kind, name)
        if status is None:
            return f"the {kind} is not running"
        try:
            with urlopen(f"http://127.0.0.1:{status.http_port}/readyz", timeout=_ANSWER_WITHIN_S):
                return ""
        except HTTPError as refusal:
            reason = refusal.read().decode(errors="replace").strip()
            return f"the {kind}: {reason.partition(': ')[0][:80]}"
        except (URLError, OSError):
            return f"the {kind} does not answer"


def carry_out(fleet: Fleet, fault: Fault, chance: random.Random) -> None:
    """To one process of that kind; nothing when none runs just then."""
    found = [
        one
        for one in fleet.usage()
        if fault.target in {one.kind, one.name} and (one.kind != "store" or one.pid in _masters(fleet))
    ]
    if not found:
        return
    pid = chance.choice(found).pid
    try:
        if not fault.stopped_s:
            os.kill(pid, signal.SIGKILL)
            return
        os.kill(pid, signal.SIGSTOP)
        time.sleep(fault.stopped_s)
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return


def _masters(fleet: Fleet) -> set[int]:
    """The stores' own processes, not what PostgreSQL forks."""
    supervisor = fleet.supervisor.pid
    return {one.pid for one in fleet.usage() if one.kind == "store" and _parent(one.pid) == supervisor}


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def manifests(stream: Path) -> dict[str, str]:
    return {
        "broker.yaml": BROKER.format(capture=stream).replace("speed: 1x", "speed: 1x, loop: true"),
        **{f"{name}.yaml": ON_BARS.format(name=name, rules=RULES[name]) for name in ON_BARS_NAMES},
        "on-ticks.yaml": ON_TICKS.format(name="on-ticks"),
        "on_ticks.py": CODE,
    }


def measure(fleet: Fleet, faults: Sequence[Fault], seconds: float, seed: int) -> tuple[float, dict[str, float]]:
    """(seconds watched over all strategies, seconds by reason)."""

    def all_trade() -> bool | None:
        return all(fleet.is_ready("runtime", name) for name in STRATEGIES) or None

    fleet.wait_for("trading by all runtimes", all_trade, 60.0)
    time.sleep(_SETTLE_S)
    chance = random.Random(seed)
    watches = [Watch(fleet, name) for name in STRATEGIES]
    for watch in watches:
        watch.start()
    started = time.monotonic()
    for fault in faults:
        time.sleep(max(0.0, started + fault.at_s - time.monotonic()))
        sys.stderr.write(f"{time.monotonic() - started:7.1f} s  {fault}\n")
        carry_out(fleet, fault, chance)
    time.sleep(max(0.0, started + seconds - time.monotonic()))
    total: defaultdict[str, float] = defaultdict(float)
    for watch in watches:
        watch.end()
        for reason, took_s in watch.seconds.items():
            total[reason] += took_s
    return sum(total.values()), total


def orders_written(fleet: Fleet) -> int:
    """In the journal, over all processes of the gateway."""
    (journal,) = fleet.state.rglob("journal.sqlite")
    with contextlib.closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM entries WHERE kind = 'order_written'").fetchone()
    return int(count)


def audit(fleet: Fleet) -> Row:
    done = subprocess.run(
        [CHRISTMAS, "audit", "--state", str(fleet.state), "-o", "json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode not in {0, 1}:
        return Row(name="audit afterwards", measured=done.stderr.strip()[-200:], target="nothing wrong", passed=False)
    found = json.loads(done.stdout)
    if done.returncode:
        sys.stderr.write(done.stdout)
    errors = [one for one in found.get("differences", []) if one.get("severity") == "error"]
    return Row(
        name="audit afterwards",
        measured=f"{len(errors)} differences",
        target="nothing wrong",
        passed=done.returncode == 0,
    )


def main() -> int:
    parser = arguments_of(__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--every", type=float, default=30.0, help="seconds from fault to fault")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stopped", type=float, metavar="SECONDS", help="only standstills, each so long")
    arguments = parser.parse_args()
    seconds = arguments.minutes * 60.0
    faults = plan(arguments.seed, seconds, arguments.every, arguments.stopped)
    with ending_cleanly(), Fleet(manifests(capture())) as fleet:
        watched_s, by_reason = measure(fleet, faults, seconds, arguments.seed)
        time.sleep(_SETTLE_S)
        orders = orders_written(fleet)
        audited = audit(fleet)
    rows = [
        Row(
            name="a signal could have become an order", measured=f"{by_reason.get('', 0.0) / watched_s:.2%} of the time"
        ),
        *(
            Row(
                name=f"  {reason}",
                measured=f"{took_s / watched_s:.2%}, {took_s:.1f} s over {len(STRATEGIES)} strategies",
            )
            for reason, took_s in sorted(by_reason.items(), key=lambda entry: -entry[1])
            if reason
        ),
        Row(name="faults", measured=f"{len(faults)} in {seconds / 60:.0f} min, seed {arguments.seed}"),
        Row(name="orders in the journal", measured=f"{orders}"),
        audited,
    ]
    return tell("availability", rows, arguments.output)


if __name__ == "__main__":
    sys.exit(main())
