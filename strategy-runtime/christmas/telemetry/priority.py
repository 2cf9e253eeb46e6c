"""Lets whoever holds orders up run first."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

_AUTOGROUP: Final = Path("/proc/self/autogroup")


def yield_to_others(niceness: int, autogroup: Path = _AUTOGROUP) -> None:
    """Lower this process's share of the CPU, 0 (not at all) to 19; where the system does not let us, do nothing.

    Linux schedules sessions against each other first (autogroup), and each process of a fleet is a session of its
    own: there the nice value alone would compare with nobody.
    """
    with contextlib.suppress(OSError):
        os.nice(niceness)
    with contextlib.suppress(OSError):
        autogroup.write_text(str(niceness))
