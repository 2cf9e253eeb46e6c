"""A strategy's end of a session, and what it has been told over all its processes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from christmas.execution.order import CancelIntent, OrderIntent, OrderReport
from christmas.execution.protocol import (
    Cancel,
    Command,
    CommandResult,
    GatewayFrame,
    Hello,
    KnownOrder,
    Refused,
    Report,
    RuntimeFrame,
    Submit,
    Welcome,
    decode_gateway_frame,
    encode_frame,
    read_frame_body,
)

_DEADLINE_S: Final = 10.0


class Peer:
    """One process of a strategy. ``told``: its reports by sequence, over all its connections."""

    def __init__(self, strategy: str, epoch: int, instance: str) -> None:
        self.strategy = strategy
        self.epoch = epoch
        self.instance = instance
        self.welcome: Welcome | None = None
        self.refused: Refused | None = None
        self.first_orders: tuple[KnownOrder, ...] = ()
        self.told: dict[int, OrderReport] = {}
        self.first = 0
        """The last report before this process came: its welcome held everything up to there."""
        self.broken: list[str] = []
        self.is_open = False
        self._opened = asyncio.Event()
        self._came = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def last(self) -> int:
        """The last report that it has."""
        return max(self.told, default=self.first)

    async def connect(self, address: str, permit: str) -> None:
        """Return when it was welcomed or refused."""
        await self.hang_up()
        reader, self._writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
        self._opened.clear()
        was_new = self.welcome is None
        self._send(
            Hello(
                permit=permit,
                instance=self.instance,
                last_report_sequence=self.last,
                timeframe_us=5_000_000,
                acts_on_ticks=False,
            )
        )
        self._task = asyncio.create_task(self._read(reader, was_new=was_new))
        async with asyncio.timeout(_DEADLINE_S):
            await self._opened.wait()

    async def told_up_to(self, sequence: int) -> None:
        """Return when it has that report, or no connection."""
        while self.is_open and self.last < sequence:
            self._came.clear()
            await self._came.wait()

    def submit(self, intent: OrderIntent) -> None:
        self._send(Submit(intent=intent))

    def cancel(self, intent: CancelIntent) -> None:
        self._send(Cancel(intent=intent))

    async def hang_up(self) -> None:
        """Lose the connection: what is on its way is gone."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None
        self.is_open = False

    def go_deaf(self) -> None:
        """The other side is dead from this moment: nothing that it still writes arrives."""
        if self._task is not None:
            self._task.cancel()

    def _send(self, frame: RuntimeFrame) -> None:
        if self._writer is not None:
            self._writer.write(encode_frame(frame))

    async def _read(self, reader: asyncio.StreamReader, *, was_new: bool) -> None:
        try:
            while (body := await read_frame_body(reader)) is not None:
                self._take(decode_gateway_frame(body), was_new=was_new)
        except OSError:
            pass
        finally:
            self.is_open = False
            self._opened.set()
            self._came.set()

    def _take(self, frame: GatewayFrame, *, was_new: bool) -> None:
        match frame:
            case Welcome():
                self.welcome = frame
                self.is_open = True
                if was_new:
                    self.first = frame.last_report_sequence
                    self.first_orders = frame.orders
                self._opened.set()
            case Refused():
                self.refused = frame
                self.is_open = False
                self._opened.set()
            case Report(report=report):
                if report.sequence != self.last + 1:
                    self.broken.append(f"{self.strategy}: report {report.sequence} after {self.last}")
                self.told[report.sequence] = report
                self._came.set()
            case _:
                pass


async def command(address: str, frame: Command) -> CommandResult | None:
    """One command of the fleet; None when the connection ended before its answer."""
    reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
    try:
        writer.write(encode_frame(frame))
        with contextlib.suppress(OSError):
            while (body := await read_frame_body(reader)) is not None:
                answer = decode_gateway_frame(body)
                if isinstance(answer, CommandResult):
                    return answer
        return None
    finally:
        writer.close()
