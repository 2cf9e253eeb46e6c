"""Events reach the stream in order, and never hold up who publishes them."""

from __future__ import annotations

from redis.asyncio import Redis

from christmas.telemetry.events import AlertEvent, Event, events_key
from christmas.telemetry.publisher import QUEUE_MAXIMUM, EventPublisher
from tests.support.servers import ValkeyServer
from tests.support.waiting import eventually


def alert(number: int) -> Event:
    return AlertEvent(time_us=number, severity="info", reason="Test", message=str(number))


async def read(redis: Redis) -> list[bytes]:
    return [fields[b"e"] for _, fields in await redis.xrange(events_key())]


async def test_events_arrive_in_order(redis_client: Redis) -> None:
    publisher = EventPublisher(redis_client)
    await publisher.start()
    for number in range(1000):
        publisher.publish(alert(number))
    await publisher.close()
    entries = await read(redis_client)
    assert len(entries) == 1000
    assert b'"event":"alert"' in entries[0]
    assert [int(entry.rsplit(b'"message":"')[1].rstrip(b'"}')) for entry in entries] == list(range(1000))


async def test_events_wait_for_a_redis_that_is_away(own_valkey: ValkeyServer) -> None:
    redis = Redis.from_url(own_valkey.url)
    publisher = EventPublisher(redis)
    await publisher.start()
    own_valkey.kill()
    for number in range(10):
        publisher.publish(alert(number))
    own_valkey.start()

    async def all_there() -> bool:
        return len(await read(redis)) == 10

    await eventually(all_there, within_s=20)
    await publisher.close()
    await redis.aclose()


async def test_the_queue_is_bounded_and_drops_the_oldest(redis_client: Redis) -> None:
    publisher = EventPublisher(redis_client)
    for number in range(QUEUE_MAXIMUM + 5):
        publisher.publish(alert(number))
    await publisher.start()
    await publisher.close(flush_s=30)
    entries = await read(redis_client)
    assert len(entries) == QUEUE_MAXIMUM
    assert b'"message":"5"' in entries[0]
