"""A namespace of the cluster that KUBECONFIG names, under Pod Security's ``restricted``, with our CRDs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
CRDS = Path(__file__).parents[2] / "crds"


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """Run kubectl; a manifest goes in as ``given``. It does not raise: look at ``returncode``."""
    if "KUBECONFIG" not in os.environ or shutil.which("kubectl") is None:
        pytest.skip("no cluster here: set KUBECONFIG to one's file and have kubectl in PATH (docs/kubernetes.md)")

    def run(*arguments: str, given: Any = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["kubectl", "--request-timeout=20s", *arguments],
            input=None if given is None else json.dumps(given),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    answer = run("get", "--raw", "/readyz")
    if answer.returncode:
        pytest.skip(
            f"the cluster of KUBECONFIG does not answer: {answer.stderr.strip()}; start it, or unset KUBECONFIG"
        )
    return run


@pytest.fixture(scope="session")
def crds(kubectl: Kubectl) -> None:
    """This version's CRDs are served."""
    applied = kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    assert applied.returncode == 0, applied.stderr
    waited = kubectl("wait", "--for=condition=Established", "--timeout=15s", "-f", str(CRDS))
    assert waited.returncode == 0, waited.stderr


@pytest.fixture(scope="session")
def namespace(kubectl: Kubectl) -> Iterator[str]:
    name = f"christmas-test-{uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    made = kubectl(
        "create",
        "-f",
        "-",
        given={"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}},
    )
    assert made.returncode == 0, made.stderr
    yield name
    kubectl("delete", "namespace", name, "--wait=false")
