"""A real fleet: `christmas up` as a process, and the command line beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

BROKER = """\
apiVersion: christmas.dev/v1alpha1
kind: Broker
metadata: {name: paper}
spec:
  instruments:
    - {symbol: BTC/USDT, priceIncrement: "0.01", lotSize: "0.00001", minimumNotional: "5"}
  feed:
    synthetic: {seed: 7, ticksPerSecond: 40}
"""


def strategy(name: str, logic: str, *, positions: int = 2, per_trade: str = "100", extra: str = "") -> str:
    return f"""\
---
apiVersion: christmas.dev/v1alpha1
kind: Strategy
metadata: {{name: {name}}}
spec:
  brokerRef: {{name: paper}}
  symbols: [BTC/USDT]
  timeframe: 1s
  {logic}
  capital: {{amount: "1000", perTrade: "{per_trade}", maxPositions: {positions}}}
{extra}"""


IDLE = 'rules: {entry: "rsi(14) < 0.001"}'
EAGER = 'rules: {entry: "close > 0"}'
HOLDS = '  exit: {minimumProfit: "5%"}\n'
"""Of one that is to hold still what it bought, however the market moves meanwhile."""


class Fleet:
    """One state folder, with or without its supervisor."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.manifests = folder / "manifests"
        self.manifests.mkdir()
        self.log = folder / "up.log"
        self._up: subprocess.Popen[bytes] | None = None
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name not in {"REDIS_URL", "DATABASE_URL", "HISTORY_URL", "CHRISTMAS_STATE", "SENTRY_DSN"}
        }

    def write(self, name: str, text: str) -> Path:
        file = self.manifests / name
        file.write_text(text)
        return file

    def up(self, *arguments: str) -> None:
        with self.log.open("ab") as log:
            self._up = subprocess.Popen(
                [sys.executable, "-m", "christmas.cli", "up", "--state", str(self.state), *arguments],
                stdout=log,
                stderr=log,
                env=self.environment,
            )

    @property
    def pid(self) -> int:
        assert self._up is not None
        return self._up.pid

    def interrupt(self, within_s: float = 40) -> int:
        """As Ctrl-C does; the exit code."""
        assert self._up is not None
        self._up.send_signal(signal.SIGINT)
        return self._up.wait(within_s)

    def kill_supervisor(self) -> None:
        assert self._up is not None
        self._up.kill()
        self._up.wait(10)

    def close(self) -> None:
        if self._up is not None and self._up.poll() is None:
            try:
                self.interrupt()
            except subprocess.TimeoutExpired:
                self.kill_supervisor()

    def run(self, *arguments: str, stdin: str | None = None, code: int = 0) -> str:
        """A command's stdout (of one that fails: its stderr); its exit code must be ``code``."""
        done = subprocess.run(
            [sys.executable, "-m", "christmas.cli", *arguments, "--state", str(self.state)],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=self.environment,
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stderr if code else done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "-o", "json"))

    def json_of_failing_doctor(self) -> list[dict[str, Any]]:
        """The checks that failed; there is one at least."""
        done = subprocess.run(
            [sys.executable, "-m", "christmas.cli", "doctor", "-o", "json", "--state", str(self.state)],
            capture_output=True,
            check=False,
            timeout=60,
            env=self.environment,
        )
        assert done.returncode == 1
        return [check for check in json.loads(done.stdout) if check["level"] == "failed"]

    def status(self, name: str) -> dict[str, Any]:
        status: dict[str, Any] = self.json("get", f"strategy/{name}")["status"]
        return status

    def phase(self, name: str) -> str:
        return str(self.status(name)["phase"])

    def is_trading(self, name: str) -> bool:
        """Also False while no supervisor answers."""
        try:
            status = self.status(name)
        except AssertionError:
            return False
        return status["phase"] == "Running" and status["process"].get("ready", False) and "runtime" in status

    def processes(self) -> list[psutil.Process]:
        """Everything that runs out of the state folder, but the supervisor."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            words = process.info["cmdline"] or []
            inside = any(f"{self.state}/" in word for word in words)
            if inside and "up" not in words and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found
