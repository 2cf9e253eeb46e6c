"""The processes of the cluster's node, where that is this machine: to kill one, to stop one, to make it a zombie."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_PROC = Path("/proc")


def require_processes_here() -> None:
    """Skip where the node is another machine, whose processes only its owner may touch."""
    for command in ("kube-apiserver", "kubelet"):
        if not _named(command):
            pytest.skip(f"there is no {command} on this machine; run this on the node, as root")


def is_here() -> bool:
    """Whether this machine is the cluster's node."""
    return bool(_named("kubelet"))


def process_of(pod_uid: str, module: str) -> int | None:
    """The pid of ``python -m MODULE`` in a pod; None: there is none now."""
    marks = {pod_uid, pod_uid.replace("-", "_")}
    for pid in _pids():
        if any(mark in _read(pid, "cgroup") for mark in marks) and module in _read(pid, "cmdline").split("\0"):
            return pid
    return None


def is_alive(pid: int, module: str) -> bool:
    """Whether a pid is still that process (and no zombie in the kernel's sense)."""
    return module in _read(pid, "cmdline").split("\0")


def shim_of(pid: int) -> int:
    """Its container's shim: while that is stopped, nobody can kill the container."""
    parent = int(_read(pid, "stat").rpartition(")")[2].split()[1])
    assert "containerd-shim" in _read(parent, "cmdline"), f"the parent of {pid} is no shim"
    return parent


@contextlib.contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """SIGSTOP, and SIGCONT at the end of the block."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def out_of_order(command: str, for_s: float) -> None:
    """The node's ``command`` answers nobody for so long: it is stopped, so that its connections hang."""
    (pid,) = _named(command)
    with stopped(pid):
        time.sleep(for_s)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _named(command: str) -> list[int]:
    """Processes that are ``command``, or a bundle of commands that was told to be it."""
    found = []
    for pid in _pids():
        words = [Path(word).name for word in _read(pid, "cmdline").split("\0")[:2]]
        if command in words:
            found.append(pid)
    return found


def _pids() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]


def _read(pid: int, file: str) -> str:
    try:
        return (_PROC / str(pid) / file).read_text(errors="replace")
    except OSError:
        return ""
