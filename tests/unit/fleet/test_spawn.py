"""What a store that root starts may do: pass file permissions, and nothing else of root's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from christmas.fleet.spawn import before_exec, store_user

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root gives powers away, on Linux: run it as root"
)
LOOK = """
import os, sys
powers = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines() if line.startswith("Cap"))
print(os.geteuid(), os.access(sys.argv[1], os.X_OK), powers["CapPrm"].lstrip("0"), powers["CapEff"].lstrip("0"))
"""


def test_a_program_in_a_folder_of_root_alone_is_found_and_no_other_power_is_kept(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    program = private / "program"
    program.touch(mode=0o755)
    user = store_user()
    assert user is not None
    seen = subprocess.run(
        [sys.executable, "-c", LOOK, str(program)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        cwd="/",
        preexec_fn=before_exec(parent_death_signal=signal.SIGKILL, run_as=user),
    )
    assert seen.stdout.split() == [str(user.pw_uid), "True", "2", "2"]
