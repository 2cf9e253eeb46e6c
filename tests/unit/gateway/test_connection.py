"""One connection: bounded, pinged, and cut off when its peer does not read."""

from __future__ import annotations

import asyncio
from pathlib import Path

from christmas.brokers.gateway.session import OUTGOING_MAXIMUM_BYTES, Connection
from christmas.execution.protocol import TradingState
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
    connections: list[Connection] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(Connection(reader, writer))

    server = await asyncio.start_unix_server(accept, tmp_path / "s")
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
    await eventually(lambda: connections)
    connection = connections[0]
    opened = connection.heard_at
    connection.beat(opened + 0.5)
    connection.beat(opened + 1.1)
    connection.beat(opened + 1.2)
    assert connection.is_open
    connection.beat(opened + 3.1)
    assert connection.ended_by == "silence"
    received = await asyncio.wait_for(reader.read(), 5.0)
    assert received.count(b'"ping"') >= 1
    writer.close()
    server.close()
