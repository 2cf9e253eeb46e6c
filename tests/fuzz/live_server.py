"""A gateway that listens, for strange bytes: everything real but the feed and Redis."""

from __future__ import annotations

import asyncio
import atexit
import itertools
import shutil
import tempfile
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

from christmas.execution.order import OrderStatus
from christmas.execution.protocol import (
    Command,
    CommandResult,
    Hello,
    Refused,
    Welcome,
    decode_gateway_frame,
    encode_frame,
    read_frame_body,
)
from christmas.market.tick import Tick
from tests.model.life import LIMITS, SYMBOL, T0, Life, permit_for

_ANSWER_S: Final = 3.0
_FRESH_AFTER: Final = 2_000
"""Inputs after which a new gateway takes over: what is accepted piles up, as it should."""


class Hurt(AssertionError):
    """The gateway did something with the bytes that it must not."""


class LiveServer:
    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._on_exception)
        self._errors: list[str] = []
        self._numbers = itertools.count(1)
        self._root = Path(tempfile.mkdtemp(prefix="cf-"))
        self._life: Life | None = None
        self._lives = itertools.count()
        atexit.register(self._close)

    def strange_bytes(self, data: bytes) -> None:
        """From somebody who holds no permit."""
        self._loop.run_until_complete(self._within_deadline(self._strange(data)))

    def within_session(self, bodies: list[bytes]) -> None:
        """From a strategy that is let in; each body is framed properly."""
        self._loop.run_until_complete(self._within_deadline(self._session(bodies)))

    async def _within_deadline(self, work: Any) -> None:
        number = next(self._numbers)
        if self._life is None or number % _FRESH_AFTER == 0:
            await self._fresh()
        try:
            async with asyncio.timeout(_ANSWER_S * 2):
                await work
        except TimeoutError as error:
            raise Hurt("the gateway hangs") from error
        if self._errors:
            raise Hurt("; ".join(self._errors))

    async def _fresh(self) -> None:
        if self._life is not None:
            await self._life.end()
            shutil.rmtree(self._life.folder)
        folder = self._root / str(next(self._lives))
        folder.mkdir()
        self._life = Life(folder)
        await self._life.start([], T0)
        self._life.show(
            Tick(time_us=T0 + 1_000_000, symbol=SYMBOL, trade_id="1", price=Decimal(100), lots=5, taker_side="buy")
        )
        await self._life.settled()

    async def _strange(self, data: bytes) -> None:
        life = self._life
        assert life is not None
        before = life.journal.sequence
        reader, writer = await self._open()
        writer.write(data)
        writer.write_eof()
        answers = [frame async for frame in _answers(reader)]
        writer.close()
        if any(isinstance(frame, Welcome | CommandResult) for frame in answers):
            raise Hurt(f"let in: {answers}")
        if life.journal.sequence != before:
            raise Hurt("strange bytes were written to the journal")

    async def _session(self, bodies: list[bytes]) -> None:
        life = self._life
        assert life is not None
        reader, writer = await self._open()
        hello = Hello(permit=permit_for("alpha", 1), instance="only", timeframe_us=5_000_000, acts_on_ticks=False)
        writer.write(encode_frame(hello))
        async with asyncio.timeout(_ANSWER_S):
            first = decode_gateway_frame(await read_frame_body(reader) or b"")
        if not isinstance(first, Welcome):
            raise Hurt(f"not let in: {first}")
        for body in bodies:
            writer.write(len(body).to_bytes(4, "big") + body)
        writer.write_eof()
        async for _ in _answers(reader):
            pass
        writer.close()
        await life.settled()
        for order in life.venue.statement().orders:
            self._judge(order.intent.price, order.intent.lots, order.intent.symbol)
        for known in life.ledger.book.orders.values():
            if known.status is OrderStatus.UNKNOWN:
                raise Hurt(f"{known.id} is unknown for ever")
        await self._others_are_served(life)

    @staticmethod
    def _judge(price: Decimal | None, lots: int, symbol: str) -> None:
        cost = (price or Decimal(100)) * Decimal("0.001") * lots
        if symbol != SYMBOL or lots <= 0 or cost > LIMITS.per_trade * 2 or (price is not None and price <= 0):
            raise Hurt(f"{lots} lots of {symbol} at {price} are at the venue")

    async def _others_are_served(self, life: Life) -> None:
        reader, writer = await self._open()
        writer.write(encode_frame(Command(permit=permit_for("fleet", 0, role="admin"), action="positions")))
        answers = [frame async for frame in _answers(reader)]
        writer.close()
        if not any(isinstance(frame, CommandResult) and frame.ok for frame in answers):
            raise Hurt(f"the fleet is not served any more: {answers}")
        if life.journal.failed.done():
            raise Hurt("the journal has failed")

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert self._life is not None
        return await asyncio.open_unix_connection(self._life.address.removeprefix("unix:"))

    def _on_exception(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self._errors.append(f"{context.get('message')}: {error!r}")

    def _close(self) -> None:
        if self._life is not None:
            self._loop.run_until_complete(self._life.end())
        self._loop.close()
        shutil.rmtree(self._root, ignore_errors=True)


async def _answers(reader: asyncio.StreamReader) -> Any:
    """All frames up to the end of the connection, which must come."""
    async with asyncio.timeout(_ANSWER_S):
        try:
            while (body := await read_frame_body(reader)) is not None:
                frame = decode_gateway_frame(body)
                yield frame
                if isinstance(frame, CommandResult | Refused):
                    return
        except ConnectionError:
            return


@cache
def live_server() -> LiveServer:
    return LiveServer()
