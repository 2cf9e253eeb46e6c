"""Asking a process whether it is ready, and reading the status file that tells where to ask."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Final

import msgspec

from christmas.telemetry.settings import ProcessStatus
from christmas.telemetry.unreadable import UNREADABLE

_TIMEOUT_S: Final = 2.0
SILENT: Final = "/readyz does not answer"
_MAXIMUM_ANSWER_BYTES: Final = 1 << 20


def read_status(file: Path, pid: int) -> ProcessStatus | None:
    """What the process ``pid`` has written; None while it has not, or when the file is an earlier one's."""
    try:
        status = msgspec.json.decode(file.read_bytes(), type=ProcessStatus)
    except (*UNREADABLE, OSError):
        return None
    return status if status.pid == pid else None


async def not_ready_reason(port: int) -> str | None:
    """None when ``/readyz`` on this machine answers 200, else why not."""
    try:
        status, body = await _get(port, "/readyz")
    except (OSError, TimeoutError) as error:
        return f"{SILENT}: {type(error).__name__}"
    return None if status == 200 else body.strip() or "not ready"


async def read_metrics(port: int) -> dict[str, float]:
    """The metrics without labels that a process exports; empty when it does not answer."""
    try:
        _, body = await _get(port, "/metrics")
    except (OSError, TimeoutError):
        return {}
    values = {}
    for line in body.splitlines():
        name, _, value = line.partition(" ")
        if not line.startswith("#") and "{" not in name:
            with contextlib.suppress(ValueError):
                values[name] = float(value)
    return values


async def _get(port: int, path: str) -> tuple[int, str]:
    async with asyncio.timeout(_TIMEOUT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            await writer.drain()
            answer = await reader.read(_MAXIMUM_ANSWER_BYTES)
            while len(answer) < _MAXIMUM_ANSWER_BYTES and (chunk := await reader.read(_MAXIMUM_ANSWER_BYTES)):
                answer += chunk
        finally:
            writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    fields = head.split(b" ", 2)
    if len(fields) < 2 or not fields[1].isdigit():
        raise ConnectionError("not an HTTP answer")
    return int(fields[1]), body.decode(errors="replace")
