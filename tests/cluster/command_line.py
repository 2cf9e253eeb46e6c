"""The `christmas` command, in a namespace of the cluster that KUBECONFIG names."""

from __future__ import annotations

import os
import subprocess
import sys

from kubernetes import config


def arguments(namespace: str, *words: str) -> list[str]:
    return [sys.executable, "-m", "christmas.cli", "--context", current_context(), "-n", namespace, *words]


def current_context() -> str:
    return str(config.list_kube_config_contexts()[1]["name"])  # type: ignore[no-untyped-call]


def christmas(namespace: str, *words: str, code: int = 0, **environment: str) -> str:
    """What it prints; when it is to fail, with which code, what it says of that."""
    done = subprocess.run(
        arguments(namespace, *words),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr
