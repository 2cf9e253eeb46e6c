"""The Redis users that the chart makes, on a real server: nobody comes in without a password."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.servers import free_port, valkey_binary
from tests.support.waiting import eventually_sync

TEMPLATE = Path(__file__).parents[2] / "charts" / "christmas" / "templates" / "stores-secret.yaml"
PASSWORD = "correct-horse"
AT_ONCE = Retry(NoBackoff(), 0)


def users() -> str:
    """The lines of the template that need nothing of Helm's but a password's hash."""
    lines = [line.strip() for line in TEMPLATE.read_text().splitlines() if line.strip().startswith("user ")]
    kept = [line for line in lines if line.split()[1] in {"default", "probe", "christmas"}]
    assert len(kept) == 3
    hashed = hashlib.sha256(PASSWORD.encode()).hexdigest()
    return "\n".join(line.partition(" #{{")[0] + f" #{hashed} ~* &* +@all" if "{{" in line else line for line in kept)


@contextlib.contextmanager
def server(folder: Path, port: int) -> Iterator[redis.Redis]:
    options = ("--aclfile", str(folder / "users.acl"), "--save", "")
    command = [str(valkey_binary()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        client = redis.Redis(port=port, username="christmas", password=PASSWORD, socket_timeout=5, retry=AT_ONCE)
        try:
            eventually_sync(lambda: answers(client), within_s=15, what="it answers")
            yield client
        finally:
            client.close()
            process.kill()


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except (redis.ConnectionError, redis.BusyLoadingError):
        return False


def test_nobody_comes_in_as_the_user_by_whose_rights_the_file_is_replayed(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "users.acl").write_text(users() + "\n")
    with server(tmp_path, port) as client:
        assert client.set("anything", "1")
        with redis.Redis(port=port, retry=AT_ONCE) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.get("anything")
        for password in ("", PASSWORD, "anything"):
            guess = redis.Redis(port=port, username="default", password=password, retry=AT_ONCE)
            with contextlib.closing(guess), pytest.raises((redis.AuthenticationError, redis.ResponseError)):
                guess.get("anything")
