"""The chart on the cluster that KUBECONFIG names: installing it, asking what came of it, and leaving nothing behind."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import eventually_sync

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "christmas"
RELEASE = "christmas"
Object = dict[str, Any]


class CommandFailed(AssertionError):
    """What it said."""


class ObjectGone(CommandFailed):
    """What it was about is not there."""


def run(*command: str, input_text: str | None = None, within_s: float = 60.0) -> str:
    """What the command prints; raises CommandFailed with all it said."""
    try:
        done = subprocess.run(command, input=input_text, capture_output=True, text=True, timeout=within_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"{' '.join(command)}\ndid not end within {within_s} s") from error
    if done.returncode != 0:
        failure = ObjectGone if "(NotFound)" in done.stderr else CommandFailed
        raise failure(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def require_cluster() -> None:
    """Skip where there is no cluster to install into."""
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("no cluster; set KUBECONFIG to one whose contents may be changed (docs/kubernetes.md: kind)")
    for tool in ("kubectl", "helm"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not on PATH; install it")
    run("kubectl", "get", "--raw", "/readyz")


class Namespace:
    """One namespace, and the release in it."""

    def __init__(self, name: str) -> None:
        self.name = name

    # --- kubectl -----------------------------------------------------------------------------

    def kubectl(self, *arguments: str, input_text: str | None = None, within_s: float = 60.0) -> str:
        return run("kubectl", "-n", self.name, *arguments, input_text=input_text, within_s=within_s)

    def get(self, kind: str, name: str) -> Object:
        found: Object = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def names(self, kind: str, selector: str = "") -> set[str]:
        listed = self.kubectl("get", kind, "-o", "name", *(("-l", selector) if selector else ()))
        return {line.partition("/")[2] for line in listed.splitlines()}

    def is_ready(self, kind: str, name: str) -> bool:
        conditions = self.get(kind, name).get("status", {}).get("conditions", [])
        ready = next((one for one in conditions if one["type"] == "Ready"), None)
        assert ready is not None, f"{kind} {name} has no condition Ready"
        assert ready["status"] == "True", f"{kind} {name}: {ready.get('reason')}: {ready.get('message')}"
        return True

    def python(self, pod: str, code: str) -> str:
        """Run Python in a pod of ours."""
        return self.kubectl("exec", "-i", pod, "--", "python", "-", input_text=code)

    def stores(self) -> dict[str, str]:
        """The Secret of the stores, decoded."""
        data = self.get("secret", "christmas-stores")["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def query(self, sql: str) -> str:
        """One value out of the database, asked as its owner."""
        environment = f"PGPASSWORD={self.stores()['database-password']}"
        psql = ("psql", "-h", "127.0.0.1", "-U", "christmas", "-d", "christmas", "-Atc", sql)
        return self.kubectl("exec", "christmas-timescaledb-0", "--", "env", environment, *psql).strip()

    # --- helm --------------------------------------------------------------------------------

    def install(self, *arguments: str) -> str:
        return self._helm("install", RELEASE, str(CHART), "--wait", "--timeout", "300s", *arguments)

    def upgrade(self, *arguments: str) -> str:
        return self._helm("upgrade", RELEASE, str(CHART), "--wait", "--timeout", "300s", *arguments)

    def uninstall(self) -> str:
        return self._helm("uninstall", RELEASE, "--wait", "--timeout", "120s")

    def test(self) -> str:
        return self._helm("test", RELEASE, "--logs", "--timeout", "300s")

    def _helm(self, *arguments: str) -> str:
        """Its operator looks at this namespace only, if nothing else is said: others may be at work on the cluster."""
        values: tuple[str, ...] = ()
        if arguments[0] in {"install", "upgrade"}:
            values = ("--set", "operator.clusterWide=false", *os.environ.get("CHRISTMAS_TEST_HELM_ARGS", "").split())
        return run("helm", "-n", self.name, arguments[0], *values, *arguments[1:], within_s=400)

    # --- the namespace -----------------------------------------------------------------------

    def create(self) -> None:
        """Anew, with Pod Security `restricted` enforced."""
        self.remove()
        run("kubectl", "create", "namespace", self.name)
        run("kubectl", "label", "namespace", self.name, "pod-security.kubernetes.io/enforce=restricted")

    def remove(self) -> None:
        """With all that is in it, and what the release has cluster-wide; volumes can be used again."""
        if not run("kubectl", "get", "namespace", self.name, "--ignore-not-found", "-o", "name"):
            return
        for kind in ("strategies.christmas.dev", "brokers.christmas.dev"):
            if run("kubectl", "get", "crd", kind, "--ignore-not-found", "-o", "name"):
                self.kubectl("delete", kind, "--all", "--wait=false")
                for name in self.names(kind):
                    # Nobody may be there any more who would take the finalizer off; somebody who is may be faster.
                    with contextlib.suppress(ObjectGone):
                        self.kubectl("patch", kind, name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        if RELEASE in run("helm", "-n", self.name, "list", "-q", "--all"):
            run("helm", "-n", self.name, "uninstall", RELEASE, "--no-hooks", "--timeout", "60s", within_s=90)
        run("kubectl", "delete", "namespace", self.name, "--timeout=120s", within_s=150)
        eventually_sync(self._volumes_are_free, within_s=30, every_s=0.5)

    def _volumes_are_free(self) -> bool:
        """Volumes made by hand (on a test cluster without a provisioner) are emptied, and offered again."""
        volumes = json.loads(run("kubectl", "get", "persistentvolumes", "-o", "json"))["items"]
        mine = [one for one in volumes if one["spec"].get("claimRef", {}).get("namespace") == self.name]
        for volume in mine:
            folder = Path(volume["spec"].get("hostPath", {}).get("path", ""))
            if volume.get("status", {}).get("phase") != "Released" or not folder.is_absolute() or not folder.is_dir():
                continue
            for entry in folder.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            patch = '{"spec":{"claimRef":null}}'
            run("kubectl", "patch", "persistentvolume", volume["metadata"]["name"], "--type=merge", "-p", patch)
        return not mine
