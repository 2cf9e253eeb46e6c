"""Following the events stream, for people: each event as one line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

import msgspec
import redis.asyncio as redis

from christmas.telemetry.events import (
    AlertEvent,
    Event,
    FillEvent,
    OrderEvent,
    PositionEvent,
    SignalEvent,
    StateEvent,
    events_key,
)
from christmas.telemetry.unreadable import UNREADABLE

logger = logging.getLogger(__name__)

_BLOCK_MS: Final = 1000
_BATCH: Final = 200
_RETRY_S: Final = 1.0
_decoder: Final[msgspec.json.Decoder[Event]] = msgspec.json.Decoder(Event)


async def follow_events(redis_url: str, replay_id: str = "") -> AsyncIterator[Event]:
    """Events from now on; goes on by itself when Redis was away."""
    client = redis.Redis.from_url(redis_url, socket_connect_timeout=10, socket_timeout=10)
    position: bytes | str = "$"
    try:
        while True:
            try:
                found = await client.xread({events_key(replay_id): position}, count=_BATCH, block=_BLOCK_MS)
            except (redis.RedisError, OSError) as error:
                logger.info("the events stream is away", extra={"error": str(error)})
                await asyncio.sleep(_RETRY_S)
                continue
            for _, entries in found or ():
                for identity, fields in entries:
                    position = identity
                    event = decode_event(fields)
                    if event is not None:
                        yield event
    finally:
        await client.aclose()


async def recent_events(redis_url: str, replay_id: str, *, strategy: str, count: int) -> list[Event]:
    """The last ``count`` events of a strategy, oldest first; raises redis errors."""
    client = redis.Redis.from_url(redis_url, socket_timeout=10)
    found: list[Event] = []
    try:
        for _, fields in await client.xrevrange(events_key(replay_id), count=count * 50):
            event = decode_event(fields)
            if event is not None and event.strategy == strategy:
                found.append(event)
                if len(found) == count:
                    break
    finally:
        await client.aclose()
    return found[::-1]


def decode_event(fields: dict[bytes, bytes]) -> Event | None:
    """None for what another version wrote."""
    try:
        return _decoder.decode(fields[b"e"])
    except (KeyError, *UNREADABLE):
        return None


def event_line(event: Event) -> tuple[str, str]:
    """Whom it is about, and one line on what happened."""
    who = event.strategy or event.broker or "fleet"
    match event:
        case SignalEvent():
            taken = "" if event.taken else "skipped: "
            return who, f"{event.signal} signal {event.symbol}: {taken}{event.reason}"
        case OrderEvent():
            price = f" at {event.price}" if event.price is not None else " at market"
            reason = f": {event.reason}" if event.reason else ""
            return who, f"order {event.side} {event.lots} lots {event.symbol}{price} {event.status}{reason}"
        case FillEvent():
            return who, f"fill {event.side} {event.lots} lots {event.symbol} at {event.price}, fee {event.fee}"
        case PositionEvent(closed=True):
            return who, f"position closed {event.symbol}, PnL {event.realised_pnl}"
        case PositionEvent():
            return who, f"position {event.symbol}: {event.lots} lots"
        case AlertEvent():
            return who, f"{event.severity.upper()} {event.reason}: {event.message}"
        case StateEvent():
            message = f": {event.message}" if event.message else ""
            return who, f"{event.component} {event.state}{message}"


def event_time(event: Event) -> str:
    return datetime.fromtimestamp(event.time_us / 1e6, UTC).strftime("%H:%M:%S")
