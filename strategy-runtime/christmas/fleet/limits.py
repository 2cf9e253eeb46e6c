"""Memory and CPU limits of one process, as far as this machine lets us set them."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

CGROUP_ROOT: Final = Path("/sys/fs/cgroup")
_PERIOD_US: Final = 100_000
_REMOVE_WITHIN_S: Final = 1.0


class CpuController(NamedTuple):
    """A folder in which cgroups with a CPU quota can be made."""

    folder: Path
    version: int


def find_cpu_controller(root: Path = CGROUP_ROOT) -> tuple[CpuController | None, str]:
    """Where CPU quotas can be set, or None and why they cannot."""
    if sys.platform != "linux":
        return None, "CPU quotas need Linux cgroups"
    if (root / "cgroup.controllers").exists():
        return _version_2(root)
    folder = root / "cpu"
    if (folder / "cpu.cfs_quota_us").exists():
        if os.access(folder, os.W_OK):
            return CpuController(folder, 1), ""
        return None, f"{folder} is not writable by this user"
    return None, f"no cpu controller under {root}"


def _version_2(root: Path) -> tuple[CpuController | None, str]:
    try:
        if "cpu" not in (root / "cgroup.controllers").read_text().split():
            return None, "the cpu controller is not delegated to this cgroup"
        control = root / "cgroup.subtree_control"
        if "cpu" not in control.read_text().split():
            control.write_text("+cpu")
    except OSError as error:
        return None, f"{root}: {error.strerror}"
    if not os.access(root, os.W_OK):
        return None, f"{root} is not writable by this user"
    return CpuController(root, 2), ""


class CpuLimits:
    """One cgroup per limited process, under a name that belongs to one supervisor."""

    def __init__(self, controller: CpuController | None, owner: str) -> None:
        self._controller = controller
        self._prefix = f"christmas-{owner}-"

    def limit(self, name: str, pid: int, cores: Decimal) -> bool:
        """Hold ``pid`` to ``cores``; False when this machine does not let us."""
        if self._controller is None:
            return False
        folder = self._folder(name)
        quota = max(1000, int(cores * _PERIOD_US))
        try:
            folder.mkdir(exist_ok=True)
            if self._controller.version == 1:
                (folder / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
                (folder / "cpu.cfs_quota_us").write_text(str(quota))
            else:
                (folder / "cpu.max").write_text(f"{quota} {_PERIOD_US}")
            (folder / "cgroup.procs").write_text(str(pid))
        except OSError:
            return False
        return True

    def remove(self, name: str) -> None:
        if self._controller is not None:
            _remove(self._folder(name))

    def remove_leftovers(self) -> None:
        """Those of an earlier supervisor of the same state that was killed."""
        if self._controller is not None:
            for folder in self._controller.folder.glob(f"{self._prefix}*"):
                _remove(folder)

    def _folder(self, name: str) -> Path:
        assert self._controller is not None  # noqa: S101 (callers looked)
        return self._controller.folder / f"{self._prefix}{name}"


def _remove(folder: Path) -> None:
    # A cgroup can be removed once its last process has been reaped, which takes the kernel a moment.
    deadline = time.monotonic() + _REMOVE_WITHIN_S
    while folder.exists() and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            folder.rmdir()
            return
        time.sleep(0.01)
