"""What the supervisor's own process has, as every other: a log, /metrics, /healthz, /readyz, signals."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from christmas.fleet.process import trim_log
from christmas.fleet.state import StateFolder
from christmas.telemetry.http import Health, HttpServer
from christmas.telemetry.logs import JsonFormatter
from christmas.telemetry.process import write_status
from christmas.telemetry.settings import ProcessStatus

_NAME: Final = "supervisor"
_BEAT_S: Final = 0.5
_INTERRUPTED: Final = 130


@contextlib.asynccontextmanager
async def shell(state: StateFolder, stop: Callable[[], None]) -> AsyncIterator[Health]:
    """Log to the state folder, serve metrics on a free port, call ``stop`` upon SIGINT and SIGTERM.

    A second signal ends the process at once; the kernel then ends all that it started.
    """
    health = Health()
    server = HttpServer(health, host="127.0.0.1", port=0)
    log = _log_to_file(state)
    server.start()
    folder = state.process(_NAME, _NAME)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_status(
        folder / "status.json",
        ProcessStatus(pid=os.getpid(), http_port=server.port, started_us=time.time_ns() // 1000),
    )
    asked = False

    def on_signal() -> None:
        nonlocal asked
        if asked:
            os._exit(_INTERRUPTED)
        asked = True
        stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    beat = asyncio.create_task(_beat(health), name="beat")
    try:
        yield health
    finally:
        beat.cancel()
        await asyncio.gather(beat, return_exceptions=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        server.close()
        logging.getLogger().removeHandler(log)
        log.close()


def _log_to_file(state: StateFolder) -> logging.Handler:
    file = state.log(_NAME, _NAME)
    trim_log(file)
    handler = logging.FileHandler(file, encoding="utf-8")
    file.chmod(0o600)
    handler.setFormatter(JsonFormatter(_NAME))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    return handler


async def _beat(health: Health) -> None:
    while True:
        health.beat()
        await asyncio.sleep(_BEAT_S)
