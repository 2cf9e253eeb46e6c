"""Commands to a gateway with an admin's permit: a connection of its own, one frame there, one back.

Used by whoever runs the fleet (the local supervisor, the Kubernetes operator), never by a runtime.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, Literal

import msgspec

from christmas.brokers.permit import Permit, issue
from christmas.execution.protocol import (
    Command,
    CommandResult,
    ProtocolError,
    Refused,
    decode_gateway_frame,
    encode_frame,
    read_frame_body,
)

CommandName = Literal[
    "halt", "resume", "hold", "release", "cancel_orders", "flatten", "orders", "positions", "statement", "exposure"
]
HOLD_LASTS_S: Final = 120.0
"""A hold ends by itself after so long: whoever set it may never come back."""
ANSWER_WITHIN_S: Final = 15.0
"""A gateway may take ten seconds to withdraw every order before it answers `flatten`."""
_PERMIT_LASTS_US: Final = 60_000_000


class AdminError(Exception):
    """The gateway did not do it."""


class GatewaySilentError(AdminError):
    """No answer: nobody listens there, or not in time. Whether it was carried out is not known."""


class GatewayRefusedError(AdminError):
    """The gateway answered, and will not."""


class Exposed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a strategy has at the venue: open positions (also those whose entry is not filled yet), live orders."""

    positions: int = 0
    orders: int = 0


class Exposure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to ``exposure``."""

    strategies: dict[str, Exposed] = {}
    """By name; a strategy that is not in here is flat."""
    halts: dict[str, str] = {}
    """Reasons by strategy; the empty name is the whole account."""
    holds: dict[str, str] = {}
    """Reasons by strategy: no entries until an update is through. Told beside halts, which are the user's."""
    blocked: str | None = None
    """Why the gateway takes no orders from anybody; None: it does."""
    feed_silent: str | None = None
    """Why it takes no entries from anybody, exits it does; None: it does."""


async def command(
    address: str,
    key: bytes,
    *,
    broker: str,
    action: CommandName,
    strategy: str | None = None,
    reason: str = "",
    within_s: float = ANSWER_WITHIN_S,
) -> CommandResult:
    """The gateway's answer to ``action``; raises GatewaySilentError or GatewayRefusedError."""
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
        async with asyncio.timeout(within_s):
            reader, writer = await connect(address)
            try:
                writer.write(encode_frame(frame))
                await writer.drain()
                return await _answer(reader, broker)
            finally:
                writer.close()
    except (OSError, TimeoutError, ProtocolError) as error:
        raise GatewaySilentError(f"the gateway of {broker} does not answer ({type(error).__name__})") from error


async def _answer(reader: asyncio.StreamReader, broker: str) -> CommandResult:
    while True:
        body = await read_frame_body(reader)
        if body is None:
            raise GatewaySilentError(f"the gateway of {broker} closed the connection without an answer")
        answer = decode_gateway_frame(body)
        if isinstance(answer, CommandResult):
            return answer
        if isinstance(answer, Refused):
            raise GatewayRefusedError(f"the gateway of {broker} refused: {answer.code}: {answer.reason}")


async def exposure(address: str, key: bytes, *, broker: str, within_s: float = ANSWER_WITHIN_S) -> Exposure:
    """Who is not flat, who is halted; raises like `command`."""
    result = await command(address, key, broker=broker, action="exposure", within_s=within_s)
    try:
        return msgspec.json.decode(result.message, type=Exposure)
    except msgspec.MsgspecError as error:
        raise GatewayRefusedError(f"the gateway of {broker} answers of another version: {error}") from error


async def connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open ``unix:/path`` or ``tcp://host:port``."""
    if address.startswith("unix:"):
        return await asyncio.open_unix_connection(address.removeprefix("unix:"))
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return await asyncio.open_connection(host, int(port))
