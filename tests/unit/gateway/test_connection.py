"""One connection: bounded, pinged, and cut off when its peer does not read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from christmas.brokers.gateway.session import OUTGOING_MAXIMUM_BYTES, Connection
from christmas.execution.protocol import GatewayFrame, Ping, TradingState, decode_gateway_frame, read_frame_body
from tests.support.waiting import eventually


async def test_a_peer_that_does_not_read_is_cut_off(tmp_path: Path) -> None:
    connections: list[Connection] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(Connection(reader, writer))

    server = await asyncio.start_unix_server(accept, tmp_path / "s")
    _, writer = await asyncio.open_unix_connection(tmp_path / "s", limit=1024)
    await eventually(lambda: connections)
    connection = connections[0]
    frame = TradingState(enabled=True, reason="x" * 10_000)
    for _ in range(1_000):
        connection.send(frame)
        assert connection.waiting_bytes <= OUTGOING_MAXIMUM_BYTES + 11_000
    assert connection.ended_by == "slow_reader"
    assert await connection.receive() is None
    writer.close()
    server.close()


async def test_a_silent_line_is_pinged_and_a_dead_one_ended(tmp_path: Path) -> None:
    async with connected(tmp_path) as (connection, reader):
        began = time.monotonic()
        listening = asyncio.create_task(connection.receive())
        await asyncio.sleep(0)
        connection.beat(began + 0.5)
        connection.beat(time.monotonic() + 1.1)
        connection.beat(time.monotonic() + 1.2)
        assert connection.is_open
        connection.beat(time.monotonic() + 3.1)
        assert connection.ended_by == "silence"
        assert await asyncio.wait_for(listening, 5.0) is None
        received = await asyncio.wait_for(reader.read(), 5.0)
        assert received.count(b'"ping"') >= 1


async def test_a_peer_that_waits_for_us_may_be_silent(tmp_path: Path) -> None:
    """Nobody reads what it sends while its session is being opened, so nothing follows from having heard nothing."""
    async with connected(tmp_path) as (connection, _):
        connection.beat(time.monotonic() + 60.0)
        assert connection.is_open
        listening = asyncio.create_task(connection.receive())
        await asyncio.sleep(0)
        connection.beat(time.monotonic() + 2.9)
        assert connection.is_open
        connection.beat(time.monotonic() + 3.1)
        assert connection.ended_by == "silence"
        await asyncio.wait_for(listening, 5.0)


async def test_a_peer_whose_welcome_waits_for_the_disk_is_pinged_and_may_be_silent(tmp_path: Path) -> None:
    async with connected(tmp_path) as (connection, reader):
        listening = asyncio.create_task(connection.receive())
        await asyncio.sleep(0)
        connection.hold()
        connection.send(TradingState(enabled=True))
        connection.beat(time.monotonic() + 60.0)
        assert connection.is_open
        assert isinstance(await next_frame(reader), Ping)
        connection.release()
        assert isinstance(await next_frame(reader), TradingState)
        connection.beat(time.monotonic() + 2.9)
        assert connection.is_open
        connection.beat(time.monotonic() + 3.1)
        assert connection.ended_by == "silence"
        await asyncio.wait_for(listening, 5.0)


async def next_frame(reader: asyncio.StreamReader) -> GatewayFrame:
    body = await asyncio.wait_for(read_frame_body(reader), 5.0)
    assert body is not None
    return decode_gateway_frame(body)


@asynccontextmanager
async def connected(folder: Path) -> AsyncIterator[tuple[Connection, asyncio.StreamReader]]:
    """A gateway's connection, and what its peer reads."""
    connections: list[Connection] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(Connection(reader, writer))

    server = await asyncio.start_unix_server(accept, folder / "s")
    reader, writer = await asyncio.open_unix_connection(folder / "s")
    await eventually(lambda: connections)
    yield connections[0], reader
    writer.close()
    server.close()
