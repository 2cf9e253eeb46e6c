from __future__ import annotations

import socket
from pathlib import Path

import pytest

from christmas.telemetry.listener import listen_at


def test_it_listens_before_it_can_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s"
    gets_its_name = Path.replace
    seen: list[int] = []

    def then_it_is_ready(unfinished: Path, target: Path) -> Path:
        assert not path.exists()
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(unfinished))
        seen.append(unfinished.stat().st_mode & 0o777)
        return gets_its_name(unfinished, target)

    monkeypatch.setattr(Path, "replace", then_it_is_ready)
    listen_at(path).close()
    assert seen == [0o600]
    assert path.is_socket()


def test_it_replaces_what_a_killed_process_left(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listen_at(path).close()
    with listen_at(path) as listener, socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))
        listener.accept()[0].close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["s"]


def test_what_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(OSError, match="folder"):
        listen_at(path)
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]
