"""One operating system process of the fleet: started, watched, stopped, with its log in a file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import psutil

from christmas.fleet.spawn import before_exec, scrubbed_environment

LOG_MAXIMUM_BYTES: Final = 20 * 1024 * 1024
_LAST_BYTES: Final = 64 * 1024
_LAST_LINES: Final = 20
_WORDS_MAXIMUM: Final = 400
_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


class ManagedProcess:
    """A child in a session of its own that dies with us."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        log: Path,
        folder: Path,
        stop_signal: signal.Signals = signal.SIGTERM,
        parent_death_signal: signal.Signals = signal.SIGKILL,
        data_limit_bytes: int | None = None,
        run_as: pwd.struct_passwd | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """``environment``: beside what every process of the fleet gets."""
        self._arguments = tuple(arguments)
        self._log = log
        self._folder = folder
        self._stop_signal = stop_signal
        self._parent_death_signal = parent_death_signal
        self._data_limit_bytes = data_limit_bytes
        self._run_as = run_as
        self._environment = dict(environment or {})
        self._process: asyncio.subprocess.Process | None = None
        self._probe: psutil.Process | None = None
        self.started_at = 0.0

    async def start(self) -> None:
        """Raises OSError when the program cannot be started."""
        trim_log(self._log)
        with os.fdopen(os.open(self._log, _APPEND, 0o600), "ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={**scrubbed_environment(os.environ), **self._environment},
                start_new_session=True,
                # The parent-death signal and the limits have no other way in; nothing is imported or
                # allocated between fork and exec.
                preexec_fn=before_exec(
                    parent_death_signal=self._parent_death_signal,
                    data_limit_bytes=self._data_limit_bytes,
                    run_as=self._run_as,
                ),
            )
        self.started_at = time.monotonic()
        with contextlib.suppress(psutil.Error):
            self._probe = psutil.Process(self._process.pid)
            self._probe.cpu_percent()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.returncode if self._process is not None else None

    def usage(self) -> tuple[int, float]:
        """Resident bytes, and the percentage of one core since the last call."""
        if self._probe is None or self.exit_code is not None:
            return 0, 0.0
        try:
            return int(self._probe.memory_info().rss), float(self._probe.cpu_percent())
        except psutil.Error:
            return 0, 0.0

    def ask_to_stop(self) -> None:
        self._signal(self._stop_signal)

    def kill(self) -> None:
        """The whole process group, so that nothing it started stays."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def wait(self) -> int:
        assert self._process is not None  # noqa: S101 (started before it is waited for)
        return await self._process.wait()

    async def stop(self, within_s: float) -> int:
        """Ask, wait, and kill what has not gone by then; the exit code."""
        self.ask_to_stop()
        try:
            async with asyncio.timeout(within_s):
                return await self.wait()
        except TimeoutError:
            self.kill()
            return await self.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)


def trim_log(log: Path) -> None:
    """Keep the last `LOG_MAXIMUM_BYTES` as ``.1`` and begin anew; the writer appends, so it goes on."""
    try:
        if log.stat().st_size <= LOG_MAXIMUM_BYTES:
            return
    except FileNotFoundError:
        return
    older = log.with_suffix(log.suffix + ".1")
    older.write_bytes(log.read_bytes())
    older.chmod(0o600)
    os.truncate(log, 0)


def last_words(log: Path) -> str:
    """Why a process has ended, by its log: the last error among its last lines, else the last line.

    Of a logged exception it is the exception's own last line.
    """
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _LAST_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    records = [record for record in map(_record, lines[-_LAST_LINES:]) if record is not None]
    errors = [record for record in records if record.level in {"error", "critical"}]
    last = _record(lines[-1])
    if last is None:
        return lines[-1][-_WORDS_MAXIMUM:]
    chosen = errors[-1] if errors else last
    cause = chosen.exception.strip().splitlines()[-1:] or [""]
    return ": ".join(part for part in (chosen.message, cause[0]) if part)[:_WORDS_MAXIMUM]


class _LogLine(msgspec.Struct):
    message: str
    level: str = ""
    exception: str = ""


def _record(line: str) -> _LogLine | None:
    try:
        return msgspec.json.decode(line, type=_LogLine)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def exit_text(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"
