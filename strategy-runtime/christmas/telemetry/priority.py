"""Lets whoever holds orders up run first."""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from pathlib import Path
from typing import Final

_AUTOGROUP: Final = Path("/proc/self/autogroup")
_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}
"""The number of the system call on Linux; Python has no function for it."""
_SHORTEST_SLICE_NS: Final = 100_000
_ATTRIBUTES: Final = "IIQiIQQQII"
"""``struct sched_attr``: size, policy, flags, nice, priority, runtime (the slice), deadline, period, bounds."""


def yield_to_others(niceness: int, autogroup: Path = _AUTOGROUP) -> None:
    """Lower this process's share of the CPU, 0 (not at all) to 19; where the system does not let us, do nothing.

    Linux schedules sessions against each other first (autogroup), and each process of a fleet is a session of its
    own: there the nice value alone would compare with nobody.
    """
    with contextlib.suppress(OSError):
        os.nice(niceness)
    with contextlib.suppress(OSError):
        autogroup.write_text(str(niceness))


def answer_at_once() -> None:
    """Ask to run soon after waking up, in short turns: for a process that others wait for and that does little at once.

    Linux (6.12 and newer) lets whoever asks for a shorter slice run before those with longer ones; the share of the CPU
    stays the same, and no privilege is needed. Threads that are started later inherit it. Elsewhere nothing happens.
    """
    number = _SCHED_SETATTR.get(os.uname().machine) if sys.platform == "linux" else None
    if number is None:
        return
    import ctypes  # noqa: PLC0415 (only whoever asks pays for its memory)

    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = struct.pack(
        _ATTRIBUTES, struct.calcsize(_ATTRIBUTES), os.SCHED_OTHER, 0, niceness, 0, _SHORTEST_SLICE_NS, 0, 0, 0, 0
    )
    ctypes.CDLL(None).syscall(number, 0, attributes, 0)
