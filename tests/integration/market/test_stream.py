"""Writer and reader over a real Redis: every tick once and in order, whatever breaks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from christmas.market.bars import BarBuilder, bars_from_ticks
from christmas.market.raw import FeedTick
from christmas.market.reader import TickReader
from christmas.market.sequencer import Sequencer
from christmas.market.stream import Message, Quarantined, quarantine_key, stream_key
from christmas.market.tick import ClockAdvance, Tick, TickBatch, clock_channel, ticks_key
from christmas.market.writer import TickWriter
from tests.integration.market.support import MARKET, check_order, ids_of, kill_someone, kill_subscribers, ticks_of
from tests.support.data import FUTURES_BTC, read_trades
from tests.support.servers import ValkeyServer
from tests.support.ticks import BTC, ETH, OTHER, SECOND_US, START_US, SYMBOL, feed_tick, tick
from tests.support.waiting import eventually

INSTRUMENTS = {SYMBOL: BTC, OTHER: ETH}
END_US = START_US + 86_400 * SECOND_US


class Gateway:
    """A sequencer and a writer, as a gateway has them."""

    def __init__(self, sequencer: Sequencer, writer: TickWriter) -> None:
        self.sequencer = sequencer
        self.writer = writer

    @classmethod
    async def start(cls, redis: Redis) -> Gateway:
        writer = TickWriter(redis, MARKET)
        state = await writer.load_state(tuple(INSTRUMENTS))
        return cls(Sequencer(INSTRUMENTS, state=state), writer)

    async def take(self, *prints: FeedTick) -> list[Message]:
        sequenced = self.sequencer.accept(prints)
        await self.writer.write_sequenced(sequenced)
        return sequenced.messages

    async def clock_to(self, time_us: int) -> None:
        await self.writer.write(self.sequencer.clock_to(time_us))


@pytest.fixture
async def gateway(redis_client: Redis) -> AsyncIterator[Gateway]:
    gateway = await Gateway.start(redis_client)
    yield gateway
    await gateway.writer.close()


def series(first: int, count: int, *, step_us: int = 100_000, symbol: str = SYMBOL) -> list[FeedTick]:
    return [feed_tick(n, START_US + n * step_us, symbol=symbol) for n in range(first, first + count)]


async def read_ticks(reader: TickReader, count: int) -> list[Message]:
    """Messages with ``count`` ticks."""
    messages: list[Message] = []
    async with asyncio.timeout(20):
        while len(ids_of(messages)) < count:
            messages.append(await anext(reader))
    return messages


async def expect_silence(reader: TickReader) -> None:
    """Nothing more comes: neither a doorbell nor, when the sets are read again, anything from them."""
    with pytest.raises(TimeoutError):
        await reader.read_until({SYMBOL: 10**9}, 0, deadline_s=0.2)
    async with asyncio.timeout(5):
        messages = await reader.read_until(reader.sequences, reader.clock_us)
    assert ids_of(messages) == []


async def test_the_reader_gets_what_the_gateway_published(gateway: Gateway, redis_url: str) -> None:
    async with TickReader(redis_url, MARKET, [SYMBOL, OTHER]) as reader:
        published = await gateway.take(*series(0, 30), *series(30, 3, symbol=OTHER))
        await gateway.clock_to(START_US + 60 * SECOND_US)
        read = await reader.read_until({SYMBOL: 30, OTHER: 3}, START_US + 60 * SECOND_US)
    assert read == [*published, ClockAdvance(time_us=START_US + 60 * SECOND_US)]
    assert reader.sequences == gateway.sequencer.sequences
    assert reader.clock_us == gateway.sequencer.clock_us


async def test_redis_holds_what_the_design_says(gateway: Gateway, redis_client: Redis) -> None:
    twins = [feed_tick(1, START_US), feed_tick(2, START_US)]
    await gateway.take(*twins)
    members = await redis_client.zrange(ticks_key(MARKET, SYMBOL), 0, -1, withscores=True)
    assert [(msgspec.json.decode(member, type=Tick).trade_id, score) for member, score in members] == [
        ("1", float(START_US)),
        ("2", float(START_US)),
    ]
    fields = await redis_client.hgetall(stream_key(MARKET))  # type: ignore[misc]
    assert fields == {SYMBOL.encode(): b"2", b"clock": str(START_US).encode(), b"quarantine": b"0"}


async def test_the_doorbells_are_the_contracts_messages(gateway: Gateway, redis_client: Redis) -> None:
    async with redis_client.pubsub() as pubsub:
        await pubsub.subscribe(ticks_key(MARKET, SYMBOL), clock_channel(MARKET))
        published = await gateway.take(*series(0, 3))
        heard: list[bytes] = []
        while len(heard) < 2:
            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=5)
            assert message is not None or not heard
            if message is not None:
                heard.append(message["data"])
    clock, batch = heard
    assert [msgspec.json.decode(clock, type=ClockAdvance), msgspec.json.decode(batch, type=TickBatch)] == published


async def test_a_reader_begins_where_it_is_told_to(gateway: Gateway, redis_url: str) -> None:
    await gateway.take(*series(0, 50))
    async with TickReader(redis_url, MARKET, [SYMBOL], START_US + 20 * 100_000) as reader:
        await gateway.take(*series(50, 10))
        messages = await read_ticks(reader, 40)
        assert ids_of(messages) == [str(n) for n in range(20, 60)]
        assert ticks_of(messages)[0].time_us == START_US + 20 * 100_000
        check_order(messages)
        await expect_silence(reader)
    async with TickReader(redis_url, MARKET, [SYMBOL]) as reader:
        await gateway.take(*series(60, 1))
        assert ids_of(await read_ticks(reader, 1)) == ["60"]
        await expect_silence(reader)


async def test_paging_through_a_long_recording_leaves_nothing_out(gateway: Gateway, redis_url: str) -> None:
    both = [each for n in range(700) for each in (series(n, 1)[0], series(n, 1, step_us=37_000, symbol=OTHER)[0])]
    await gateway.take(*sorted(both, key=lambda raw: raw.time_us))
    same_time = [feed_tick(n, START_US + 80 * SECOND_US) for n in range(1_000, 1_050)]
    await gateway.take(*same_time)
    async with TickReader(redis_url, MARKET, [SYMBOL, OTHER], 0, page=7) as reader:
        messages = await read_ticks(reader, 1_450)
        await expect_silence(reader)
    ticks = ticks_of(messages)
    assert [t.time_us for t in ticks] == sorted(t.time_us for t in ticks)
    for symbol, count in ((SYMBOL, 750), (OTHER, 700)):
        ids = [int(t.trade_id) for t in ticks if t.symbol == symbol]
        assert ids == sorted(ids)
        assert len(set(ids)) == count
        batches = [m for m in messages if isinstance(m, TickBatch) and m.ticks[0].symbol == symbol]
        assert [m.sequence for m in batches][-1] == count
    check_order(messages)


async def test_a_backlog_ends_where_the_stream_goes_on(gateway: Gateway, redis_url: str) -> None:
    await gateway.take(*series(0, 30))
    async with TickReader(redis_url, MARKET, [SYMBOL]) as reader:
        await gateway.take(*series(30, 5))
        backlog = await reader.backlog(START_US + 10 * 100_000)
        assert [t.trade_id for t in backlog] == [str(n) for n in range(10, 35)]
        await gateway.take(*series(35, 5))
        assert ids_of(await read_ticks(reader, 5)) == [str(n) for n in range(35, 40)]
        with pytest.raises(RuntimeError, match="before anything was read"):
            await reader.backlog(0)


async def test_doorbells_lost_in_a_disconnect_are_mended(gateway: Gateway, redis_url: str, redis_client: Redis) -> None:
    async with TickReader(redis_url, MARKET, [SYMBOL]) as reader:
        messages: list[Message] = []
        for first in range(0, 100, 10):
            await gateway.take(*series(first, 5))
            await kill_subscribers(redis_client)
            await gateway.take(*series(first + 5, 5))
            messages += await read_ticks(reader, 10)
        assert ids_of(messages) == [str(n) for n in range(100)]
        check_order(messages)
        await expect_silence(reader)


async def test_late_ticks_missed_in_a_disconnect_are_found(
    gateway: Gateway, redis_url: str, redis_client: Redis
) -> None:
    async with TickReader(redis_url, MARKET, [SYMBOL], 0) as reader:
        await gateway.take(*series(0, 600, step_us=50_000))
        await read_ticks(reader, 600)
        await kill_subscribers(redis_client)
        await gateway.take(feed_tick(900, START_US + 7), feed_tick(901, START_US + 31 * SECOND_US))
        messages = await read_ticks(reader, 2)
        assert [(t.trade_id, t.late) for t in ticks_of(messages)] == [("900", True), ("901", False)]
        await expect_silence(reader)


async def test_a_gap_that_only_sequences_show_is_mended(gateway: Gateway, redis_url: str, redis_client: Redis) -> None:
    async with TickReader(redis_url, MARKET, [SYMBOL]) as reader:
        await gateway.take(*series(0, 3))
        await read_ticks(reader, 3)
        # Written without a doorbell, as by a Redis that came back between the two.
        silent = gateway.sequencer.accept(series(3, 2))
        (batch,) = (m for m in silent.messages if isinstance(m, TickBatch))
        await redis_client.zadd(ticks_key(MARKET, SYMBOL), {msgspec.json.encode(t): t.time_us for t in batch.ticks})
        await redis_client.hset(stream_key(MARKET), SYMBOL, str(batch.sequence))  # type: ignore[misc]
        await gateway.take(*series(5, 2))
        assert ids_of(await read_ticks(reader, 4)) == ["3", "4", "5", "6"]
        await expect_silence(reader)


async def test_messages_told_twice_are_taken_once(gateway: Gateway, redis_url: str) -> None:
    async with TickReader(redis_url, MARKET, [SYMBOL]) as reader:
        messages = await gateway.take(*series(0, 20))
        await gateway.writer.write(messages)
        await gateway.writer.write(messages[-1:])
        await gateway.take(*series(20, 1))
        assert ids_of(await read_ticks(reader, 21)) == [str(n) for n in range(21)]
        await expect_silence(reader)


async def test_a_gateway_that_starts_again_repeats_nothing(
    gateway: Gateway, redis_url: str, redis_client: Redis
) -> None:
    async with TickReader(redis_url, MARKET, [SYMBOL]) as reader:
        await gateway.take(*series(0, 40))
        second = await Gateway.start(redis_client)
        # An exchange that is subscribed to anew tells the last prints again.
        await second.take(*series(30, 20))
        assert second.sequencer.sequences[SYMBOL] == 50
        assert second.sequencer.clock_us == gateway.sequencer.clock_us + SECOND_US
        messages = await read_ticks(reader, 50)
        assert ids_of(messages) == [str(n) for n in range(50)]
        check_order(messages)
        await expect_silence(reader)
        await second.writer.close()
    assert await redis_client.zcard(ticks_key(MARKET, SYMBOL)) == 50


async def test_a_stream_that_begins_anew_is_followed(gateway: Gateway, redis_url: str, redis_client: Redis) -> None:
    async with TickReader(redis_url, MARKET, [SYMBOL]) as reader:
        await gateway.take(*series(0, 40))
        await read_ticks(reader, 40)
        await redis_client.flushall()
        fresh = await Gateway.start(redis_client)
        await fresh.take(*series(40, 5))
        await fresh.take(*series(45, 5))
        assert ids_of(await read_ticks(reader, 10)) == [str(n) for n in range(40, 50)]
        assert reader.sequences[SYMBOL] == 10
        await fresh.writer.close()


def counted(name: str) -> float:
    return REGISTRY.get_sample_value(f"christmas_reader_{name}_total", {"market": MARKET}) or 0.0


@pytest.mark.parametrize("page", [2, 1_000])
async def test_stored_prints_that_cannot_be_read_are_passed_over_counted_and_told_once(
    gateway: Gateway, redis_url: str, redis_client: Redis, page: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Nonsense, another symbol's print and one at a wrong time: neither a reader nor a gateway that starts breaks."""
    await gateway.take(*series(0, 20))
    stray = msgspec.json.encode(tick(77, START_US, symbol=OTHER))
    displaced = msgspec.json.encode(tick(78, START_US))
    nonsense = {b"\xff": START_US, b"{}": START_US + 500_000, b"[" * 5_000: START_US + 500_000, b"x": START_US + 10**9}
    await redis_client.zadd(ticks_key(MARKET, SYMBOL), nonsense | {stray: START_US, displaced: START_US + 700_000})
    unreadable, missed = counted("unreadable"), counted("missed_ticks")
    async with TickReader(redis_url, MARKET, [SYMBOL, OTHER], START_US, page=page) as reader:
        messages = await read_ticks(reader, 20)
        await kill_subscribers(redis_client)
        await gateway.take(*series(20, 5))
        messages += await read_ticks(reader, 5)
        await expect_silence(reader)
        assert reader.sequences[SYMBOL] == 25
    assert ids_of(messages) == [str(n) for n in range(25)]
    check_order(messages)
    assert counted("unreadable") - unreadable == 6
    assert counted("missed_ticks") == missed
    assert sum("cannot be read" in record.message for record in caplog.records) == 6
    async with TickReader(redis_url, MARKET, [SYMBOL]) as late_comer:
        await gateway.take(*series(25, 1))
        assert ids_of(await read_ticks(late_comer, 1)) == ["25"]
    again = await Gateway.start(redis_client)
    await again.take(*series(20, 7))
    assert again.sequencer.sequences[SYMBOL] == 27
    await again.writer.close()


async def test_a_cancelled_read_loses_nothing(gateway: Gateway, redis_url: str) -> None:
    async with TickReader(redis_url, MARKET, [SYMBOL]) as reader:
        read: list[Message] = []
        for n in range(60):
            await gateway.take(*series(n, 1))
            try:
                async with asyncio.timeout(0.0005 * (n % 4)):
                    read.append(await anext(reader))
            except TimeoutError:
                pass
        read += await read_ticks(reader, 60 - len(ids_of(read)))
        assert ids_of(read) == [str(n) for n in range(60)]


async def test_read_takes_what_is_at_hand(gateway: Gateway, redis_url: str) -> None:
    async with TickReader(redis_url, MARKET, [SYMBOL]) as reader:
        for n in range(0, 100, 10):
            await gateway.take(*series(n, 10))
        first = await reader.read(maximum_ticks=45, linger_s=1.0)
        assert ids_of(first) == [str(n) for n in range(50)]
        rest = await reader.read(linger_s=0.2)
        assert ids_of(rest) == [str(n) for n in range(50, 100)]


async def test_read_until_waits_for_the_position_and_gives_up_at_its_deadline(gateway: Gateway, redis_url: str) -> None:
    async with TickReader(redis_url, MARKET, [SYMBOL]) as reader:
        waiting = asyncio.create_task(reader.read_until({SYMBOL: 20, OTHER: 99}, START_US + 5 * SECOND_US))
        await gateway.take(*series(0, 10))
        await gateway.take(*series(10, 10))
        assert not waiting.done()
        await gateway.clock_to(START_US + 5 * SECOND_US)
        messages = await asyncio.wait_for(waiting, 5)
        assert ids_of(messages) == [str(n) for n in range(20)]
        assert messages[-1] == ClockAdvance(time_us=START_US + 5 * SECOND_US)
        assert await reader.read_until({SYMBOL: 20}, START_US) == []
        await gateway.take(*series(60, 1))
        with pytest.raises(TimeoutError):
            await reader.read_until({SYMBOL: 22}, START_US, deadline_s=0.3)
        assert ids_of(await reader.read_until({SYMBOL: 21}, START_US)) == ["60"], "what had come is still there"


async def test_a_slow_reader_is_cut_off_by_redis_and_catches_up(
    gateway: Gateway, redis_url: str, redis_client: Redis
) -> None:
    await redis_client.config_set("client-output-buffer-limit", "pubsub 65536 65536 60")
    try:
        async with TickReader(redis_url, MARKET, [SYMBOL]) as reader:
            for first in range(0, 60_000, 2_000):
                await gateway.take(*series(first, 2_000, step_us=1_000))
            messages = await read_ticks(reader, 60_000)
            assert ids_of(messages) == [str(n) for n in range(60_000)]
            check_order(messages)
    finally:
        await redis_client.config_set("client-output-buffer-limit", "pubsub 33554432 8388608 60")


async def test_quarantined_prints_are_kept_with_their_reason(redis_client: Redis) -> None:
    gateway = await Gateway.start(redis_client)
    await gateway.take(feed_tick(1, START_US), feed_tick(2, START_US, price="0"))
    again = await Gateway.start(redis_client)
    await again.take(feed_tick(3, START_US, symbol="DOGE/USDT"))
    entries = await redis_client.xrange(quarantine_key(MARKET))
    assert [name for name, _ in entries] == [b"1-0", b"2-0"]
    kept = [msgspec.json.decode(fields[b"q"], type=Quarantined) for _, fields in entries]
    assert [(each.print.trade_id, each.reason) for each in kept] == [("2", "BadPrice"), ("3", "UnknownSymbol")]
    assert await redis_client.zcard(ticks_key(MARKET, SYMBOL)) == 1
    await gateway.writer.close()
    await again.writer.close()


async def test_a_durable_redis_that_is_killed_loses_nothing(own_valkey: ValkeyServer) -> None:
    client = Redis.from_url(own_valkey.url)
    gateway = await Gateway.start(client)
    async with TickReader(own_valkey.url, MARKET, [SYMBOL]) as reader:
        read: list[Message] = []
        for first in range(0, 200, 50):
            await gateway.take(*series(first, 50))
            await asyncio.to_thread(own_valkey.restart)
        await gateway.take(*series(200, 50))
        read += await read_ticks(reader, 250)
        assert ids_of(read) == [str(n) for n in range(250)]
        check_order(read)
        await expect_silence(reader)
    await gateway.writer.close()
    await client.aclose()


async def test_a_redis_that_forgot_everything_is_given_the_newest_ticks_again(own_valkey: ValkeyServer) -> None:
    alerts: list[str] = []
    client = Redis.from_url(own_valkey.url)
    gateway = await Gateway.start(client)
    gateway.writer = TickWriter(client, MARKET, on_alert=lambda reason, _: alerts.append(reason))
    async with TickReader(own_valkey.url, MARKET, [SYMBOL]) as reader:
        await gateway.take(*series(0, 50))
        async with Redis.from_url(own_valkey.url) as other:
            await other.flushall()
            await other.client_kill_filter(_type="normal", skipme=True)
            await kill_subscribers(other)
        await gateway.take(*series(50, 50))
        read = await read_ticks(reader, 100)
        assert ids_of(read) == [str(n) for n in range(100)]
        await expect_silence(reader)
    async with Redis.from_url(own_valkey.url) as other:
        assert await other.zcard(ticks_key(MARKET, SYMBOL)) == 100
    assert "RedisLostTicks" in alerts
    await gateway.writer.close()
    await client.aclose()


async def test_the_writer_waits_for_redis_and_then_goes_on(own_valkey: ValkeyServer) -> None:
    client = Redis.from_url(own_valkey.url)
    gateway = await Gateway.start(client)
    await gateway.take(*series(0, 1))
    await asyncio.to_thread(own_valkey.kill)
    writing = asyncio.create_task(gateway.take(*series(1, 1)))
    reader = TickReader(own_valkey.url, MARKET, [SYMBOL], 0)
    starting = asyncio.create_task(reader.start())
    await asyncio.sleep(0.3)
    assert not writing.done()
    assert not starting.done()
    await asyncio.to_thread(own_valkey.start)
    await asyncio.wait_for(asyncio.gather(writing, starting), 20)
    assert ids_of(await read_ticks(reader, 2)) == ["0", "1"]
    await reader.close()
    await gateway.writer.close()
    await client.aclose()


@pytest.mark.parametrize("seed", [1, 2])
async def test_real_trades_with_random_disconnects(
    redis_url: str, redis_client: Redis, shared_data: Path, seed: int
) -> None:
    """All 21,313 futures trades, some out of order or told twice, while connections are cut at random."""
    dice = random.Random(seed)
    raws = [msgspec.structs.replace(raw, symbol=SYMBOL) for raw in read_trades(shared_data / FUTURES_BTC)]
    distinct = len(raws)
    for _ in range(400):
        first = dice.randrange(len(raws) - 60)
        raws.insert(first + dice.randrange(60), raws[first])
    for _ in range(400):
        first = dice.randrange(len(raws) - 400)
        raws.insert(first + dice.randrange(400), raws.pop(first))
    gateway = await Gateway.start(redis_client)
    written: list[Message] = []
    finished = asyncio.Event()

    async def write() -> None:
        nonlocal gateway
        position = 0
        while position < len(raws):
            size = dice.choice((1, 3, 20, 80))
            written.extend(await gateway.take(*raws[position : position + size]))
            position += size
            if dice.random() < 0.004:
                await gateway.writer.close()
                gateway = await Gateway.start(redis_client)
                position = max(0, position - dice.randrange(200))
        await gateway.clock_to(END_US)
        finished.set()

    async def cut() -> None:
        async with Redis.from_url(redis_url) as knife:
            while not finished.is_set():
                await kill_someone(knife, dice)
                await asyncio.sleep(dice.uniform(0, 0.08))

    async def read(reader: TickReader) -> list[Message]:
        messages: list[Message] = []
        while reader.clock_us < END_US:
            messages.append(await anext(reader))
        return messages

    async with TickReader(redis_url, MARKET, [SYMBOL]) as reader, asyncio.timeout(90):
        reading = asyncio.create_task(read(reader))
        await asyncio.gather(write(), cut())
        messages = await reading
    await gateway.writer.close()
    ids = ids_of(messages)
    assert len(ids) == distinct
    assert len(set(ids)) == distinct
    check_order(messages)
    assert {t.trade_id: t for t in ticks_of(messages)} == {t.trade_id: t for t in ticks_of(written)}

    builder = BarBuilder(SYMBOL, 5 * SECOND_US)
    live = []
    for message in messages:
        if isinstance(message, TickBatch):
            for each in message.ticks:
                live += builder.add(each)
        else:
            live += builder.advance(message.time_us)
    recorded = [
        msgspec.json.decode(member, type=Tick) for member in await redis_client.zrange(ticks_key(MARKET, SYMBOL), 0, -1)
    ]
    assert live == bars_from_ticks(recorded, 5 * SECOND_US)


async def test_the_clock_and_all_symbols_are_in_one_order(gateway: Gateway, redis_url: str) -> None:
    """Clock and symbols travel on channels of their own; a reader sees them as they were published."""
    published: list[Message] = []
    async with TickReader(redis_url, MARKET, [SYMBOL, OTHER]) as reader:
        for n in range(300):
            symbol = (SYMBOL, OTHER)[n % 3 == 0]
            published += await gateway.take(feed_tick(n, START_US + n * 90_000, symbol=symbol))
            if n % 25 == 0:
                await gateway.clock_to(START_US + (n + 12) * 90_000)
                if gateway.sequencer.clock_us > max(m.time_us for m in published if isinstance(m, ClockAdvance)):
                    published.append(ClockAdvance(time_us=gateway.sequencer.clock_us))
        read = await reader.read_until(gateway.sequencer.sequences, gateway.sequencer.clock_us)
    assert read == published
    check_order(read)


async def test_readers_that_share_a_stream_do_not_wait_for_each_other(gateway: Gateway, redis_url: str) -> None:
    readers = [TickReader(redis_url, MARKET, [SYMBOL]) for _ in range(5)]
    for reader in readers:
        await reader.start()
    await gateway.take(*series(0, 10))
    for reader in reversed(readers):
        assert ids_of(await read_ticks(reader, 10)) == [str(n) for n in range(10)]
        await reader.close()


async def test_a_closed_reader_leaves_no_connection_behind(redis_url: str, redis_client: Redis) -> None:
    async with TickReader(redis_url, MARKET, [SYMBOL]):
        assert len(await redis_client.client_list(_type="pubsub")) == 1

    async def gone() -> bool:
        return not await redis_client.client_list(_type="pubsub")

    assert await eventually(gone)
