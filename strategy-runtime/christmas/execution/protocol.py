"""The session between a runtime and its gateway: frames over one persistent connection.

A frame is a 4-byte big-endian length and that many bytes of JSON with a ``type`` tag. The runtime
speaks first (`Hello`); the gateway answers `Welcome` or `Refused`. See docs/protocol.md.

Lock-step (a replay at any speed but 1x): the gateway publishes ticks and clock, then sends
`Advance`; the runtime reads its stream up to there, sends what the engine decided and then
`Answered`. The simulated clock goes on only when every session has answered. A fleet command opens
a connection of its own with `Command` and gets one `CommandResult`.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Final, Literal, TypeAlias

import msgspec

from christmas.execution.order import CancelIntent, Fill, OrderIntent, OrderReport, OrderStatus
from christmas.market.instrument import Instrument
from christmas.telemetry.unreadable import UNREADABLE

PROTOCOL_VERSION: Final = 1
MAXIMUM_FRAME_BYTES: Final = 1 << 20
_LENGTH_BYTES: Final = 4

RefusalCode = Literal[
    "BadFrame",
    "ProtocolVersion",
    "PermitForged",
    "PermitExpired",
    "PermitForeign",
    "EpochSuperseded",
    "InstanceSuperseded",
    "NotReconciled",
    "TooManySessions",
]
Mode = Literal["live", "lockstep"]


class ProtocolError(Exception):
    """The peer sent something that is not a frame of this protocol."""


class _Frame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """Every frame names its type."""


# --- from the runtime ------------------------------------------------------------------------


class Hello(_Frame, frozen=True, kw_only=True, tag="hello"):
    permit: str
    instance: str
    """Random per process: two processes of one Strategy differ in it."""
    protocol: int = PROTOCOL_VERSION
    last_report_sequence: int = 0
    timeframe_us: int
    acts_on_ticks: bool
    """False: only a bar's end, a report or `Answered.next_wake_us` can make this strategy act, so a
    lock-step gateway may show it everything up to there at once."""


class Submit(_Frame, frozen=True, kw_only=True, tag="submit"):
    intent: OrderIntent
    cause_sequence: int = 0
    """`TickBatch.sequence` of the symbol's ticks that led to it; 0 when a clock or a report did."""
    cause_clock_us: int = 0
    """`ClockAdvance.time_us` that led to it, or 0: with it the gateway finds when the cause reached it."""
    decided_s: float = 0.0
    """The machine's monotonic clock when the runtime had what made it decide; 0: not told. Only for a gateway
    on the same machine it means anything."""


class Cancel(_Frame, frozen=True, kw_only=True, tag="cancel"):
    intent: CancelIntent


class SignalNote(_Frame, frozen=True, kw_only=True, tag="signal"):
    """A rule fired. Skipped signals are part of what an honest win rate is shown with."""

    time_us: int
    symbol: str
    signal: Literal["entry", "exit"]
    taken: bool
    reason: str


class Answered(_Frame, frozen=True, kw_only=True, tag="answered"):
    clock_us: int
    next_wake_us: int = 0
    """Market time of the engine's next timer (a maximum age); 0: none."""


class Command(_Frame, frozen=True, kw_only=True, tag="command"):
    """From the fleet, with a permit whose role is ``admin``: the first and only frame."""

    permit: str
    action: Literal[
        "halt", "resume", "hold", "release", "cancel_orders", "flatten", "orders", "positions", "statement", "exposure"
    ]
    strategy: str | None = None
    """None: the whole account."""
    reason: str = ""


class Ping(_Frame, frozen=True, kw_only=True, tag="ping"):
    """Each side sends one when it has been silent for a second; three silent seconds end a session."""


# --- from the gateway ------------------------------------------------------------------------


class Fees(msgspec.Struct, frozen=True, kw_only=True):
    """As fractions of the notional: 0.0002 is 0.02 %."""

    maker: Decimal
    taker: Decimal


class KnownOrder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order of this strategy that the journal holds, with its fills."""

    intent: OrderIntent
    status: OrderStatus
    fills: tuple[Fill, ...] = ()
    cancel_requested: bool = False


class Welcome(_Frame, frozen=True, kw_only=True, tag="welcome"):
    strategy: str
    strategy_uid: str
    epoch: int
    mode: Mode
    market: str
    """Names the Redis keys, see `christmas.market.tick`."""
    clock_us: int
    """The market's clock now."""
    instruments: dict[str, Instrument]
    fees: Fees
    orders: tuple[KnownOrder, ...] = ()
    """All orders of positions that are not closed, and those of the last bar (for sequences)."""
    last_report_sequence: int = 0
    trading_enabled: bool = True
    reason: str = ""
    realised_pnl: Decimal = Decimal(0)
    """Of this strategy's closed positions, like the three that follow."""
    closed_trades: int = 0
    winning_trades: int = 0
    fees_paid: Decimal = Decimal(0)


class Refused(_Frame, frozen=True, kw_only=True, tag="refused"):
    """The session is over; a runtime must not come back with the same epoch and instance."""

    code: RefusalCode
    reason: str


class Report(_Frame, frozen=True, kw_only=True, tag="report"):
    report: OrderReport
    intent: OrderIntent | None = None
    """Set for an order that the gateway itself placed (``flatten``): no runtime has decided on it."""


class Advance(_Frame, frozen=True, kw_only=True, tag="advance"):
    clock_us: int
    sequences: dict[str, int]
    """By symbol: the last tick that was published."""


class TradingState(_Frame, frozen=True, kw_only=True, tag="trading_state"):
    """Whether the gateway takes entries now: reconciled, venue reachable, not halted."""

    enabled: bool
    reason: str = ""


class CommandResult(_Frame, frozen=True, kw_only=True, tag="command_result"):
    ok: bool
    message: str
    orders: tuple[KnownOrder, ...] = ()
    fills: tuple[Fill, ...] = ()


class Goodbye(_Frame, frozen=True, kw_only=True, tag="goodbye"):
    """The market has ended (a replay with --until-end) or the gateway stops."""

    reason: str


RuntimeFrame: TypeAlias = Hello | Submit | Cancel | SignalNote | Answered | Command | Ping
GatewayFrame: TypeAlias = Welcome | Refused | Report | Advance | TradingState | CommandResult | Goodbye | Ping

_encoder = msgspec.json.Encoder()
_runtime_decoder: msgspec.json.Decoder[RuntimeFrame] = msgspec.json.Decoder(RuntimeFrame)
_gateway_decoder: msgspec.json.Decoder[GatewayFrame] = msgspec.json.Decoder(GatewayFrame)


def encode_frame(frame: RuntimeFrame | GatewayFrame) -> bytes:
    body = _encoder.encode(frame)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


def decode_runtime_frame(body: bytes) -> RuntimeFrame:
    try:
        return _runtime_decoder.decode(body)
    except (*UNREADABLE, ValueError) as error:
        raise ProtocolError(f"not a frame: {error}; docs/protocol.md lists them") from error


def decode_gateway_frame(body: bytes) -> GatewayFrame:
    try:
        return _gateway_decoder.decode(body)
    except (*UNREADABLE, ValueError) as error:
        raise ProtocolError(f"not a frame: {error}; docs/protocol.md lists them") from error


async def read_frame_body(reader: asyncio.StreamReader) -> bytes | None:
    """The next frame's body, or None at a clean end of the stream."""
    try:
        prefix = await reader.readexactly(_LENGTH_BYTES)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise ProtocolError("the connection ended within a frame's length") from error
        return None
    length = int.from_bytes(prefix, "big")
    if length > MAXIMUM_FRAME_BYTES:
        raise ProtocolError(f"a frame of {length} bytes; 4 bytes say how many follow, at most {MAXIMUM_FRAME_BYTES}")
    try:
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        raise ProtocolError("the connection ended within a frame") from error
