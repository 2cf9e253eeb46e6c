"""Asking a process whether it is ready, and reading the status file that tells where to ask."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import msgspec

from christmas.telemetry.settings import ProcessStatus

_TIMEOUT_S: Final = 2.0
_MAXIMUM_ANSWER_BYTES: Final = 4096


def read_status(file: Path, pid: int) -> ProcessStatus | None:
    """What the process ``pid`` has written; None while it has not, or when the file is an earlier one's."""
    try:
        status = msgspec.json.decode(file.read_bytes(), type=ProcessStatus)
    except (OSError, msgspec.MsgspecError):
        return None
    return status if status.pid == pid else None


async def not_ready_reason(port: int) -> str | None:
    """None when ``/readyz`` on this machine answers 200, else why not."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")
                await writer.drain()
                answer = await reader.read(_MAXIMUM_ANSWER_BYTES)
                while chunk := await reader.read(_MAXIMUM_ANSWER_BYTES):
                    answer += chunk
                    if len(answer) > _MAXIMUM_ANSWER_BYTES:
                        break
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        return f"/readyz does not answer: {type(error).__name__}"
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " in head.splitlines()[0] if head else False:
        return None
    return body.decode(errors="replace").strip() or "not ready"
