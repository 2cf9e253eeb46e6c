"""``christmas up --replay`` as a person starts it: a process with a state folder, and a report at its end."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import msgspec
import psutil

from christmas.execution.journal import CancelWritten, JournalEntry, OrderWritten
from christmas.execution.order import CancelIntent, OrderIntent

_CHRISTMAS: Final = Path(sys.executable).parent / "christmas"
Decisions = dict[str, list[OrderIntent | CancelIntent]]
_decode_entry = msgspec.json.Decoder(JournalEntry).decode
_encode = msgspec.json.encode


class ReplayFailed(AssertionError):
    """The command did not end well; its words and the ends of its processes' logs."""


class FleetRun:
    """One replay; as a context manager it never outlives its block."""

    def __init__(
        self,
        manifests: Path,
        files: Sequence[Path],
        state: Path,
        *,
        speed: str = "max",
        symbol: str | None = None,
        database_url: str | None = None,
        redis_url: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """``environment``: beside ours. Without URLs the stores are embedded ones."""
        self.state = state
        state.mkdir(parents=True, exist_ok=True)
        command = [str(_CHRISTMAS), "up", str(manifests), "--state", str(state), "--until-end", "-o", "json"]
        command += ["--speed", speed]
        for file in files:
            command += ["--replay", str(file)]
        if symbol is not None:
            command += ["--symbol", symbol]
        variables = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
        variables |= environment or {}
        if database_url is not None:
            variables["DATABASE_URL"] = database_url
        if redis_url is not None:
            variables["REDIS_URL"] = redis_url
        self._out, self._err = state / "stdout", state / "stderr"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(command, stdout=out, stderr=err, env=variables)

    def __enter__(self) -> FleetRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(timeout=10)

    def report(self, *, within_s: float) -> bytes:
        """Wait for the end; the report as it was printed."""
        try:
            code = self.process.wait(timeout=within_s)
        except subprocess.TimeoutExpired as error:
            raise ReplayFailed(f"not over within {within_s} s\n{self.words()}") from error
        if code != 0:
            raise ReplayFailed(f"exit code {code}\n{self.words()}")
        return self._out.read_bytes()

    def words(self) -> str:
        """What it said, and the last lines of each log."""
        parts = [self._err.read_text()[-4000:]]
        logs = sorted(self.state.glob("replays/*/logs/*"))
        parts += [f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in logs]
        return "\n".join(parts)

    # --- its processes -------------------------------------------------------------------------

    def pid(self, module: str, name: str = "") -> int | None:
        """Of the running child that was started as ``python -m MODULE`` and whose settings file has ``name`` in it."""
        try:
            children = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return None
        for child in children:
            try:
                arguments = child.cmdline()
            except psutil.Error:
                continue
            if module in arguments and name in arguments[-1]:
                return child.pid
        return None

    def kill(self, module: str, name: str, *, at_orders: int) -> None:
        """SIGKILL one of them once the journal has so many orders, and wait until another has taken its place."""
        self.wait_for(lambda: self.orders_written() >= at_orders and self.pid(module, name) is not None)
        killed = self.pid(module, name)
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        self.wait_for(lambda: self.pid(module, name) not in {None, killed})

    def wait_for(self, condition: Callable[[], bool], *, within_s: float = 60.0) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            if self.process.poll() is not None:
                raise ReplayFailed(f"it is over already\n{self.words()}")
            if time.monotonic() > deadline:
                raise ReplayFailed(f"not within {within_s} s\n{self.words()}")
            time.sleep(0.01)

    # --- its journal ---------------------------------------------------------------------------

    @property
    def journal(self) -> Path:
        found = list(self.state.glob("replays/*/data/gateway-paper/journal.sqlite"))
        return found[0] if found else self.state / "none.sqlite"

    @property
    def venue(self) -> Path:
        return self.journal.parent / "venue.sqlite"

    def orders_written(self) -> int:
        """So far; 0 also while there is no journal."""
        if not self.journal.exists():
            return 0
        try:
            rows = _read(self.journal, "SELECT count(*) FROM entries WHERE kind = 'order_written'")
        except sqlite3.Error:
            return 0
        return int(rows[0][0])

    def decisions(self) -> Decisions:
        """By strategy, in the order of the journal: every order, and every cancellation."""
        decided: Decisions = {}
        rows = _read(
            self.journal,
            "SELECT body FROM entries WHERE kind IN ('order_written', 'cancel_written') ORDER BY sequence",
        )
        for (body,) in rows:
            entry = _decode_entry(body)
            assert isinstance(entry, OrderWritten | CancelWritten)
            intent = entry.intent
            decided.setdefault(entry.strategy, []).append(intent)
        return decided


def decision_bytes(decided: Decisions) -> dict[str, list[bytes]]:
    return {name: [_encode(intent) for intent in intents] for name, intents in decided.items()}


def replay(
    manifests: Path, files: Sequence[Path], state: Path, *, within_s: float = 120.0, **options: Any
) -> tuple[FleetRun, bytes]:
    """Run one to its end."""
    with FleetRun(manifests, files, state, **options) as run:
        return run, run.report(within_s=within_s)


def parsed(report: bytes) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(report)
    return content


def strategies(report: bytes) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in parsed(report)["strategies"]}


def _read(path: Path, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()
