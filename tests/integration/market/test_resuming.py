"""What a writer leaves in Redis for the one that goes on after it was killed."""

from __future__ import annotations

from redis.asyncio import Redis

from christmas.market.sequencer import Sequencer
from christmas.market.stream import StreamState
from christmas.market.writer import TickWriter
from tests.integration.market.support import MARKET
from tests.support.ticks import BTC, SECOND_US, START_US, SYMBOL, feed_tick

INSTRUMENTS = {SYMBOL: BTC}
BAD = feed_tick(2, START_US + SECOND_US, symbol="DOGE/USDT")


async def leave(redis: Redis, *, answered_us: int | None) -> None:
    """Write a tick and a refused print, and go without a word."""
    writer = TickWriter(redis, MARKET)
    sequencer = Sequencer(INSTRUMENTS, state=await writer.load_state(tuple(INSTRUMENTS)))
    writer.answered_us = answered_us
    await writer.write_sequenced(sequencer.accept([feed_tick(1, START_US), BAD]))
    await writer.close()


async def found(redis: Redis) -> StreamState:
    writer = TickWriter(redis, MARKET)
    try:
        return await writer.load_state(tuple(INSTRUMENTS))
    finally:
        await writer.close()


async def test_up_to_where_strategies_have_answered(redis_client: Redis) -> None:
    await leave(redis_client, answered_us=START_US - SECOND_US)
    state = await found(redis_client)
    assert state.answered_us == START_US - SECOND_US
    assert state.sequences == {SYMBOL: 1}


async def test_a_live_market_says_nothing_of_answers(redis_client: Redis) -> None:
    await leave(redis_client, answered_us=None)
    assert (await found(redis_client)).answered_us is None


async def test_which_prints_were_refused(redis_client: Redis) -> None:
    await leave(redis_client, answered_us=None)
    state = await found(redis_client)
    assert state.refused_prints == [BAD]
    again = Sequencer(INSTRUMENTS, state=state).accept([feed_tick(1, START_US), BAD])
    assert (again.quarantined, again.duplicates) == ([], 2)
