"""The runtime's session against a gateway that breaks in every way a connection can."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest

from christmas.execution.order import CancelIntent, OrderIntent, OrderReport, OrderStatus
from christmas.execution.protocol import (
    Advance,
    Cancel,
    Fees,
    GatewayFrame,
    Goodbye,
    Hello,
    KnownOrder,
    Mode,
    Ping,
    Refused,
    Report,
    RuntimeFrame,
    SignalNote,
    Submit,
    Welcome,
    decode_runtime_frame,
    encode_frame,
    read_frame_body,
)
from christmas.runtime.session import GatewaySession, SessionRefused

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def intent(name: str) -> OrderIntent:
    return OrderIntent(
        client_order_id=name,
        symbol="BTC/USDT",
        side="buy",
        type="limit",
        lots=1,
        price=Decimal(1),
        purpose="entry",
        position_id=name,
        decided_us=1,
    )


def report(sequence: int, name: str, status: OrderStatus = OrderStatus.ACCEPTED) -> Report:
    return Report(
        report=OrderReport(
            sequence=sequence, client_order_id=name, status=status, filled_lots=0, leaves_lots=1, time_us=1
        )
    )


def welcome(*known: str, mode: Mode = "live") -> Welcome:
    return Welcome(
        strategy="s",
        strategy_uid="u",
        epoch=1,
        mode=mode,
        market="paper",
        clock_us=0,
        instruments={},
        fees=Fees(maker=Decimal(0), taker=Decimal(0)),
        orders=tuple(KnownOrder(intent=intent(name), status=OrderStatus.ACCEPTED) for name in known),
    )


async def receive(reader: asyncio.StreamReader) -> RuntimeFrame | None:
    """The next frame that is no ping; None at the end."""
    while True:
        body = await asyncio.wait_for(read_frame_body(reader), 10)
        if body is None:
            return None
        frame = decode_runtime_frame(body)
        if not isinstance(frame, Ping):
            return frame


class Script:
    """A gateway that plays one scene a connection."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.scenes: list[Talk] = []
        self.hellos: list[Hello] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await receive(reader)
        assert isinstance(hello, Hello)
        self.hellos.append(hello)
        try:
            await self.scenes.pop(0)(reader, writer)
        finally:
            writer.close()


@pytest.fixture
async def script(tmp_path: Path) -> AsyncIterator[Script]:
    path = tmp_path / "gateway.sock"
    made = Script(f"unix:{path}")
    server = await asyncio.start_unix_server(made.talk, path)
    yield made
    server.close()
    await server.wait_closed()


def session(script: Script) -> GatewaySession:
    return GatewaySession(script.address, Hello(permit="p", instance="i", timeframe_us=1, acts_on_ticks=False))


async def play(made: GatewaySession, *, on_welcome: Callable[[], None] = lambda: None) -> list[GatewayFrame]:
    frames: list[GatewayFrame] = []
    async with asyncio.timeout(20):
        async for frame in made.frames():
            frames.append(frame)
            if isinstance(frame, Welcome):
                on_welcome()
    return frames


def say(*frames: GatewayFrame) -> Talk:
    async def scene(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for frame in frames:
            writer.write(encode_frame(frame))
        with contextlib.suppress(ConnectionError):
            await writer.drain()

    return scene


async def test_an_intent_without_an_answer_is_sent_again_with_the_same_id(script: Script) -> None:
    received: list[RuntimeFrame | None] = []

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode_frame(welcome()))
        received.append(await receive(reader))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode_frame(welcome()))
        received.append(await receive(reader))
        writer.write(encode_frame(report(1, "x1")))
        writer.write(encode_frame(Goodbye(reason="over")))

    script.scenes = [swallow, answer]
    made = session(script)
    submit = Submit(intent=intent("x1"))
    sent: list[bool] = []

    def once() -> None:
        if not sent:
            sent.append(True)
            made.submit(submit)

    await play(made, on_welcome=once)
    assert received == [submit, submit]


async def test_what_the_welcome_knows_is_not_sent_again(script: Script) -> None:
    received: list[RuntimeFrame | None] = []

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode_frame(welcome()))
        await receive(reader)
        await receive(reader)

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode_frame(welcome("x1")))
        received.append(await receive(reader))
        writer.write(encode_frame(Goodbye(reason="over")))

    script.scenes = [swallow, listen]
    made = session(script)
    cancel = Cancel(intent=CancelIntent(client_order_id="x1", decided_us=2))
    sent: list[bool] = []

    def once() -> None:
        if not sent:
            sent.append(True)
            made.submit(Submit(intent=intent("x1")))
            made.cancel(cancel)

    await play(made, on_welcome=once)
    assert received == [cancel]


async def test_signals_of_a_window_that_was_not_seen_to_are_sent_again(script: Script) -> None:
    """In lock-step the next window says that the ones before are on disk."""
    received: list[RuntimeFrame | None] = []

    async def first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode_frame(welcome(mode="lockstep")))
        for clock_us in (1, 2):
            writer.write(encode_frame(Advance(clock_us=clock_us, sequences={})))
            received.append(await receive(reader))

    async def second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode_frame(welcome(mode="lockstep")))
        received.append(await receive(reader))
        writer.write(encode_frame(Goodbye(reason="over")))

    def note(time_us: int) -> SignalNote:
        return SignalNote(time_us=time_us, symbol="BTC/USDT", signal="entry", taken=False, reason="")

    script.scenes = [first, second]
    made = session(script)
    async with asyncio.timeout(20):
        async for frame in made.frames():
            if isinstance(frame, Advance):
                made.note(note(frame.clock_us))
    assert received == [note(1), note(2), note(2)]


async def test_a_session_resumes_after_the_last_report(script: Script) -> None:
    script.scenes = [
        say(welcome(), report(1, "x1"), report(2, "x1")),
        say(welcome(), report(3, "x1"), Goodbye(reason="over")),
    ]
    frames = await play(session(script))
    assert [hello.last_report_sequence for hello in script.hellos] == [0, 2]
    assert [frame.report.sequence for frame in frames if isinstance(frame, Report)] == [1, 2, 3]


async def test_a_refusal_is_final(script: Script) -> None:
    script.scenes = [say(Refused(code="InstanceSuperseded", reason="a newer process took over"))]
    with pytest.raises(SessionRefused, match="InstanceSuperseded: a newer process took over"):
        await play(session(script))
    assert len(script.hellos) == 1


async def test_garbage_and_silence_lead_to_a_new_session(script: Script) -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode_frame(welcome()) + b"\x00\x00\x00\x05hello")
        await writer.drain()
        await reader.read()

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode_frame(welcome()))
        await reader.read()

    script.scenes = [garbage, silence, say(welcome(), Goodbye(reason="over"))]
    frames = await play(session(script))
    assert sum(isinstance(frame, Welcome) for frame in frames) == 3


async def test_a_bad_address_names_the_mend() -> None:
    made = GatewaySession("nowhere", Hello(permit="p", instance="i", timeframe_us=1, acts_on_ticks=False))
    with pytest.raises(ValueError, match="use unix:/path or tcp://host:port"):
        await play(made)


class Closed:
    """A writer as uvloop leaves it behind when a connection broke while nobody looked."""

    class transport:  # noqa: N801 (a writer has it by this name)
        @staticmethod
        def get_write_buffer_size() -> int:
            return 0

    def write(self, _data: bytes) -> None:
        raise RuntimeError("unable to perform operation on <UnixTransport closed=True>; the handler is closed")


async def test_a_connection_that_broke_unseen_ends_no_strategy_and_what_was_to_be_sent_is_sent_again(
    tmp_path: Path,
) -> None:
    heard: list[RuntimeFrame | None] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await receive(reader))
        writer.write(encode_frame(welcome()))
        heard.append(await receive(reader))
        writer.write(encode_frame(Goodbye(reason="done")))

    hello = Hello(permit="p", instance="i", last_report_sequence=0, timeframe_us=1, acts_on_ticks=False)
    session = GatewaySession(f"unix:{tmp_path}/g.sock", hello)
    session._writer = Closed()  # type: ignore[assignment]
    session.submit(Submit(intent=intent("o")))
    assert not session.is_connected
    async with await asyncio.start_unix_server(talk, f"{tmp_path}/g.sock"):
        async for _ in session.frames():
            pass
    assert isinstance(heard[1], Submit)
