"""The chart as Helm renders it, without a cluster."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "christmas"
KUBERNETES = "1.34.0"
Object = dict[str, Any]


class RenderError(Exception):
    """Helm's own words."""


def render(
    values: Object | None = None, *, namespace: str = "trading", api_versions: tuple[str, ...] = ()
) -> list[Object]:
    """All objects, hooks and tests included; raises RenderError."""
    helm = shutil.which("helm")
    if helm is None:
        pytest.skip("helm is not on PATH; install Helm 3")
    command = [helm, "template", "christmas", str(CHART), "-n", namespace, "--kube-version", KUBERNETES, "-f", "-"]
    for version in api_versions:
        command += ["--api-versions", version]
    done = subprocess.run(
        command, input=json.dumps(values or {}), capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode != 0:
        raise RenderError(done.stderr)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def pick(objects: list[Object], kind: str, name: str) -> Object:
    found = [one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} objects are {kind}/{name}"
    return found[0]


def kinds(objects: list[Object], kind: str) -> list[str]:
    return sorted(one["metadata"]["name"] for one in objects if one["kind"] == kind)


def pod_specs(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Of everything that makes pods: its name, and the pod's spec."""
    for one in objects:
        name = f"{one['kind']}/{one['metadata']['name']}"
        if one["kind"] == "Pod":
            yield name, one["spec"]
        elif one["kind"] in {"Deployment", "StatefulSet", "Job"}:
            yield name, one["spec"]["template"]["spec"]
