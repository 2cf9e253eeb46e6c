"""A minimal runtime for tests: speaks the protocol, decides what a script says."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TypeVar

from christmas.execution.order import CancelIntent, OrderIntent, OrderReport
from christmas.execution.protocol import (
    Advance,
    Answered,
    Cancel,
    Command,
    CommandResult,
    GatewayFrame,
    Goodbye,
    Hello,
    Ping,
    Refused,
    Report,
    RuntimeFrame,
    SignalNote,
    Submit,
    TradingState,
    Welcome,
    decode_gateway_frame,
    encode_frame,
    read_frame_body,
)

F = TypeVar("F")


class Client:
    """One connection. Frames that come in pile up in ``frames``; Advance is answered by ``on_advance``."""

    def __init__(self, *, timeframe_us: int = 5_000_000, acts_on_ticks: bool = False, instance: str = "") -> None:
        self.timeframe_us = timeframe_us
        self.acts_on_ticks = acts_on_ticks
        self.instance = instance or secrets.token_hex(8)
        self.frames: list[GatewayFrame] = []
        self.reports: list[OrderReport] = []
        self.closed = False
        self.on_advance: Callable[[Advance], list[Submit | Cancel]] = lambda _advance: []
        self.next_wake_us = 0
        self._arrived = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    async def connect(self, address: str, permit: str, *, last_report_sequence: int = 0) -> None:
        reader, self._writer = await _open(address)
        self.send(
            Hello(
                permit=permit,
                instance=self.instance,
                timeframe_us=self.timeframe_us,
                acts_on_ticks=self.acts_on_ticks,
                last_report_sequence=last_report_sequence,
            )
        )
        self._task = asyncio.create_task(self._read(reader))

    async def welcome(self) -> Welcome:
        return await self.wait_for(Welcome)

    async def wait_for(self, kind: type[F], *, within_s: float = 10.0, skip: int = 0) -> F:
        async with asyncio.timeout(within_s):
            while True:
                found = [frame for frame in self.frames if isinstance(frame, kind)]
                if len(found) > skip:
                    return found[skip]
                if self.closed:
                    raise AssertionError(f"closed without a {kind.__name__}: {self.frames[-3:]}")
                self._arrived.clear()
                await self._arrived.wait()

    async def wait_report(self, accept: Callable[[OrderReport], bool], *, within_s: float = 10.0) -> OrderReport:
        async with asyncio.timeout(within_s):
            while True:
                for report in self.reports:
                    if accept(report):
                        return report
                if self.closed:
                    raise AssertionError(f"closed; reports: {self.reports}")
                self._arrived.clear()
                await self._arrived.wait()

    async def wait_closed(self, within_s: float = 10.0) -> None:
        async with asyncio.timeout(within_s):
            while not self.closed:
                self._arrived.clear()
                await self._arrived.wait()

    def send(self, frame: RuntimeFrame) -> None:
        assert self._writer is not None
        self._writer.write(encode_frame(frame))

    def send_bytes(self, raw: bytes) -> None:
        assert self._writer is not None
        self._writer.write(raw)

    def submit(self, intent: OrderIntent, *, cause_sequence: int = 0) -> None:
        self.send(Submit(intent=intent, cause_sequence=cause_sequence))

    def cancel(self, intent: CancelIntent) -> None:
        self.send(Cancel(intent=intent))

    def note(self, note: SignalNote) -> None:
        self.send(note)

    def stop_reading(self) -> None:
        """Be a peer that does not read any more."""
        assert self._task is not None
        self._task.cancel()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while (body := await read_frame_body(reader)) is not None:
                self._take(decode_gateway_frame(body))
                self._arrived.set()
        except OSError:
            pass
        finally:
            self.closed = True
            self._arrived.set()

    def _take(self, frame: GatewayFrame) -> None:
        match frame:
            case Ping():
                self.send(Ping())
                return
            case Report(report=report):
                self.reports.append(report)
            case Advance():
                for decision in self.on_advance(frame):
                    self.send(decision)
                self.send(Answered(clock_us=frame.clock_us, next_wake_us=self.next_wake_us))
            case _:
                pass
        self.frames.append(frame)

    @property
    def refused(self) -> Refused | None:
        return next((frame for frame in self.frames if isinstance(frame, Refused)), None)

    @property
    def goodbye(self) -> Goodbye | None:
        return next((frame for frame in self.frames if isinstance(frame, Goodbye)), None)

    async def wait_trading(self, within_s: float = 10.0) -> None:
        """Return when entries are taken."""
        async with asyncio.timeout(within_s):
            while True:
                states = [frame for frame in self.frames if isinstance(frame, Welcome | TradingState)]
                last = states[-1] if states else None
                if isinstance(last, Welcome) and last.trading_enabled:
                    return
                if isinstance(last, TradingState) and last.enabled:
                    return
                self._arrived.clear()
                await self._arrived.wait()


async def command(address: str, frame: Command) -> CommandResult | Refused:
    """One fleet command over a connection of its own."""
    reader, writer = await _open(address)
    try:
        writer.write(encode_frame(frame))
        async with asyncio.timeout(15.0):
            while True:
                body = await read_frame_body(reader)
                assert body is not None
                answer = decode_gateway_frame(body)
                if isinstance(answer, CommandResult | Refused):
                    return answer
    finally:
        writer.close()


async def _open(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.startswith("unix:"):
        return await asyncio.open_unix_connection(address.removeprefix("unix:"))
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return await asyncio.open_connection(host, int(port))
