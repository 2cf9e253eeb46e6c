"""The shell of a process: status file, readiness, SIGTERM, exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support.waiting import eventually

PROGRAM = """
import asyncio, sys
from christmas.telemetry.process import ProcessContext, run_process
from christmas.telemetry.settings import ProcessSettings, load_settings

async def main(settings, context):
    if settings.session_id == "fails":
        raise RuntimeError("it broke")
    context.ready(None)
    await asyncio.wait_for(context.stopping.wait(), 30)
    return 7

run_process(load_settings(ProcessSettings, sys.argv[1]), main)
"""


def start(folder: Path, session_id: str = "default") -> subprocess.Popen[str]:
    settings = folder / "settings.json"
    status = folder / "status.json"
    settings.write_text(
        json.dumps({"name": "p", "redis_url": "redis://x", "session_id": session_id, "status_file": str(status)})
    )
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(settings)], stderr=subprocess.PIPE, text=True, cwd=folder
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly_with_its_own_exit_code(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path)
    status_file = tmp_path / "status.json"
    await eventually(status_file.exists)
    status = json.loads(status_file.read_text())
    assert status["pid"] == process.pid

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{status['http_port']}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError:
            return False

    await eventually(ready)
    process.send_signal(number)
    assert process.wait(10) == 7


def test_an_exception_ends_it_with_one_and_a_log_line(tmp_path: Path) -> None:
    process = start(tmp_path, "fails")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    line = json.loads(errors.splitlines()[-1])
    assert line["message"] == "the process failed"
    assert "it broke" in line["exception"]
