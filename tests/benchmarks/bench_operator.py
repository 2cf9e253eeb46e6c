"""How the operator bears many Strategies, on a real API server: no pod of them is ever placed on a node.

    eval "$(.../cluster/up)"; .venv/bin/python tests/benchmarks/bench_operator.py 100 1000

Prints one line of JSON for each number of Strategies, and a table. It needs the CRDs, a namespace of its own (made and
removed again), and the operator's packages in this Python.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import psutil
import urllib3
from kubernetes import client, config, watch

GROUP: Final = ("christmas.dev", "v1alpha1")
NAMESPACE: Final = "christmas-bench"
AT_ONCE: Final = 16
IDLE_S: Final = 60.0
QUIET_S: Final = 3.0
_DEADLINE_S: Final = 2_700.0


def strategy(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "/".join(GROUP),
        "kind": "Strategy",
        "metadata": {"name": f"bench-{number}", "namespace": NAMESPACE},
        "spec": {
            "brokerRef": {"name": "paper"},
            "symbols": ["BTC/USDT"],
            "rules": {"entry": f"rsi(14) < {20 + number % 20}", "exit": "rsi(14) > 70"},
            "capital": {"amount": "1000", "perTrade": "100"},
            "nodeSelector": {"christmas.dev/bench": "nowhere"},
        },
    }


def broker() -> dict[str, Any]:
    return {
        "apiVersion": "/".join(GROUP),
        "kind": "Broker",
        "metadata": {"name": "paper", "namespace": NAMESPACE},
        "spec": {
            "type": "paper",
            "instruments": [{"symbol": "BTC/USDT", "priceIncrement": "0.1", "lotSize": "0.0001"}],
        },
    }


class Operator:
    """The operator as a process of this machine."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._command = command
        self._status = folder / "status.json"
        self._settings = folder / "settings.json"
        self._log = folder / "operator.log"
        self._settings.write_text(
            json.dumps(
                {
                    "namespace": NAMESPACE,
                    "runtime_image": "christmas-runtime:bench",
                    "stores_secret": {"namespace": NAMESPACE, "name": "christmas-stores"},
                    "watch_namespaces": [NAMESPACE],
                    "status_file": str(self._status),
                }
            )
        )
        self.began = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def start(self) -> None:
        self._status.unlink(missing_ok=True)
        self.began = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*self._command, str(self._settings)], stdout=log, stderr=log)
        until(self._status.exists, "the operator listens")
        self._port = int(json.loads(self._status.read_text())["http_port"])
        until(
            lambda: self.metric("christmas_operator_leading") == 1.0 and self._answers("/readyz"), "the operator leads"
        )

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    def metric(self, name: str, **labels: str) -> float:
        """The sum over all series of a name that have these labels."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=10) as answer:
                text = answer.read().decode()
        except OSError:
            return -1.0
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        lines = (line for line in text.splitlines() if line.startswith((name + " ", name + "{")))
        return sum(float(line.rpartition(" ")[2]) for line in lines if all(label in line for label in wanted))

    def memory_mib(self) -> float:
        assert self._process is not None
        return float(psutil.Process(self._process.pid).memory_info().rss) / 2**20

    def cpu_s(self) -> float:
        assert self._process is not None
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def settle(self, at_least: int) -> float:
        """Waits until it has looked at so many Strategies and then nothing is written for a while; when that began."""
        until(
            lambda: self.metric("christmas_operator_reconcile_seconds_count", kind="Strategy") >= at_least, "it looks"
        )
        quiet_since, before = time.monotonic(), -1.0
        deadline = time.monotonic() + _DEADLINE_S
        while time.monotonic() - quiet_since < QUIET_S:
            if time.monotonic() > deadline:
                sys.exit("it does not come to rest")
            now = self.metric("christmas_operator_api_writes_total") + self.metric("christmas_operator_queue_objects")
            if now != before:
                quiet_since, before = time.monotonic(), now
            time.sleep(0.2)
        return quiet_since

    def _answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class Workloads(threading.Thread):
    """When each StatefulSet was first seen."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: dict[str, float] = {}
        self._over = threading.Event()
        self._watch: Any = watch.Watch()  # type: ignore[no-untyped-call]

    def run(self) -> None:
        listing = client.AppsV1Api().list_namespaced_stateful_set
        while not self._over.is_set():
            with contextlib.suppress(urllib3.exceptions.HTTPError, client.ApiException):
                for event in self._watch.stream(listing, NAMESPACE, timeout_seconds=60):
                    self.seen.setdefault(event["object"].metadata.name, time.monotonic())

    def stop(self) -> None:
        self._over.set()
        self._watch.stop()


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not holds():
        if time.monotonic() > deadline:
            sys.exit(f"waited in vain until {what}")
        time.sleep(0.1)


def part(values: list[float], fraction: float) -> float:
    return sorted(values)[min(len(values) - 1, int(fraction * len(values)))]


def prepare() -> None:
    core, custom = client.CoreV1Api(), client.CustomObjectsApi()
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
    core.create_namespaced_secret(
        NAMESPACE,
        client.V1Secret(
            metadata=client.V1ObjectMeta(name="christmas-stores"),
            string_data={"redis-url": "redis://redis:6379/0", "database-url-reader": "postgresql://reader@db/x"},
        ),
    )
    custom.create_namespaced_custom_object(*GROUP, NAMESPACE, "brokers", broker())


def clean() -> None:
    """Also when an operator that would release the Strategies runs no more."""
    custom = client.CustomObjectsApi()
    listed: Any = custom.list_namespaced_custom_object(*GROUP, NAMESPACE, "strategies")
    for found in listed["items"]:
        custom.patch_namespaced_custom_object(
            *GROUP, NAMESPACE, "strategies", found["metadata"]["name"], {"metadata": {"finalizers": None}}
        )
    client.CoreV1Api().delete_namespace(NAMESPACE)
    until(lambda: NAMESPACE not in namespaces(), "it is gone")


def namespaces() -> set[str]:
    found = client.CoreV1Api().list_namespace().items
    return {item.metadata.name for item in found if item.metadata is not None and item.metadata.name is not None}


def measure(count: int, operator: Operator) -> dict[str, float]:
    custom = client.CustomObjectsApi()
    workloads = Workloads()
    operator.start()
    memory_empty = operator.memory_mib()
    operator.settle(0)
    workloads.start()
    writes_before = operator.metric("christmas_operator_api_writes_total")
    created: dict[str, float] = {}

    def create(number: int) -> None:
        created[f"strategy-bench-{number}"] = time.monotonic()
        custom.create_namespaced_custom_object(*GROUP, NAMESPACE, "strategies", strategy(number))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(create, range(count)))
    applied_s = time.monotonic() - min(created.values())
    until(lambda: len(created.keys() & workloads.seen.keys()) == count, "every Strategy has its workload")
    began = min(created.values())
    converged_s = max(workloads.seen[name] for name in created) - began
    settled_s = operator.settle(count) - began
    waits = [workloads.seen[name] - at for name, at in created.items()]
    writes = operator.metric("christmas_operator_api_writes_total") - writes_before
    memory, cpu = operator.memory_mib(), operator.cpu_s()
    requests = operator.metric("christmas_operator_api_requests_total")
    time.sleep(IDLE_S)
    idle = (operator.metric("christmas_operator_api_requests_total") - requests) / IDLE_S
    operator.stop()
    operator.start()
    restarted_s = operator.settle(count) - operator.began
    memory_restarted = operator.memory_mib()
    writes_restarted = operator.metric("christmas_operator_api_writes_total")
    workloads.stop()
    operator.stop()
    return {
        "strategies": count,
        "applied_s": round(applied_s, 2),
        "converged_s": round(converged_s, 2),
        "strategies_per_s": round(count / converged_s, 1),
        "settled_s": round(settled_s, 2),
        "apply_to_workload_p50_s": round(part(waits, 0.5), 3),
        "apply_to_workload_p99_s": round(part(waits, 0.99), 3),
        "writes_per_strategy": round(writes / count, 2),
        "cpu_s": round(cpu, 1),
        "idle_requests_per_s": round(idle, 3),
        "memory_empty_mib": round(memory_empty, 1),
        "memory_mib": round(memory, 1),
        "restart_to_converged_s": round(restarted_s, 2),
        "memory_restarted_mib": round(memory_restarted, 1),
        "writes_after_restart": writes_restarted,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--operator", default=f"{sys.executable} -m christmas_operator", help="how it is started")
    chosen = parser.parse_args()
    config.load_kube_config()  # type: ignore[no-untyped-call]
    results = []
    for count in chosen.counts:
        with tempfile.TemporaryDirectory() as folder:
            prepare()
            operator = Operator(shlex.split(chosen.operator), Path(folder))
            try:
                results.append(measure(count, operator))
                # Cleaning up takes minutes, and may be cut off.
                print(json.dumps(results[-1]), flush=True)
            finally:
                operator.stop()
                clean()
    for name in results[0]:
        print(f"| {name} | " + " | ".join(str(result[name]) for result in results) + " |")


if __name__ == "__main__":
    main()
