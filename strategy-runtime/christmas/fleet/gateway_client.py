"""One command to a gateway: a connection of its own, one frame there, one back."""

from __future__ import annotations

import asyncio
import time
from typing import Final, Literal

from christmas.brokers.permit import Permit, issue
from christmas.execution.protocol import (
    Command,
    CommandResult,
    Refused,
    decode_gateway_frame,
    encode_frame,
    read_frame_body,
)
from christmas.fleet.errors import FleetError

CommandName = Literal["halt", "resume", "cancel_orders", "flatten", "orders", "positions", "statement"]
_TIMEOUT_S: Final = 15.0
_PERMIT_LASTS_US: Final = 60_000_000


async def command(
    address: str, key: bytes, *, broker: str, action: CommandName, strategy: str | None = None, reason: str = ""
) -> CommandResult:
    """Carry out ``action`` at the gateway on ``address``; raises FleetError when it does not answer or refuses."""
    now_us = time.time_ns() // 1000
    permit = Permit(
        strategy=strategy or "",
        strategy_uid="",
        broker=broker,
        role="admin",
        epoch=0,
        issued_us=now_us,
        expires_us=now_us + _PERMIT_LASTS_US,
    )
    frame = Command(permit=issue(permit, key), action=action, strategy=strategy, reason=reason)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            reader, writer = await connect(address)
            try:
                writer.write(encode_frame(frame))
                await writer.drain()
                while True:
                    body = await read_frame_body(reader)
                    if body is None:
                        raise FleetError(f"the gateway of {broker} closed the connection without an answer")
                    answer = decode_gateway_frame(body)
                    if isinstance(answer, CommandResult):
                        return answer
                    if isinstance(answer, Refused):
                        raise FleetError(f"the gateway of {broker} refused: {answer.code}: {answer.reason}")
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        raise FleetError(
            f"the gateway of {broker} does not answer ({type(error).__name__})", f"see `christmas logs broker/{broker}`"
        ) from error


async def connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open ``unix:/path`` or ``tcp://host:port``."""
    if address.startswith("unix:"):
        return await asyncio.open_unix_connection(address.removeprefix("unix:"))
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return await asyncio.open_connection(host, int(port))
