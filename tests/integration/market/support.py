"""What the tests of a market's stream share."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from redis.asyncio import Redis

from christmas.market.stream import Message
from christmas.market.tick import ClockAdvance, Tick, TickBatch
from tests.support.ticks import SECOND_US

MARKET = "paper"


def ticks_of(messages: Iterable[Message]) -> list[Tick]:
    return [each for message in messages if isinstance(message, TickBatch) for each in message.ticks]


def ids_of(messages: Iterable[Message]) -> list[str]:
    return [each.trade_id for each in ticks_of(messages)]


def check_order(messages: Sequence[Message], clock_us: int = 0) -> None:
    """The clock never goes back, and what is not late comes in the clock's second."""
    for message in messages:
        if isinstance(message, ClockAdvance):
            assert message.time_us > clock_us
            clock_us = message.time_us
        else:
            for each in message.ticks:
                assert each.late or clock_us <= each.time_us < clock_us + SECOND_US


async def kill_subscribers(redis: Redis) -> None:
    """Cut every subscriber's connection, as a network does: without a word."""
    await redis.client_kill_filter(_type="pubsub")


async def kill_someone(redis: Redis, dice: random.Random) -> None:
    """Cut one connection of any kind, but not our own."""
    own = await redis.client_id()
    clients = [int(each["id"]) for each in await redis.client_list()]
    victims = [each for each in clients if each != own]
    if victims:
        await redis.client_kill_filter(_id=str(dice.choice(victims)))
