"""Bars out of Redis are those of the recording."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from redis.asyncio import Redis

from christmas.market.bars import bars_from_ticks
from christmas.market.history import highest_price, recent_bars
from christmas.market.sequencer import Sequencer
from christmas.market.tick import ticks_key
from christmas.market.writer import TickWriter
from tests.integration.market.support import MARKET, ticks_of
from tests.support.data import FUTURES_BTC, read_trades
from tests.support.ticks import BTC, SECOND_US, START_US, SYMBOL, feed_tick


@pytest.mark.parametrize(("seconds", "count"), [(1, 30), (5, 1_000), (15, 7), (60, 3)])
async def test_recent_bars_of_real_trades(redis_client: Redis, shared_data: Path, seconds: int, count: int) -> None:
    raws = [msgspec.structs.replace(raw, symbol=SYMBOL) for raw in read_trades(shared_data / FUTURES_BTC)]
    messages = Sequencer({SYMBOL: BTC}).accept(raws).messages
    writer = TickWriter(redis_client, MARKET)
    await writer.write(messages)
    await writer.close()
    until_us = raws[-1].time_us - 3 * SECOND_US
    expected = bars_from_ticks(ticks_of(messages), seconds * SECOND_US, until_us=until_us)[-count:]
    bars = await recent_bars(redis_client, MARKET, SYMBOL, seconds * SECOND_US, count=count, until_us=until_us)
    assert bars == expected
    assert bars[-1].end_us <= until_us


async def test_gaps_are_jumped_and_late_ticks_left_out(redis_client: Redis) -> None:
    sequencer, writer = Sequencer({SYMBOL: BTC}), TickWriter(redis_client, MARKET)
    for n, offset_s in enumerate([0, 1, 500, 501, 500]):
        raw = feed_tick(n, START_US + offset_s * SECOND_US, price=f"{60_000 + n}.0")
        await writer.write(sequencer.accept([raw]).messages)
    await writer.close()
    until_us = START_US + 502 * SECOND_US
    bars = await recent_bars(redis_client, MARKET, SYMBOL, SECOND_US, count=3, until_us=until_us)
    assert [(bar.start_us - START_US) // SECOND_US for bar in bars] == [1, 500, 501]
    assert [bar.close for bar in bars] == [Decimal("60001.0"), Decimal("60002.0"), Decimal("60003.0")]
    assert await recent_bars(redis_client, MARKET, SYMBOL, SECOND_US, count=0, until_us=until_us) == []
    assert await recent_bars(redis_client, MARKET, "NONE/USDT", SECOND_US, count=3, until_us=until_us) == []


async def test_the_highest_price_of_real_trades(redis_client: Redis, shared_data: Path) -> None:
    """Many prints share a millisecond, and pages end amid them."""
    raws = [msgspec.structs.replace(raw, symbol=SYMBOL) for raw in read_trades(shared_data / FUTURES_BTC)]
    messages = Sequencer({SYMBOL: BTC}).accept(raws).messages
    writer = TickWriter(redis_client, MARKET)
    await writer.write(messages)
    await writer.close()
    ticks = ticks_of(messages)
    for start, end in [(0, -1), (3_000, 9_999), (20_000, 20_000), (100, 1_100)]:
        from_us, to_us = ticks[start].time_us, ticks[end].time_us
        expected = max(tick.price for tick in ticks if from_us <= tick.time_us <= to_us and not tick.late)
        assert await highest_price(redis_client, MARKET, SYMBOL, from_us, to_us) == expected
    assert await highest_price(redis_client, MARKET, SYMBOL, 0, 1) is None


async def test_what_cannot_be_read_is_passed_over(redis_client: Redis) -> None:
    sequencer, writer = Sequencer({SYMBOL: BTC}), TickWriter(redis_client, MARKET)
    for n in range(5):
        raw = feed_tick(n, START_US + n * SECOND_US, price=f"{60_000 + n}.0")
        await writer.write(sequencer.accept([raw]).messages)
    await writer.close()
    await redis_client.zadd(ticks_key(MARKET, SYMBOL), {b"\xff": START_US + SECOND_US, b"{}": START_US + 2})
    until_us = START_US + 60 * SECOND_US
    bars = await recent_bars(redis_client, MARKET, SYMBOL, SECOND_US, count=100, until_us=until_us)
    assert [bar.close for bar in bars] == [Decimal(f"{60_000 + n}.0") for n in range(5)]
    assert await highest_price(redis_client, MARKET, SYMBOL, START_US, until_us) == Decimal("60004.0")
