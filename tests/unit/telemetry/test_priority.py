"""A process that yields to others says so to its own group too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def niceness_after(autogroup: Path) -> int:
    code = (
        "import os; from pathlib import Path; from christmas.telemetry.priority import yield_to_others;"
        f"yield_to_others(7, Path({str(autogroup)!r})); print(os.nice(0))"
    )
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def test_the_process_and_its_session_step_back(tmp_path: Path) -> None:
    before = int(
        subprocess.run([sys.executable, "-c", "import os; print(os.nice(0))"], check=True, capture_output=True).stdout
    )
    autogroup = tmp_path / "autogroup"
    autogroup.touch()
    assert niceness_after(autogroup) == min(19, before + 7)
    assert autogroup.read_text() == "7"


def test_a_system_without_groups_is_no_error(tmp_path: Path) -> None:
    assert niceness_after(tmp_path / "none" / "autogroup") > 0
