"""A process that yields to others says so to its own group too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


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


def release() -> tuple[int, ...]:
    return tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])


@pytest.mark.skipif(
    sys.platform != "linux" or release() < (6, 12) or os.uname().machine not in {"x86_64", "aarch64"},
    reason="slices can be asked for on Linux 6.12 and newer: run the tests there",
)
def test_a_process_that_answers_at_once_has_the_shortest_slice() -> None:
    code = (
        "import re; from pathlib import Path; from christmas.telemetry.priority import answer_at_once;"
        "import os; os.nice(3); answer_at_once();"
        "print(os.nice(0), re.search(r'se.slice\\s*:\\s*(\\d+)', Path('/proc/self/sched').read_text())[1])"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    niceness, slice_ns = (int(word) for word in told.split())
    assert slice_ns == 100_000
    assert niceness >= 3
