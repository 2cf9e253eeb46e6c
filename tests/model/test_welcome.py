"""A welcome tells nothing that a gateway killed at that moment would have forgotten."""

from __future__ import annotations

import asyncio
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from christmas.brokers.gateway.ledger import Owner
from christmas.brokers.gateway.session import Session
from christmas.execution.order import OrderIntent
from tests.model.life import JOURNAL_FILE, LIMITS, SYMBOL, T0, Life, permit_for
from tests.model.peer import Peer
from tests.support.waiting import eventually


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
