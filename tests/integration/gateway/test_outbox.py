"""The outbox against a real Redis: every entry once, whatever Redis forgets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import redis.asyncio as redis_asyncio

from christmas.brokers.gateway.journal import Journal
from christmas.brokers.gateway.outbox import Outbox, acked_key
from christmas.execution.journal import JournalEntry, TradingChanged
from tests.support.servers import ValkeyServer
from tests.support.waiting import eventually

STREAM = "journal:paper"


def halts(count: int) -> list[TradingChanged]:
    return [TradingChanged(time_us=number, wall_us=0, enabled=False, reason="") for number in range(count)]


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = Journal(tmp_path / "journal.sqlite")
    yield journal
    journal.close()


async def sequences(client: redis_asyncio.Redis) -> list[int]:
    decoder = msgspec.json.Decoder(JournalEntry)
    entries = await client.xrange(STREAM)
    for identity, fields in entries:
        assert identity == f"{decoder.decode(fields[b'e']).sequence}-0".encode()
    return [decoder.decode(fields[b"e"]).sequence for _, fields in entries]


async def test_every_entry_is_in_the_stream_once(journal: Journal, redis_client: redis_asyncio.Redis) -> None:
    outbox = Outbox(redis_client, journal, "paper")
    await outbox.prepare(is_replay=False)
    pumping = asyncio.create_task(outbox.run())
    journal.append(halts(700))
    assert await outbox.flush(5.0)
    # A second pump, as after a crash that forgot what was sent, writes nothing twice.
    other = Outbox(redis_client, journal, "paper")
    assert await other.pump() == 0
    journal.append(halts(3))
    assert await outbox.flush(5.0)
    assert await sequences(redis_client) == list(range(1, 704))
    pumping.cancel()


async def test_after_a_flush_of_redis_it_goes_on_from_what_the_recorder_has(
    journal: Journal, redis_client: redis_asyncio.Redis
) -> None:
    outbox = Outbox(redis_client, journal, "paper")
    pumping = asyncio.create_task(outbox.run())
    journal.append(halts(50))
    assert await outbox.flush(5.0)
    await redis_client.set(acked_key("paper"), 30)
    await redis_client.xtrim(STREAM, minid="31-0")
    await eventually(lambda: journal.mark("acked") == 30, within_s=5.0)
    await redis_client.flushall()

    async def all_again() -> bool:
        return await sequences(redis_client) == list(range(31, 51))

    await eventually(all_again, within_s=5.0)
    journal.append(halts(5))
    assert await outbox.flush(5.0)
    assert await sequences(redis_client) == list(range(31, 56))
    pumping.cancel()


async def test_a_redis_that_lost_its_newest_entries_gets_them_again(tmp_path: Path, journal: Journal) -> None:
    server = ValkeyServer()
    server.start()
    client = redis_asyncio.Redis.from_url(server.url)
    try:
        outbox = Outbox(client, journal, "paper")
        pumping = asyncio.create_task(outbox.run())
        journal.append(halts(20))
        assert await outbox.flush(5.0)
        await asyncio.to_thread(server.stop)
        journal.append(halts(20))
        assert not await outbox.flush(0.3)
        await asyncio.to_thread(server.start)
        assert await outbox.flush(15.0)
        assert await sequences(client) == list(range(1, 41))
        pumping.cancel()
    finally:
        await client.aclose()
        server.close()


@pytest.mark.parametrize("lost", [[31], [31, 32, 33], [40], list(range(31, 51))])
async def test_a_redis_that_lost_entries_out_of_the_midst_gets_all_again_when_the_recorder_comes_to_the_hole(
    journal: Journal, redis_client: redis_asyncio.Redis, lost: list[int]
) -> None:
    outbox = Outbox(redis_client, journal, "paper")
    journal.append(halts(50))
    await journal.flushed()
    assert await outbox.pump() == 50
    await redis_client.xtrim(STREAM, minid="31-0")
    await redis_client.set(acked_key("paper"), 30)
    await redis_client.xdel(STREAM, *(f"{number}-0" for number in lost))
    # The recorder stores what is before the hole, and trims it.
    await redis_client.set(acked_key("paper"), lost[0] - 1)
    await redis_client.xtrim(STREAM, minid=f"{lost[0]}-0")
    assert await outbox.pump() == 51 - lost[0]
    assert await sequences(redis_client) == list(range(lost[0], 51))
    assert await outbox.pump() == 0


async def test_a_hole_that_the_journal_cannot_fill_stays_as_it_is(
    journal: Journal, redis_client: redis_asyncio.Redis
) -> None:
    await redis_client.xadd(STREAM, {"e": b"{}"}, id="41-0")
    await redis_client.set(acked_key("paper"), 30)
    outbox = Outbox(redis_client, journal, "paper")
    await outbox.prepare(is_replay=False)
    assert journal.append(halts(1))[0].sequence == 42
    await journal.flushed()
    assert await outbox.pump() == 1
    assert [identity for identity, _ in await redis_client.xrange(STREAM)] == [b"41-0", b"42-0"]


async def test_a_new_journal_numbers_above_an_old_stream(journal: Journal, redis_client: redis_asyncio.Redis) -> None:
    await redis_client.xadd(STREAM, {"e": b"{}"}, id="41-0")
    await redis_client.set(acked_key("paper"), 40)
    outbox = Outbox(redis_client, journal, "paper")
    await outbox.prepare(is_replay=False)
    assert journal.append(halts(1))[0].sequence == 42
    await journal.flushed()
    assert await outbox.pump() == 1


async def test_a_replay_begins_its_stream_anew(journal: Journal, redis_client: redis_asyncio.Redis) -> None:
    await redis_client.xadd(STREAM, {"e": b"{}"}, id="41-0")
    outbox = Outbox(redis_client, journal, "paper")
    await outbox.prepare(is_replay=True)
    journal.append(halts(1))
    await journal.flushed()
    await outbox.pump()
    assert await sequences(redis_client) == [1]
