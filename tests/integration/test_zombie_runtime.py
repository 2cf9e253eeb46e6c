"""Two runtimes of one Strategy: the older one is stopped, superseded and woken. Only one ever has orders accepted."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from christmas.execution.journal import JournalEntry, OrderWritten, SessionChanged
from tests.faults.bench import Bench, running
from tests.support.servers import ValkeyServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(180)
_decode = msgspec.json.Decoder(JournalEntry).decode


@pytest.fixture
async def bench(tmp_path: Path, own_valkey: ValkeyServer, database_url: str) -> AsyncIterator[Bench]:
    async with running(tmp_path, own_valkey, database_url) as one:
        yield one


def entries(journal: Path) -> list[JournalEntry]:
    connection = sqlite3.connect(f"file:{journal}?mode=ro", uri=True, timeout=5.0)
    try:
        return [_decode(body) for (body,) in connection.execute("SELECT body FROM entries ORDER BY sequence")]
    finally:
        connection.close()


async def test_the_superseded_runtime_is_refused_for_good_and_says_why(bench: Bench) -> None:
    old = bench.runtime
    with old.stopped():
        bench.runtime = bench.make_runtime(epoch=2, folder="runtime-newer")
        bench.runtime.start()
        # The old session's silence need not be waited for: the newer epoch takes over at once.
        await bench.trading(within_s=40.0)
    code = await eventually(
        lambda: [old.exit_code] if old.exit_code is not None else None, within_s=30.0, what="its end"
    )
    assert code == [3]
    assert "EpochSuperseded" in old.log.read_text()
    assert bench.gateway.metrics()['christmas_gateway_refused_total{code="EpochSuperseded"}'] >= 1
    await eventually(lambda: bench.event(event="alert", reason="SessionRefused", severity="critical"), what="the event")
    await bench.trading()
    # With the same permit it is refused again, however often it comes.
    old.start()
    again = await eventually(lambda: [old.exit_code] if old.exit_code is not None else None, within_s=30.0)
    assert again == [3]
    assert await bench.audited() == []
    await asyncio.to_thread(one_writer_at_a_time, bench.journal)


def one_writer_at_a_time(journal: Path) -> None:
    """Behind the newer epoch's first entry no order of the older one is written down; each order names its epoch's."""
    opened, orders = 0, {1: 0, 2: 0}
    for entry in entries(journal):
        if isinstance(entry, SessionChanged) and entry.state == "opened":
            assert entry.epoch >= opened, "an older epoch was let in behind a newer one"
            opened = entry.epoch
        elif isinstance(entry, OrderWritten):
            assert entry.epoch == opened, f"epoch {entry.epoch} traded while {opened} had the session"
            orders[entry.epoch] += 1
    assert orders[1] > 0
    assert orders[2] > 0
