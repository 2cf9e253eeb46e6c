"""Trimming: only what the recorder has stored, and the alarm before memory is short."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from christmas.market.history import recent_bars
from christmas.market.sequencer import Sequencer
from christmas.market.stream import watermark_key
from christmas.market.tick import ticks_key
from christmas.market.trimming import TrimPolicy
from christmas.market.writer import TickWriter
from tests.integration.market.support import MARKET
from tests.support.ticks import BTC, SECOND_US, START_US, SYMBOL, feed_tick
from tests.support.waiting import eventually

MINUTE_US = 60 * SECOND_US
KEEP_US = 2 * MINUTE_US


class Recorded:
    """Ten minutes of ticks, one a second, and a recorder's watermark that a test moves."""

    def __init__(self, redis: Redis, writer: TickWriter, sequencer: Sequencer, alerts: list[str]) -> None:
        self.redis = redis
        self.writer = writer
        self.sequencer = sequencer
        self.alerts = alerts

    async def take(self, number: int, time_us: int) -> None:
        await self.writer.write(self.sequencer.accept([feed_tick(number, time_us)]).messages)

    async def stored_up_to(self, time_us: int) -> None:
        await self.redis.hset(watermark_key(MARKET), SYMBOL, str(time_us))  # type: ignore[misc]

    async def oldest_us(self) -> int:
        ((_, score),) = await self.redis.zrange(ticks_key(MARKET, SYMBOL), 0, 0, withscores=True)
        return int(score)


@pytest.fixture
async def recorded(redis_client: Redis) -> AsyncIterator[Recorded]:
    alerts: list[str] = []
    writer = TickWriter(
        redis_client,
        MARKET,
        trim=TrimPolicy(keep_us=KEEP_US, every_s=0.02, memory_cap_bytes=150_000),
        on_alert=lambda reason, _: alerts.append(reason),
    )
    sequencer = Sequencer({SYMBOL: BTC}, state=await writer.load_state([SYMBOL]))
    prints = [feed_tick(n, START_US + n * SECOND_US) for n in range(600)]
    await writer.write(sequencer.accept(prints).messages)
    yield Recorded(redis_client, writer, sequencer, alerts)
    await writer.close()


async def test_nothing_goes_without_a_watermark(recorded: Recorded) -> None:
    assert await recorded.writer.trim() == 0
    assert await recorded.redis.zcard(ticks_key(MARKET, SYMBOL)) == 600


async def test_the_watermark_is_never_passed(recorded: Recorded) -> None:
    await recorded.stored_up_to(START_US + 5 * MINUTE_US + 30 * SECOND_US)
    assert await recorded.writer.trim() == 300
    assert await recorded.oldest_us() == START_US + 5 * MINUTE_US
    assert await recorded.writer.trim() == 0


async def test_what_is_young_stays_though_it_is_stored(recorded: Recorded) -> None:
    await recorded.stored_up_to(START_US + 100 * MINUTE_US)
    assert await recorded.writer.trim() == 7 * 60
    assert await recorded.oldest_us() == START_US + 7 * MINUTE_US
    await recorded.writer.write(recorded.sequencer.clock_to(START_US + 50 * MINUTE_US))
    await recorded.writer.trim()
    assert await recorded.oldest_us() == START_US + 9 * MINUTE_US, "the newest tick tells the price"


async def test_a_late_tick_stays_until_it_is_surely_stored(recorded: Recorded) -> None:
    await recorded.stored_up_to(START_US + 599 * SECOND_US - 1)
    await recorded.take(10_000, START_US + 90 * SECOND_US + 1)
    assert await recorded.writer.trim() == 60
    assert await recorded.oldest_us() == START_US + 60 * SECOND_US
    # A watermark of the very time at which it was written may be of a tick before it in the stream.
    await recorded.stored_up_to(START_US + 599 * SECOND_US)
    assert await recorded.writer.trim() == 0
    await recorded.take(10_001, START_US + 600 * SECOND_US)
    await recorded.stored_up_to(START_US + 600 * SECOND_US)
    assert await recorded.writer.trim() == 7 * 60 + 1
    assert await recorded.oldest_us() == START_US + 8 * MINUTE_US


async def test_a_new_writer_waits_until_the_recorder_has_passed_its_beginning(recorded: Recorded) -> None:
    await recorded.stored_up_to(START_US + 599 * SECOND_US)
    second = TickWriter(recorded.redis, MARKET, trim=TrimPolicy(keep_us=KEEP_US))
    await second.load_state([SYMBOL])
    assert await second.trim() == 0
    await recorded.stored_up_to(START_US + 600 * SECOND_US)
    assert await second.trim() == 7 * 60
    await second.close()


async def test_much_is_removed_in_pieces(recorded: Recorded) -> None:
    burst = [feed_tick(20_000 + n, START_US + 600 * SECOND_US + n // 3000) for n in range(9_000)]
    await recorded.writer.write(recorded.sequencer.accept(burst).messages)
    await recorded.take(50_000, START_US + 20 * MINUTE_US)
    await recorded.stored_up_to(START_US + 20 * MINUTE_US)
    assert await recorded.writer.trim() == 9_600
    assert await recorded.redis.zcard(ticks_key(MARKET, SYMBOL)) == 1


async def test_it_trims_by_itself(recorded: Recorded) -> None:
    await recorded.writer.start()
    await recorded.stored_up_to(START_US + 5 * MINUTE_US)

    async def trimmed() -> bool:
        return await recorded.oldest_us() == START_US + 5 * MINUTE_US

    assert await eventually(trimmed)


async def test_memory_raises_the_alarm_before_ticks_are_lost(recorded: Recorded) -> None:
    await recorded.writer.trim()
    assert recorded.alerts == []
    await recorded.writer.write(
        recorded.sequencer.accept(
            [feed_tick(20_000 + n, START_US + 600 * SECOND_US + n) for n in range(1_000)]
        ).messages
    )
    await recorded.writer.trim()
    await recorded.writer.trim()
    assert recorded.alerts == ["TickMemory"], "told once"
    assert await recorded.redis.zcard(ticks_key(MARKET, SYMBOL)) == 1_600


async def test_bars_are_given_only_of_what_is_whole(recorded: Recorded) -> None:
    await recorded.stored_up_to(START_US + 5 * MINUTE_US)
    await recorded.writer.trim()
    until_us = START_US + 10 * MINUTE_US
    bars = await recent_bars(recorded.redis, MARKET, SYMBOL, MINUTE_US, count=100, until_us=until_us)
    assert [bar.start_us for bar in bars] == [START_US + n * MINUTE_US for n in range(5, 10)]
    assert all(bar.ticks == 60 for bar in bars)
    longer = await recent_bars(recorded.redis, MARKET, SYMBOL, 7 * MINUTE_US, count=100, until_us=until_us + MINUTE_US)
    assert all(bar.start_us >= START_US + 5 * MINUTE_US for bar in longer)
