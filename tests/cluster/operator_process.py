"""The operator as a process of this machine, with exactly the rights that the chart gives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.helm import CHART, Namespace, run
from tests.support.waiting import eventually_sync

LEASE_S = 6


def grant(namespace: str) -> None:
    """The chart's ServiceAccount, Roles and bindings, for this namespace alone, and its Lease."""
    command = ["helm", "template", "christmas", str(CHART), "-n", namespace, "--kube-version", "1.34.0"]
    chosen = ["--set", "operator.clusterWide=false", "--set", f"operator.namespaces={{{namespace}}}"]
    templates = ("-s", "templates/operator-rbac.yaml", "-s", "templates/operator-lease.yaml")
    rendered = run(*command, *templates, *chosen)
    run("kubectl", "apply", "-n", namespace, "-f", "-", input_text=rendered)


def kubeconfig(namespace: str, file: Path, server: str | None = None) -> Path:
    """Of the chart's ServiceAccount, with a token of an hour."""
    admin = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    cluster = dict(admin["clusters"][0]["cluster"])
    if server is not None:
        cluster = {"server": server}
    token = run("kubectl", "create", "token", "christmas-operator", "-n", namespace, "--duration=1h").strip()
    context = {"cluster": "c", "user": "operator", "namespace": namespace}
    file.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "x",
                "contexts": [{"name": "x", "context": context}],
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "operator", "user": {"token": token}}],
            }
        )
    )
    return file


class OperatorProcess:
    def __init__(self, namespace: Namespace, folder: Path, name: str = "operator", **settings: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{name}.log"
        self._status = folder / f"{name}.status.json"
        self._settings = folder / f"{name}.settings.json"
        values = {
            "namespace": namespace.name,
            "runtime_image": "christmas-runtime:none",
            "stores_secret": {"namespace": namespace.name, "name": "christmas-stores"},
            "watch_namespaces": [namespace.name],
            "status_file": str(self._status),
            "kubeconfig": str(kubeconfig(namespace.name, folder / "kubeconfig")),
            "lease_seconds": LEASE_S,
            **settings,
        }
        self._settings.write_text(json.dumps(values))
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def start(self) -> None:
        self._status.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "christmas_operator", str(self._settings)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        eventually_sync(self._status.exists, within_s=20, what="the operator listens")
        self._port = int(json.loads(self._status.read_text())["http_port"])

    def wait_leading(self, within_s: float = 40) -> None:
        eventually_sync(
            lambda: self.metric("christmas_operator_leading") == 1.0 and self.get("/readyz") == "ok\n",
            within_s=within_s,
            every_s=0.1,
            what=f"the operator leads; see {self.log}",
        )

    def revive(self) -> int | None:
        """What a kubelet does with a container that has ended; its exit code, None while it runs."""
        code = self._process.poll() if self._process is not None else None
        if code is not None:
            self.start()
        return code

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self._process.wait(30)

    def get(self, path: str) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def metric(self, name: str, **labels: str) -> float:
        """The sum over all series of a name that have these labels."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        lines = [line for line in self.get("/metrics").splitlines() if line.startswith((name + " ", name + "{"))]
        return sum(float(line.rpartition(" ")[2]) for line in lines if all(label in line for label in wanted))

    def rests(self, for_s: float = 2.0, within_s: float = 60.0) -> None:
        """Nothing waits and nothing was written for a while."""
        deadline, since, before = time.monotonic() + within_s, time.monotonic(), -1.0
        while time.monotonic() - since < for_s:
            writes = self.metric("christmas_operator_api_writes_total")
            leases = self.metric("christmas_operator_api_writes_total", kind="Lease")
            now = writes - leases + self.metric("christmas_operator_queue_objects")
            if now != before:
                since, before = time.monotonic(), now
            assert time.monotonic() < deadline, f"the operator does not come to rest; see {self.log}"
            time.sleep(0.1)
