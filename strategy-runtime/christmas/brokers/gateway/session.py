"""The gateway's end of one connection: frames in and out, silence, and readers that are too slow."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Final

from christmas.brokers.gateway import metrics
from christmas.brokers.gateway.form import check_form
from christmas.brokers.gateway.ledger import Owner
from christmas.brokers.permit import Permit
from christmas.execution.protocol import (
    Advance,
    Answered,
    Cancel,
    GatewayFrame,
    Hello,
    Ping,
    ProtocolError,
    Refused,
    RuntimeFrame,
    SignalNote,
    Submit,
    decode_runtime_frame,
    encode_frame,
    read_frame_body,
)

logger = logging.getLogger(__name__)

PING_AFTER_S: Final = 1.0
SILENCE_S: Final = 3.0
OUTGOING_MAXIMUM_BYTES: Final = 1 << 20
DECISIONS_MAXIMUM: Final = 100_000
"""Of one strategy in one window of a lock-step replay: beyond it something has gone wild."""

Decision = Submit | Cancel | SignalNote


class Connection:
    """Frames over one socket. What is sent waits in the transport's buffer, up to a bound: a peer that
    does not read is cut off, it resumes from its last report.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._sent_at = time.monotonic()
        self._listening_since: float | None = None
        """Since when a frame is waited for; None while the peer waits for us."""
        self.ended_by: str | None = None
        self._held: list[GatewayFrame] | None = None

    @property
    def waiting_bytes(self) -> int:
        return self._writer.transport.get_write_buffer_size()

    @property
    def is_open(self) -> bool:
        return self.ended_by is None

    def send(self, frame: GatewayFrame) -> None:
        if self.ended_by is not None:
            return
        if self._held is not None and not isinstance(frame, Refused | Ping):
            self._held.append(frame)
            return
        if self.waiting_bytes > OUTGOING_MAXIMUM_BYTES:
            self.end("slow_reader")
            return
        self._sent_at = time.monotonic()
        self._writer.write(encode_frame(frame))

    def hold(self) -> None:
        """Keep what is sent from now on, until `release`; who is refused meanwhile is told at once, and no more.

        Pings go out, and nobody's silence counts: it is us whom the peer waits for.
        """
        self._held = []

    def release(self) -> None:
        held, self._held = self._held or [], None
        if self._listening_since is not None:
            self._listening_since = time.monotonic()
        for frame in held:
            self.send(frame)

    async def receive(self) -> RuntimeFrame | None:
        """The next frame, None at the end; raises ProtocolError."""
        self._listening_since = time.monotonic()
        try:
            body = await read_frame_body(self._reader)
        except OSError:
            return None
        finally:
            self._listening_since = None
        if body is None:
            return None
        frame = decode_runtime_frame(body)
        check_form(frame)
        return frame

    def beat(self, now_s: float) -> None:
        """Called a few times a second: ping a silent line, end a dead one."""
        since_s = self._listening_since
        if since_s is not None and self._held is None and now_s - since_s > SILENCE_S:
            self.end("silence")
        elif now_s - self._sent_at >= PING_AFTER_S:
            self.send(Ping())

    def end(self, why: str) -> None:
        """Cut the connection off; `receive` returns None."""
        if self.ended_by is None:
            self.ended_by = why
            # A frame just written (Refused, Goodbye) still goes out; a peer that does not read gets nothing.
            if why == "slow_reader":
                self._writer.transport.abort()
            else:
                self._writer.close()

    async def close(self) -> None:
        self.end("closed")
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()


class Session:
    """One strategy that is connected."""

    def __init__(self, connection: Connection, permit: Permit, hello: Hello) -> None:
        self.connection = connection
        self.permit = permit
        self.owner = Owner(strategy=permit.strategy, uid=permit.strategy_uid, epoch=permit.epoch)
        self.instance = hello.instance
        self.timeframe_us = hello.timeframe_us
        self.acts_on_ticks = hello.acts_on_ticks
        self.reported = 0
        """The last report that this runtime has, by its own word, by its Welcome, or because it was sent."""
        self.next_wake_us = 0
        """Market time of the engine's next timer; 0: none."""
        self.is_first_window = True
        """What it sends first may be what an earlier connection has brought already."""
        self._decisions: list[Decision] = []
        self._outstanding: Advance | None = None
        self._answered = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self.connection.is_open

    def send(self, frame: GatewayFrame) -> None:
        self.connection.send(frame)

    def advance(self, frame: Advance) -> None:
        """Lock-step: show the strategy the market up to there; it must answer."""
        self._outstanding = frame
        self._answered.clear()
        self.send(frame)

    def answered(self, frame: Answered) -> None:
        """Raises ProtocolError when nothing was asked."""
        if self._outstanding is None:
            raise ProtocolError("Answered, and nothing was asked")
        if frame.clock_us < self._outstanding.clock_us:
            raise ProtocolError(f"Answered for {frame.clock_us}, asked for {self._outstanding.clock_us}")
        self._outstanding = None
        self.next_wake_us = frame.next_wake_us
        self._answered.set()

    def keep(self, decision: Decision) -> None:
        """Lock-step: what it decides is carried out when all strategies have answered. Raises ProtocolError."""
        if len(self._decisions) >= DECISIONS_MAXIMUM:
            raise ProtocolError(f"more than {DECISIONS_MAXIMUM} decisions in one window")
        self._decisions.append(decision)

    def take_decisions(self) -> list[Decision]:
        decisions, self._decisions = self._decisions, []
        return decisions

    def ended(self) -> None:
        """Wake up whoever waits for an answer that will not come."""
        self._answered.set()

    @property
    def has_answered(self) -> bool:
        return self._outstanding is None

    async def wait_answered(self) -> None:
        """Return when it has answered, or ended."""
        await self._answered.wait()


def count_buffers(connections: list[Connection]) -> None:
    metrics.SESSION_BUFFER.set(max((connection.waiting_bytes for connection in connections), default=0))
