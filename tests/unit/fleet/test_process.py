from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from christmas.fleet.process import LOG_MAXIMUM_BYTES, ManagedProcess, exit_text, last_words, trim_log
from christmas.fleet.spawn import scrubbed_environment
from tests.support.waiting import eventually, eventually_sync


def process(tmp_path: Path, code: str, **options: object) -> ManagedProcess:
    return ManagedProcess([sys.executable, "-c", code], log=tmp_path / "log", folder=tmp_path, **options)  # type: ignore[arg-type]


async def test_it_logs_and_its_exit_is_seen(tmp_path: Path) -> None:
    child = process(tmp_path, "print('hello'); raise SystemExit(3)")
    await child.start()
    assert await child.wait() == 3
    assert (tmp_path / "log").read_text() == "hello\n"
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


async def test_no_secret_of_the_environment_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINANCE_SECRET", "s3cret")
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:s3cret@host/")
    child = process(tmp_path, "import os; print(sorted(os.environ))")
    await child.start()
    await child.wait()
    names = set(eval((tmp_path / "log").read_text()))  # noqa: S307 (our own output)
    assert "PATH" in names
    assert all(name in {"PATH", "LANG"} or name.startswith(("PYTHON", "LC_")) for name in names)


def test_what_is_scrubbed() -> None:
    found = scrubbed_environment({"PATH": "p", "LANG": "C", "PYTHONPATH": "x", "HOME": "/root", "AWS_SECRET": "s"})
    assert found == {"PATH": "p", "LANG": "C", "PYTHONPATH": "x"}


async def test_what_does_not_listen_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    code = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""
    child = process(tmp_path, code)
    await child.start()
    grandchild = int(await eventually(lambda: (tmp_path / "log").read_text().strip(), what="it started a child"))
    assert await child.stop(within_s=0.3) == -signal.SIGKILL
    await eventually(lambda: not _alive(grandchild), what="the grandchild is gone too")


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_more_memory_than_allowed_is_not_to_be_had(tmp_path: Path) -> None:
    child = process(tmp_path, "x = bytearray(200 << 20)", data_limit_bytes=100 << 20)
    await child.start()
    assert await child.wait() != 0
    assert "MemoryError" in (tmp_path / "log").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_it_dies_with_its_supervisor_even_when_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import asyncio, os, sys
from pathlib import Path
from christmas.fleet.process import ManagedProcess
async def main():
    child = ManagedProcess([sys.executable, "-c", "import time; time.sleep(600)"],
                           log=Path({str(tmp_path / "log")!r}), folder=Path({str(tmp_path)!r}))
    await child.start()
    print(child.pid, flush=True)
    await child.wait()
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        assert _alive(pid)
        os.kill(supervisor.pid, signal.SIGKILL)
    eventually_sync(lambda: not _alive(pid), what="the child is gone")


async def test_usage_is_of_the_process(tmp_path: Path) -> None:
    child = process(tmp_path, "import time; time.sleep(600)")
    assert child.usage() == (0, 0.0)
    await child.start()
    await eventually(lambda: child.usage()[0] > 1 << 20, what="its memory is seen")
    await child.stop(within_s=5)
    assert child.usage() == (0, 0.0)


def test_last_words_are_the_reason(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_words(log) == ""
    log.write_text("one\ntwo\n\n")
    assert last_words(log) == "two"
    log.write_text('{"message":"the process failed","exception":"Traceback\\n  File\\nValueError: no"}\n')
    assert last_words(log) == "the process failed: ValueError: no"
    with log.open("a") as more:
        more.write('{"message":"the feed is broken","level":"critical"}\n{"message":"session ended","level":"info"}\n')
    assert last_words(log) == "the feed is broken"


def test_a_long_log_is_cut_and_the_older_part_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * (LOG_MAXIMUM_BYTES + 1))
    with log.open("ab") as writer:
        trim_log(log)
        writer.write(b"new\n")
    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "log.1").stat().st_size == LOG_MAXIMUM_BYTES + 1


def test_exit_codes_in_words() -> None:
    assert exit_text(2) == "exit code 2"
    assert exit_text(-9) == "killed by SIGKILL"
