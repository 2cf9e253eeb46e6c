"""Crash points: chosen from outside, died of once, and none that the catalogue does not name."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from christmas.fleet.errors import FleetError
from christmas.fleet.launch import Launcher
from christmas.fleet.session import Session
from christmas.fleet.state import StateFolder
from christmas.telemetry import crash

_PRODUCT = Path(crash.__file__).parents[1]
_PASSES = (
    "from christmas.telemetry import crash; crash.arm(); [crash.point(name) for name in {names!r}]; print('alive')"
)


def passes(environment: dict[str, str], *names: str) -> subprocess.CompletedProcess[str]:
    """A process that passes these points one after the other."""
    return subprocess.run(
        [sys.executable, "-c", _PASSES.format(names=names)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_the_catalogue_names_exactly_the_points_there_are() -> None:
    used = Counter(
        name for file in _PRODUCT.rglob("*.py") for name in re.findall(r'crash\.point\(\s*"([^"]+)"', file.read_text())
    )
    assert used.keys() == crash.POINTS
    assert all(name.split(".")[0] in {"gateway", "runtime", "recorder"} for name in used)


def test_nobody_dies_unasked() -> None:
    assert passes({}, *crash.POINTS).stdout == "alive\n"


def test_it_dies_as_by_sigkill_at_the_nth_pass() -> None:
    name = "gateway.journal.committed"
    assert passes({crash.CRASH_AT: name}, name).returncode == -signal.SIGKILL
    assert passes({crash.CRASH_AT: f"{name}:3"}, name, name).returncode == 0
    assert passes({crash.CRASH_AT: f"{name}:3"}, name, name, name).returncode == -signal.SIGKILL


def test_of_a_line_in_the_file_one_process_dies_once(tmp_path: Path) -> None:
    first, second = "runtime.submit.send", "runtime.submit.sent"
    given = crash.environment_for_children(tmp_path / "points", {crash.CRASH_AT: f"{first},{second}:2"})
    assert (tmp_path / "points").read_text() == f"{first}:1\n{second}:2\n"
    assert passes(given, first).returncode == -signal.SIGKILL
    assert (tmp_path / "points").read_text() == f"{second}:2\n"
    assert passes(given, first, second).returncode == 0
    assert passes(given, first, second, second).returncode == -signal.SIGKILL
    assert (tmp_path / "points").read_text() == ""
    assert passes(given, first, second, second).returncode == 0


def test_who_comes_to_it_second_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "points"
    given = crash.environment_for_children(file, {crash.CRASH_AT: "runtime.answer.send"})
    crash.arm(given)
    file.write_text("")
    monkeypatch.setattr("os.kill", lambda *_: pytest.fail("another has died of it already"))
    crash.point("runtime.answer.send")
    crash.arm({})


@pytest.mark.parametrize("text", ["gateway.journal", "gateway.journal.commit:0", "gateway.journal.commit:x", "x,y"])
def test_what_is_not_known_is_refused_with_what_is(text: str, tmp_path: Path) -> None:
    with pytest.raises(crash.UnknownCrashPoint) as error:
        crash.parse(text)
    assert "gateway.journal.commit" in str(error.value)
    assert "UnknownCrashPoint" in passes({crash.CRASH_AT: text}).stderr


def test_a_fleet_refuses_to_start_with_an_unknown_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(crash.CRASH_AT, "gateway.nowhere")
    session = Session(redis_url="redis://x", database_url="postgresql://x", session_id="s")
    with pytest.raises(FleetError, match=r"gateway\.nowhere.*runtime\.submit\.send"):
        Launcher(StateFolder(tmp_path), session)
