"""The runtime's end of its session with the gateway: one connection, kept alive, resumed exactly.

An intent stays in `_unanswered` until the gateway has answered for it, and is sent again, with the
same order id, after every reconnect: sending twice is harmless, forgetting is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable
from typing import Final

from christmas.execution.protocol import (
    Advance,
    Answered,
    Cancel,
    GatewayFrame,
    Goodbye,
    Hello,
    Ping,
    ProtocolError,
    Refused,
    Report,
    RuntimeFrame,
    SignalNote,
    Submit,
    Welcome,
    decode_gateway_frame,
    encode_frame,
    read_frame_body,
)
from christmas.runtime import metrics
from christmas.telemetry import crash

logger = logging.getLogger(__name__)

CONNECT_DEADLINE_S: Final = 5.0
SILENCE_S: Final = 3.0
PING_EVERY_S: Final = 1.0
BACK_OFF_S: Final = (0.05, 5.0)
OUTGOING_MAXIMUM_BYTES: Final = 1 << 20
_PASSING: Final = frozenset({"NotReconciled", "TooManySessions"})
"""Refusals that a later attempt may not meet."""


class SessionRefused(Exception):
    """The gateway refuses this process for good."""

    def __init__(self, refusal: Refused) -> None:
        super().__init__(f"{refusal.code}: {refusal.reason}")
        self.code = refusal.code


class GatewaySession:
    """Sends frames, and yields those of the gateway across reconnects."""

    def __init__(self, address: str, hello: Hello) -> None:
        self._address = address
        self._hello = hello
        self._writer: asyncio.StreamWriter | None = None
        self._unanswered: dict[str, Submit | Cancel] = {}
        self._notes: list[SignalNote] = []
        """Lock-step: those of the window that was asked for last. When the next one comes they are on disk."""
        self._is_lockstep = False
        self._window_us = -1
        self._last_report = hello.last_report_sequence
        self.on_lost: Callable[[str], None] = lambda _why: None
        """Told why there is no session; a `Welcome` says that there is one again."""
        self._sent_at = 0.0

    @property
    def is_connected(self) -> bool:
        return self._writer is not None

    def submit(self, frame: Submit) -> None:
        crash.point("runtime.submit.send")
        self._unanswered[frame.intent.client_order_id] = frame
        self._send(frame)
        crash.point("runtime.submit.sent")

    def cancel(self, frame: Cancel) -> None:
        crash.point("runtime.cancel.send")
        self._unanswered[_cancel_key(frame.intent.client_order_id)] = frame
        self._send(frame)
        crash.point("runtime.cancel.sent")

    def note(self, frame: SignalNote) -> None:
        crash.point("runtime.note.send")
        if self._is_lockstep:
            self._notes.append(frame)
        self._send(frame)
        crash.point("runtime.note.sent")

    def answer(self, frame: Answered) -> None:
        crash.point("runtime.answer.send")
        self._send(frame)
        crash.point("runtime.answer.sent")

    async def frames(self) -> AsyncIterator[GatewayFrame]:
        """Every frame from the gateway; a `Welcome` begins each session. Ends after `Goodbye`.

        Raises SessionRefused. Loss of the connection is not an end: it is opened again, with
        back-off and jitter.
        """
        failures = 0
        while True:
            try:
                async with asyncio.timeout(CONNECT_DEADLINE_S):
                    reader, writer = await _connect(self._address)
            except (OSError, TimeoutError) as error:
                failures += 1
                delay = random.uniform(0.5, 1.0) * min(BACK_OFF_S[1], BACK_OFF_S[0] * 2**failures)
                logger.info("the gateway does not answer", extra={"error": str(error), "retry_in_s": round(delay, 2)})
                self.on_lost(f"the gateway does not answer: {str(error) or type(error).__name__}")
                await asyncio.sleep(delay)
                continue
            ended = False
            pings = asyncio.create_task(self._ping(), name="pings")
            try:
                async for frame in self._session(reader, writer):
                    failures = 0
                    yield frame
                    if isinstance(frame, Goodbye):
                        ended = True
                        break
            except (OSError, TimeoutError, ProtocolError) as error:
                logger.warning("the session broke", extra={"error": str(error) or type(error).__name__})
            finally:
                self._writer = None
                pings.cancel()
                writer.close()
                with contextlib.suppress(OSError, TimeoutError, RuntimeError):
                    async with asyncio.timeout(1.0):
                        await writer.wait_closed()
            if ended:
                return
            self.on_lost("the session with the gateway broke")
            failures += 1
            await asyncio.sleep(random.uniform(0.5, 1.0) * min(BACK_OFF_S[1], BACK_OFF_S[0] * 2**failures))

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> AsyncIterator[GatewayFrame]:
        hello = Hello(
            permit=self._hello.permit,
            instance=self._hello.instance,
            last_report_sequence=self._last_report,
            timeframe_us=self._hello.timeframe_us,
            acts_on_ticks=self._hello.acts_on_ticks,
        )
        crash.point("runtime.hello.send")
        try:
            writer.write(encode_frame(hello))
        except RuntimeError as error:
            raise ProtocolError(f"the connection was closed at once: {error}") from error
        crash.point("runtime.hello.sent")
        while True:
            async with asyncio.timeout(SILENCE_S if self._writer is not None else CONNECT_DEADLINE_S):
                body = await read_frame_body(reader)
            if body is None:
                raise ProtocolError("the gateway closed the connection")
            frame = decode_gateway_frame(body)
            if isinstance(frame, Ping):
                continue
            if isinstance(frame, Refused):
                if frame.code in _PASSING:
                    raise ProtocolError(f"refused for now: {frame.reason}")
                raise SessionRefused(frame)
            if isinstance(frame, Welcome):
                self._open(writer, frame)
            elif isinstance(frame, Report):
                self._settle(frame)
            elif isinstance(frame, Advance):
                self._begin_window(frame)
            yield frame

    def _open(self, writer: asyncio.StreamWriter, welcome: Welcome) -> None:
        metrics.SESSIONS.inc()
        self._writer = writer
        known = {order.intent.client_order_id for order in welcome.orders}
        for key in known & self._unanswered.keys():
            del self._unanswered[key]
        self._is_lockstep = welcome.mode == "lockstep"
        for frame in (*self._unanswered.values(), *self._notes):
            metrics.RESENT.inc()
            self._send(frame)

    def _begin_window(self, advance: Advance) -> None:
        if advance.clock_us > self._window_us:
            self._notes.clear()
        self._window_us = advance.clock_us

    def _settle(self, frame: Report) -> None:
        report = frame.report
        self._last_report = max(self._last_report, report.sequence)
        self._unanswered.pop(report.client_order_id, None)
        if report.status.is_final:
            self._unanswered.pop(_cancel_key(report.client_order_id), None)

    def _send(self, frame: RuntimeFrame) -> None:
        writer = self._writer
        if writer is None:
            return
        if writer.transport.get_write_buffer_size() > OUTGOING_MAXIMUM_BYTES:
            # The gateway does not read: a new session will resend what matters.
            logger.warning("the gateway does not read; the session is dropped")
            self._writer = None
            writer.transport.abort()
            return
        self._sent_at = asyncio.get_running_loop().time()
        try:
            writer.write(encode_frame(frame))
        except RuntimeError as error:
            # uvloop's word for a connection that broke while nobody looked; whoever reads from it ends the session.
            logger.warning("nothing can be sent to the gateway", extra={"error": str(error)})
            self._writer = None

    async def _ping(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(PING_EVERY_S)
            if loop.time() - self._sent_at >= PING_EVERY_S:
                self._send(Ping())


def _cancel_key(client_order_id: str) -> str:
    return f"cancel {client_order_id}"


async def _connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.startswith("unix:"):
        return await asyncio.open_unix_connection(address.removeprefix("unix:"))
    if address.startswith("tcp://"):
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port))
    raise ValueError(f"{address!r} is no gateway address: use unix:/path or tcp://host:port")
