"""A welcome tells nothing that a gateway killed at that moment would have forgotten, and comes however late."""

from __future__ import annotations

import asyncio
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from christmas.brokers.gateway import session as session_module
from christmas.brokers.gateway.ledger import Owner
from christmas.brokers.gateway.session import Session
from christmas.execution.order import OrderIntent
from christmas.execution.protocol import (
    GatewayFrame,
    Hello,
    Ping,
    Welcome,
    decode_gateway_frame,
    encode_frame,
    read_frame_body,
)
from tests.model.life import JOURNAL_FILE, LIMITS, SYMBOL, T0, Life, permit_for
from tests.model.peer import Peer
from tests.support.waiting import eventually


async def test_a_runtime_is_welcomed_however_long_the_opening_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing between its hello and its welcome, and that is not the silence of a dead line."""
    monkeypatch.setattr(session_module, "SILENCE_S", 0.2)
    monkeypatch.setattr(session_module, "PING_AFTER_S", 0.1)
    folder = tmp_path / "g"
    folder.mkdir()
    life = Life(folder)
    await life.start([], T0)
    await life.settled()
    life.server.opened.clear()
    reader, writer = await asyncio.open_unix_connection(life.address.removeprefix("unix:"))
    permit = permit_for("alpha", 1)
    writer.write(encode_frame(Hello(permit=permit, instance="one", timeframe_us=5_000_000, acts_on_ticks=False)))
    # A ping goes out with each beat, so three of them take longer than the silence that is suffered.
    for _ in range(3):
        assert isinstance(await next_frame(reader), Ping)
    life.server.opened.set()
    while isinstance(frame := await next_frame(reader), Ping):
        pass
    assert isinstance(frame, Welcome)
    # From here on it has to be heard.
    await eventually(lambda: "uid-alpha" not in life.server.sessions, what="the silent session is ended")
    writer.close()
    await life.end()


async def next_frame(reader: asyncio.StreamReader) -> GatewayFrame:
    body = await asyncio.wait_for(read_frame_body(reader), 10.0)
    assert body is not None, "the connection was ended"
    return decode_gateway_frame(body)


async def test_what_is_not_yet_on_disk_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "g"
    folder.mkdir()
    life = Life(folder)
    await life.start([], T0)
    await life.settled()
    disk = sqlite3.connect(folder / JOURNAL_FILE, isolation_level=None)
    past_the_fence = life.server._pass_fence

    async def then_the_disk_hangs(session: Session) -> bool:
        is_new = await past_the_fence(session)
        disk.execute("BEGIN IMMEDIATE")
        # Denied for want of a price: a report that is in the book and waits for the disk.
        intent = OrderIntent(
            client_order_id="a",
            symbol=SYMBOL,
            side="buy",
            type="limit",
            lots=1,
            price=Decimal(100),
            purpose="entry",
            position_id="a",
            decided_us=T0,
        )
        life.desk.submit(intent, Owner(strategy="alpha", uid="uid-alpha", epoch=1), LIMITS)
        return is_new

    monkeypatch.setattr(life.server, "_pass_fence", then_the_disk_hangs)
    peer = Peer("alpha", 1, "one")
    connecting = asyncio.create_task(peer.connect(life.address, permit_for("alpha", 1)))
    await eventually(lambda: "uid-alpha" in life.server.sessions, what="the session is open")
    done, _ = await asyncio.wait({connecting}, timeout=0.2)
    assert not done, "welcomed with what is not on disk"
    disk.execute("ROLLBACK")
    disk.close()
    await connecting
    assert peer.welcome is not None
    assert (peer.first, len(peer.welcome.orders)) == (1, 1)
    await peer.hang_up()
    await life.end()
