"""A real Prometheus beside the cluster, which scrapes as docs/prometheus.yaml says."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.helm import CHART, ROOT, Namespace, Object
from tests.support.waiting import eventually_sync


def discovered(pod: Object) -> Object:
    """What `kubernetes_sd_configs` with role pod tells of a pod, as far as docs/prometheus.yaml uses it."""
    labels = {
        "__meta_kubernetes_namespace": pod["metadata"]["namespace"],
        "__meta_kubernetes_pod_name": pod["metadata"]["name"],
        "__meta_kubernetes_pod_ip": pod["status"].get("podIP", ""),
        "__meta_kubernetes_pod_phase": pod["status"]["phase"],
    }
    for what in ("label", "annotation"):
        for name, value in pod["metadata"].get(f"{what}s", {}).items():
            labels[f"__meta_kubernetes_pod_{what}_{re.sub(r'[^A-Za-z0-9_]', '_', name)}"] = value
    return {"targets": [labels["__meta_kubernetes_pod_ip"]], "labels": labels}


class Prometheus:
    """Started by `start`; whoever made it closes it."""

    def __init__(self, folder: Path, namespace: Namespace) -> None:
        binary = shutil.which("prometheus")
        if binary is None:
            pytest.skip("prometheus is not on PATH; install it (Debian: apt-get install prometheus)")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._address = f"127.0.0.1:{probe.getsockname()[1]}"
        config = yaml.safe_load((ROOT / "docs" / "prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": "2s", "evaluation_interval": "2s"}
        config["rule_files"] = [str(CHART / "files" / "rules.yaml")]
        # Debian's Prometheus is built without discovery of Kubernetes; what that would tell of pods is in this file.
        del config["scrape_configs"][0]["kubernetes_sd_configs"]
        config["scrape_configs"][0]["file_sd_configs"] = [{"files": [str(folder / "pods.json")]}]
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        self._namespace = namespace
        self._folder = folder
        self._command = [
            binary,
            f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={self._address}",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        pods = json.loads(self._namespace.kubectl("get", "pods", "-o", "json"))["items"]
        (self._folder / "pods.json").write_text(json.dumps([discovered(pod) for pod in pods]))
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        eventually_sync(self._is_up, within_s=30, every_s=0.2)

    def close(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(20)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Samples of an instant query; AssertionError when Prometheus does not understand it."""
        result: list[dict[str, Any]] = self._ask("query", query=expression)["result"]
        return result

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def targets(self) -> list[dict[str, Any]]:
        active: list[dict[str, Any]] = self._ask("targets", state="active")["activeTargets"]
        return active

    def _ask(self, what: str, **parameters: str) -> dict[str, Any]:
        url = f"http://{self._address}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                data: dict[str, Any] = json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error
        return data

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            with urllib.request.urlopen(f"http://{self._address}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
