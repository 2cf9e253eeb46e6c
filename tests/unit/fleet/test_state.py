from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from christmas.fleet.errors import FleetError
from christmas.fleet.local import open_session
from christmas.fleet.state import StateFolder, default_state_folder, write_private
from tests.unit.resources.test_validate import BROKER, STRATEGY


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    folder = StateFolder(tmp_path / "state")
    folder.prepare()
    return folder


def test_where_it_is_by_default() -> None:
    assert default_state_folder({"CHRISTMAS_STATE": "/a"}) == Path("/a")
    assert default_state_folder({"XDG_STATE_HOME": "/b"}) == Path("/b/christmas")
    assert default_state_folder({}) == Path("~/.local/state/christmas").expanduser()


def test_it_is_for_its_owner_only(state: StateFolder) -> None:
    state.permit_key()
    assert state.path.stat().st_mode & 0o777 == 0o700
    assert state.permit_key_file.stat().st_mode & 0o777 == 0o600


def test_one_supervisor_only(state: StateFolder) -> None:
    assert state.supervisor_pid() is None
    state.lock()
    assert state.supervisor_pid() == os.getpid()
    with pytest.raises(FleetError, match=f"pid {os.getpid()}"):
        StateFolder(state.path).lock()
    state.unlock()
    assert state.supervisor_pid() is None


def test_a_killed_supervisor_leaves_no_lock(state: StateFolder) -> None:
    code = f"""
import os, signal
from pathlib import Path
from christmas.fleet.state import StateFolder
StateFolder(Path({str(state.path)!r})).lock()
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False, timeout=30)
    assert state.lock_file.read_text().strip().isdigit()
    assert state.supervisor_pid() is None
    state.lock()


def test_epochs_only_grow_also_over_a_restart(state: StateFolder) -> None:
    assert [state.next_epoch("a"), state.next_epoch("a"), state.next_epoch("b")] == [1, 2, 1]
    assert StateFolder(state.path).next_epoch("a") == 3


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b'{"a": "x"}', b'{"a": -1}', b"\xff"])
def test_damaged_epochs_are_named_with_what_mends_them(state: StateFolder, content: bytes) -> None:
    state.next_epoch("a")
    file = state.path / "epochs.json"
    file.write_bytes(content)
    again = StateFolder(state.path)
    for ask in (again.epochs, lambda: again.next_epoch("a"), lambda: open_session(again, {"REDIS_URL": "redis://x"})):
        with pytest.raises(FleetError, match=r"epochs\.json is damaged: .*move it away"):
            ask()
    assert file.read_bytes() == content


def test_epochs_that_were_lost_go_on_above_all_that_were_given(state: StateFolder) -> None:
    state.session_id()
    given = [state.next_epoch("a") for _ in range(3)]
    (state.path / "epochs.json").unlink()
    again = StateFolder(state.path)
    again.prepare()
    first = again.next_epoch("a")
    assert first > max(given)
    assert first >= 1_700_000_000
    assert again.next_epoch("a") == first + 1
    assert again.next_epoch("b") >= 1_700_000_000
    assert StateFolder(state.path).next_epoch("a") == first + 2


def test_epochs_damaged_under_a_running_fleet_are_written_whole_again(state: StateFolder) -> None:
    state.next_epoch("a")
    (state.path / "epochs.json").write_bytes(b"{")
    assert state.next_epoch("a") == 2
    assert StateFolder(state.path).next_epoch("a") == 3


@pytest.mark.parametrize("content", [b"", b'{"session_id": ', b"{}", b"\xff"])
def test_a_damaged_installation_is_named_with_what_mends_it(state: StateFolder, content: bytes) -> None:
    state.session_id()
    (state.path / "installation.json").write_bytes(content)
    with pytest.raises(FleetError, match=r"installation\.json is damaged: .*restore it"):
        state.session_id()


def test_the_key_and_the_session_stay(state: StateFolder) -> None:
    again = StateFolder(state.path)
    assert (state.permit_key(), state.session_id()) == (again.permit_key(), again.session_id())


def test_manifests_come_back_as_they_were(state: StateFolder) -> None:
    for resource in (STRATEGY, BROKER):
        state.store(resource)
    assert state.stored() == [BROKER, STRATEGY]
    state.forget("Strategy", "scalper")
    assert state.stored() == [BROKER]


def test_a_foreign_manifest_is_named(state: StateFolder) -> None:
    write_private(state.manifests / "strategy.x.json", b'{"kind": "Strategy"}')
    with pytest.raises(FleetError, match=r"strategy\.x\.json"):
        state.stored()


def test_a_link_in_the_temporary_folder_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    deep = StateFolder(tmp_path / ("x" * 100))
    (tmp_path / "elsewhere").mkdir()
    deep.sockets.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FleetError, match="belongs to another"):
        deep.prepare()


def test_sockets_outside_the_folder_go_with_the_supervisor(tmp_path: Path) -> None:
    deep = StateFolder(tmp_path / ("x" * 100))
    deep.prepare()
    deep.lock()
    assert deep.sockets.is_dir()
    deep.unlock()
    assert not deep.sockets.exists()


def test_sockets_fit_however_deep_the_folder_is(tmp_path: Path) -> None:
    deep = StateFolder(tmp_path / ("x" * 60) / ("y" * 60))
    assert len(os.fsencode(deep.socket("gateway", "a" * 53))) < 108
    assert deep.sockets != StateFolder(tmp_path / "z" / ("y" * 120)).sockets
    assert deep.socket("gateway", "a" * 53) != deep.socket("gateway", "a" * 52)
