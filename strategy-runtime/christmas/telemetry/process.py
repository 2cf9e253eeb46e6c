"""The shell around every process: logs, signals, health, metrics, Sentry, event loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NoReturn, TypeVar

import msgspec
import uvloop
from prometheus_client import Gauge, Histogram

from christmas import __version__
from christmas.telemetry import crash
from christmas.telemetry.http import Health, HttpServer
from christmas.telemetry.logs import set_up_logs
from christmas.telemetry.settings import ProcessSettings, ProcessStatus

logger = logging.getLogger(__name__)

_BEAT_S: Final = 0.5
_LAG = Histogram(
    "christmas_process_loop_lag_seconds",
    "How late the event loop woke a task that was due.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
_READY = Gauge("christmas_process_ready", "1 when /readyz answers ok.")
_BUILD = Gauge("christmas_build_info", "The version that runs; always 1.", ["version"])

S = TypeVar("S", bound=ProcessSettings)


class ProcessContext:
    """What a process's main function is handed besides its settings."""

    def __init__(self, health: Health, http_port: int, pages: dict[str, bytes] | None = None) -> None:
        self._health = health
        self._pages = pages if pages is not None else {}
        self.http_port = http_port
        self.stopping = asyncio.Event()
        """Set by SIGTERM and SIGINT: finish cleanly."""

    def show(self, path: str, page: bytes) -> None:
        """Answer ``path`` with this JSON from now on."""
        self._pages[path] = page

    def ready(self, reason: str | None) -> None:
        """``None``: ready. Otherwise why not, as /readyz and the fleet will show it."""
        if reason != self._health.not_ready:
            logger.info("ready" if reason is None else "not ready", extra={"reason": reason} if reason else {})
        self._health.ready(reason)
        _READY.set(reason is None)

    def alive(self, trouble: str | None) -> None:
        """``None``: fine. Otherwise why /healthz is to have this process started anew."""
        self._health.alive(trouble)


def run_process(settings: S, main: Callable[[S, ProcessContext], Awaitable[int]]) -> NoReturn:
    """Run ``main`` until it returns its exit code; an exception ends the process with 1, logged."""
    set_up_logs(settings.name, log_format=settings.log_format, level=settings.log_level)
    _BUILD.labels(__version__).set(1)
    if settings.sentry_dsn_file is not None:
        _set_up_sentry(Path(settings.sentry_dsn_file), settings.name)
    try:
        crash.arm()
    except (crash.UnknownCrashPoint, OSError) as error:
        sys.exit(str(error))
    code = uvloop.run(_run(settings, main))
    logging.shutdown()
    sys.stdout.flush()
    sys.exit(code)


async def _run(settings: S, main: Callable[[S, ProcessContext], Awaitable[int]]) -> int:
    health = Health()
    pages: dict[str, bytes] = {}
    server = HttpServer(health, host=settings.http_host, port=settings.http_port, pages=pages)
    server.start()
    context = ProcessContext(health, server.port, pages)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, context.stopping.set)
    if settings.status_file is not None:
        write_status(
            Path(settings.status_file),
            ProcessStatus(pid=os.getpid(), http_port=server.port, started_us=time.time_ns() // 1000),
        )
    beat = asyncio.create_task(_beat(health), name="beat")
    # What was imported stays for good: the collector need not walk it again and again.
    gc.collect()
    gc.freeze()
    try:
        return await main(settings, context)
    except Exception:
        logger.exception("the process failed")
        return 1
    finally:
        beat.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beat
        server.close()


async def _beat(health: Health) -> None:
    while True:
        due = time.monotonic() + _BEAT_S
        await asyncio.sleep(_BEAT_S)
        health.beat()
        _LAG.observe(max(0.0, time.monotonic() - due))


def write_status(path: Path, status: ProcessStatus) -> None:
    """Written whole or not at all: a reader never sees half of it."""
    part = path.with_suffix(path.suffix + ".part")
    part.write_bytes(msgspec.json.encode(status))
    part.replace(path)


def _set_up_sentry(dsn_file: Path, process: str) -> None:
    try:
        import sentry_sdk  # noqa: PLC0415 (costs memory: only where a DSN is set)
    except ImportError:
        logger.error("a Sentry DSN is set, and sentry-sdk is not installed: install christmas[sentry]")
        return
    sentry_sdk.init(
        dsn=dsn_file.read_text().strip(),
        release=f"christmas@{__version__}",
        server_name=process,
        send_default_pii=False,
        include_local_variables=False,
        max_breadcrumbs=20,
    )
