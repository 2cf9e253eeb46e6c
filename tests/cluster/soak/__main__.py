"""Strategies applied, changed, suspended, resumed and deleted at random on the cluster of KUBECONFIG.

``python -m tests.cluster.soak --minutes 60 --strategies 30 --seed 1``: installs the chart in the namespace
christmas-soak, and removes it at the end, also after Ctrl-C. Processes are looked at (and killed) in /proc: run it on
the cluster's node, as root. Ends with 1 when anything was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any, Final

import msgspec

from tests.cluster import node
from tests.cluster.helm import ROOT, CommandFailed, run
from tests.cluster.soak.manifests import manifest, refused
from tests.cluster.soak.measure import Measured, Meter, listed
from tests.cluster.soak.patience import PatientNamespace
from tests.cluster.soak.plan import REFUSED, Disturbance, Process, Step, Wish, disturbances, steady, steps
from tests.cluster.soak.report import Report, Sample, lines, summed_up
from tests.cluster.soak.truth import KINDS, orphans, phases, untrue
from tests.cluster.trading import Trading
from tests.support.waiting import eventually_sync

NAMESPACE: Final = "christmas-soak"
_ROUND_S: Final = 60.0
_ACTING_S: Final = 40.0
"""Of each round; the rest is for coming to rest and looking."""
_GAP_S: Final = 3.0
_TRUE_WITHIN_S: Final = 150.0
"""Two minutes is how long a pod may keep its turn in the line of restarts."""
_LONG_S: Final = 20.0
_GONE_WITHIN_S: Final = 120.0
_LEDGERS_EVERY_S: Final = 600.0
_LINES_KEPT: Final = 5_000
"""Of each pod's log, when something is wrong."""
_KEPT: Final = (
    "persistentvolumeclaim/",
    "secret/christmas-stores",
    "configmap/kube-root-ca.crt",
    "serviceaccount/default",
)
"""What stays on purpose: volumes and what opens them; and what each namespace has of itself."""
_PASSING: Final = frozenset({"events", "events.events.k8s.io", "leases.coordination.k8s.io", "pods.metrics.k8s.io"})
_PROCESSES: Final = {"gateway": "christmas.brokers.gateway", "operator": "christmas_operator"}


class Soak:
    def __init__(self, *, minutes: float, strategies: int, seed: int, folder: Path, logs: Path) -> None:
        self.namespace = PatientNamespace(NAMESPACE)
        self._trading = Trading(self.namespace, folder)
        self._logs = logs
        self._span_s = minutes * 60
        self._steps = steps(seed, strategies)
        self._disturbances = disturbances(seed, minutes)
        self._wishes: dict[str, Wish] = {one.name: one for one in steady()}
        self._done: Counter[str] = Counter()
        self._looked_wrong: set[str] = set()
        self._wrong_with_logs = 0
        self._meter: Meter | None = None
        self._began = time.monotonic()
        commit = run("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD").strip()
        self.report = Report(seed=seed, commit=commit, strategies=strategies)

    # --- the course ----------------------------------------------------------------------------

    def run(self) -> None:
        _say("installing")
        self.namespace.create()
        self.namespace.install("-f", str(self._trading.values))
        eventually_sync(lambda: self.namespace.is_ready("broker", "paper"), within_s=90, every_s=0.5)
        self._trading.apply(*(manifest(one) for one in steady()))
        self._trading.ready(*self._wishes)
        self._trading.goes_on(steady()[0].name)
        self._trading.begin()
        self._meter = Meter(self.namespace, list(self._wishes))
        self._began = time.monotonic()
        counted_at = 0.0
        while (at := self._at()) < self._span_s:
            self._act_until(min(at + _ACTING_S, self._span_s))
            self._look()
            if self._at() - counted_at >= _LEDGERS_EVERY_S:
                self._count()
                counted_at = self._at()
            self.keep_logs()
            time.sleep(max(0.0, min(at + _ROUND_S, self._span_s) - self._at()))
        self.report.minutes = self._at() / 60
        self._end()

    def _at(self) -> float:
        return time.monotonic() - self._began

    def sum_up(self) -> Report:
        self.report.minutes = self.report.minutes or self._at() / 60
        self.report.done = dict(self._done)
        return summed_up(self.report)

    def _wrong(self, what: str) -> None:
        _say(f"WRONG: {what}")
        self.report.wrong.append(what)

    def keep_logs(self) -> None:
        """Of the gateway and the operator, when more is wrong than before: they go with their pods."""
        if len(self.report.wrong) == self._wrong_with_logs:
            return
        self._wrong_with_logs = len(self.report.wrong)
        self._logs.mkdir(parents=True, exist_ok=True)
        for component in ("gateway", "operator"):
            wanted = ("-l", f"app.kubernetes.io/component={component}", "--tail", str(_LINES_KEPT), "--prefix")
            for which in ("", "--previous"):
                try:
                    said = self.namespace.kubectl("logs", *wanted, *which.split())
                except (AssertionError, subprocess.TimeoutExpired):
                    # There may have been no process before this one.
                    continue
                (self._logs / f"{component}{which[1:]}-{self._at() / 60:.0f}.log").write_text(said, encoding="utf-8")

    # --- acting --------------------------------------------------------------------------------

    def _act_until(self, at_s: float) -> None:
        while self._at() < at_s:
            began = self._at()
            if self._disturbances and self._disturbances[0].at_s <= began:
                self._disturb(self._disturbances.pop(0))
            step = next(self._steps)
            try:
                self._do(step)
                self._done[step.what] += 1
            except (AssertionError, subprocess.TimeoutExpired) as error:
                self._wrong(f"{step.what} {step.wish.name}: {str(error)[:600]}")
            time.sleep(max(0.0, min(began + _GAP_S, at_s) - self._at()))

    def _do(self, step: Step) -> None:
        name = step.wish.name
        match step.what:
            case "refuse":
                self._has_gone(name)
                self._refused(step)
            case "delete":
                self.namespace.kubectl("delete", "strategy", name, "--wait=false")
                del self._wishes[name]
            case "apply-now":
                generation = self.namespace.get("strategy", name)["metadata"]["generation"]
                self.namespace.kubectl(
                    "annotate", "strategy", name, "--overwrite", f"christmas.dev/apply-now={generation}"
                )
            case "pod":
                self.namespace.kubectl("delete", "pod", f"strategy-{name}-0", "--wait=false", "--ignore-not-found")
            case _:
                self._ask_for(step.wish)

    def _ask_for(self, wish: Wish) -> None:
        before = self._wishes.get(wish.name)
        if before is None:
            self._has_gone(wish.name)
        elif before.fault == "broker" and not wish.fault:
            # A Broker changes only while a Strategy is suspended.
            self._trading.apply(manifest(before._replace(state="Suspended")))
        self._trading.apply(manifest(wish))
        self._wishes[wish.name] = wish

    def _has_gone(self, name: str) -> None:
        """One of that name may be on its way out still: what is applied to it would go with it."""

        def gone() -> bool:
            return name not in self.namespace.names("strategies")

        eventually_sync(gone, within_s=_GONE_WITHIN_S, every_s=1, what=f"{name} is gone")

    def _refused(self, step: Step) -> None:
        words = REFUSED[step.refusal].words
        try:
            self._trading.apply(refused(step.wish, step.refusal))
        except CommandFailed as error:
            if words not in str(error):
                raise AssertionError(f"it is refused with other words than {words!r}: {error}") from error
            return
        self.namespace.kubectl("delete", "strategy", step.wish.name)
        raise AssertionError(f"a wrong manifest was taken: {words}")

    def _disturb(self, disturbance: Disturbance) -> None:
        process: Process = disturbance.process
        if process == "gateway-pod":
            self.namespace.kubectl("delete", "pod", "gateway-paper-0", "--wait=false")
        else:
            component = f"app.kubernetes.io/component={process}"
            for pod in self.namespace.names("pods", component):
                pid = node.process_of(self._trading.uid(pod), _PROCESSES[process])
                if pid is not None:
                    node.kill(pid)
        _say(f"{process} at {time.time():.3f}")
        self._done[f"{process} killed" if process != "gateway-pod" else "gateway's pod deleted"] += 1

    # --- looking -------------------------------------------------------------------------------

    def _look(self) -> None:
        began = time.monotonic()
        last: list[str] = []
        while True:
            objects = listed(self.namespace, KINDS)
            found = untrue(self._wishes, objects)
            if not found or time.monotonic() - began > _TRUE_WITHIN_S:
                break
            last = found
            time.sleep(1.5)
        settled_s = time.monotonic() - began
        for what in found:
            # Told once for as long as it lasts.
            if what not in self._looked_wrong:
                self._wrong(f"{what} (at minute {self._at() / 60:.0f}, after {_TRUE_WITHIN_S:.0f} s)")
        self._looked_wrong = set(found)
        measured = self._measured(objects)
        sample = Sample(
            at_s=round(self._at(), 1),
            settled_s=round(settled_s, 1),
            untrue=found,
            last=last,
            phases=phases(objects),
            objects=len(objects),
            values={name: round(value, 2) for name, value in measured.values.items()},
            processes=measured.processes,
            streams=measured.streams,
        )
        self.report.samples.append(sample)
        _say(self._progress(sample))
        if settled_s > _LONG_S and last:
            _say(f"the last to come true: {'; '.join(last)[:500]}")

    def _measured(self, objects: list[dict[str, Any]]) -> Measured:
        assert self._meter is not None
        try:
            return self._meter.measure(objects)
        except (AssertionError, OSError, KeyError, ValueError, subprocess.TimeoutExpired) as error:
            # A pod that has just gone; the next look has it again.
            _say(f"could not measure: {str(error)[:300]}")
            return Measured({}, {}, {})

    def _progress(self, sample: Sample) -> str:
        counted = " ".join(f"{phase or 'new'} {count}" for phase, count in sorted(sample.phases.items()))
        values = sample.values
        memory = " ".join(
            f"{what} {values[name]:.0f}"
            for what, name in (
                ("operator", "operator rss MiB"),
                ("gateway", "gateway rss MiB"),
                ("recorder", "recorder rss MiB"),
                ("redis", "redis memory MiB"),
                ("journal", "gateway journal.sqlite MiB"),
            )
            if name in values
        )
        return (
            f"min {sample.at_s / 60:5.1f}  done {self._done.total():4d}  true after {sample.settled_s:5.1f} s  "
            f"wrong {len(self.report.wrong)}  [{counted}]  MiB: {memory}  "
            f"connections {values.get('postgres connections', 0):.0f}"
        )

    def _count(self) -> None:
        told: dict[str, Any] = {"minute": round(self._at() / 60, 1)}
        began = time.monotonic()
        try:
            self._trading.nothing_lost(told.__setitem__, 0)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            self._wrong(f"the ledgers at minute {told['minute']}: {str(error)[:1200]}")
            self._audit(told)
        told["counted_in_s"] = round(time.monotonic() - began, 1)
        self.report.ledgers.append(told)
        _say(f"ledgers: {told}")

    def _audit(self, told: dict[str, Any]) -> None:
        """What the orders say, also when ticks are at odds."""
        try:
            told["differences"] = len(differences := self._trading.ledgers.audit())
        except (AssertionError, subprocess.TimeoutExpired) as error:
            self._wrong(f"the audit at minute {told['minute']}: {str(error)[:1200]}")
            return
        if differences:
            self._wrong(f"the audit at minute {told['minute']}: {str(differences)[:1200]}")

    # --- the end -------------------------------------------------------------------------------

    def _end(self) -> None:
        self._wishes = {}
        self.namespace.kubectl("delete", "strategies", "--all", "--wait=false")
        self._eventually(lambda: untrue({}, listed(self.namespace, KINDS)), "after all was deleted")
        self._count()
        self._eventually(self._trading.ledgers.settled, "at rest the three places differ")
        self.keep_logs()
        self.namespace.uninstall()
        self._eventually(lambda: orphans(listed(self.namespace, KINDS)), "after helm uninstall")
        self._eventually(lambda: [one for one in self._left() if not one.startswith(_KEPT)], "it stays")
        self.report.left = self._left()

    def _eventually(self, look: Any, what: str) -> None:
        """``look``: what is wrong."""

        def nothing() -> bool:
            found = look()
            assert not found, found
            return True

        try:
            eventually_sync(nothing, within_s=_GONE_WITHIN_S, every_s=2, what=what)
        except AssertionError as error:
            self._wrong(f"{what}: {str(error)[:1200]}")

    def _left(self) -> list[str]:
        """Everything in the namespace, and of the release outside of it."""
        kinds = run("kubectl", "api-resources", "--namespaced", "--verbs=list", "-o", "name").split()
        chosen = ",".join(kind for kind in kinds if kind not in _PASSING)
        found = self.namespace.kubectl("get", chosen, "-o", "name", "--ignore-not-found").split()
        label = f"app.kubernetes.io/managed-by=Helm,app.kubernetes.io/instance={NAMESPACE}"
        outside = run("kubectl", "get", "clusterroles,clusterrolebindings", "-l", label, "-o", "name").split()
        return sorted({*found, *outside})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long, the end not counted")
    parser.add_argument("--strategies", type=int, default=30, help="alive at one time, at most")
    parser.add_argument("--seed", type=int, default=1, help="of the plan")
    parser.add_argument(
        "--logs", type=Path, default=Path("soak-logs"), help="where the pods' logs go when something is wrong"
    )
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table", help="of the report")
    chosen = parser.parse_args()
    if not os.environ.get("KUBECONFIG"):
        _say("set KUBECONFIG to a cluster whose contents may be changed (docs/kubernetes.md: kind)")
        return 2
    if not node.is_here():
        _say("there is no kubelet on this machine: run this on the cluster's node, as root")
        return 2
    signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(prefix="christmas-soak-") as folder:
        soak = Soak(
            minutes=chosen.minutes,
            strategies=chosen.strategies,
            seed=chosen.seed,
            folder=Path(folder),
            logs=chosen.logs,
        )
        try:
            soak.run()
        except KeyboardInterrupt:
            soak.report.wrong.append("it was ended before its time")
        except Exception as error:
            soak.report.wrong.append(f"it came to an end at minute {soak.report.minutes:.0f}: {error!r:.2000}")
        finally:
            report = soak.sum_up()
            if chosen.output == "json":
                sys.stdout.write(json.dumps(msgspec.to_builtins(report)) + "\n")
            else:
                sys.stdout.write("\n".join(lines(report)) + "\n")
            sys.stdout.flush()
            soak.keep_logs()
            _say("removing the namespace")
            soak.namespace.remove()
    return int(bool(report.wrong))


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    """Beside the report, which may be read by a program."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
