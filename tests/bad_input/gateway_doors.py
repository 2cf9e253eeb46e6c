"""The doors of a real gateway process: its socket, and the files that it replays."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from pathlib import Path

import msgspec
import redis.asyncio as redis_asyncio

from christmas.execution.protocol import (
    Hello,
    ProtocolError,
    Refused,
    Report,
    Welcome,
    decode_gateway_frame,
    encode_frame,
    read_frame_body,
)
from christmas.market.stream import Quarantined, quarantine_key
from christmas.telemetry.events import AlertEvent, Event, events_key
from tests.bad_input.cases_frames import framed
from tests.bad_input.cases_permits import RECIPES
from tests.integration.gateway.client import Client
from tests.integration.gateway.running import Running, broker, permit, replay

_ANSWERS_WITHIN_S = 10.0
_events = msgspec.json.Decoder(Event)


async def strange_bytes(running: Running, content: bytes) -> str:
    """From somebody who has not been let in."""
    reader, writer = await asyncio.open_unix_connection(running.address.removeprefix("unix:"))
    writer.write(content)
    with contextlib.suppress(OSError):
        writer.write_eof()
    return await _answer(reader, writer)


async def in_session(running: Running, body: bytes) -> str:
    """From a strategy that was let in: one of its own for each, so that none has a past."""
    reader, writer = await asyncio.open_unix_connection(running.address.removeprefix("unix:"))
    text = permit(f"s{secrets.token_hex(4)}")
    writer.write(encode_frame(Hello(permit=text, instance="only", timeframe_us=5_000_000, acts_on_ticks=False)))
    async with asyncio.timeout(_ANSWERS_WITHIN_S):
        while not isinstance(decode_gateway_frame(await read_frame_body(reader) or b""), Welcome):
            pass
    writer.write(framed(body))
    return await _answer(reader, writer)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    try:
        async with asyncio.timeout(_ANSWERS_WITHIN_S):
            while (body := await read_frame_body(reader)) is not None:
                frame = decode_gateway_frame(body)
                if isinstance(frame, Refused):
                    return f"refused, {frame.code}: {frame.reason}"
                if isinstance(frame, Report) and frame.report.status.is_final:
                    return f"{frame.report.status}, {frame.report.reason}"
    except (OSError, ProtocolError) as error:
        return f"closed: {error}"
    finally:
        writer.close()
    return "closed"


async def permit_given(running: Running, recipe: str) -> str:
    client = Client()
    if recipe == "older epoch":
        await _visit(running, permit("epochs", epoch=2))
    if recipe == "replayed":
        client = await _visit(running, permit("replays"))
        await _visit(running, permit("replays"))
        client = Client(instance=client.instance)
    await client.connect(running.address, RECIPES[recipe]())
    await client.wait_closed()
    await client.close()
    assert client.refused is not None, client.frames
    return f"refused, {client.refused.code}: {client.refused.reason}"


async def _visit(running: Running, text: str) -> Client:
    client = Client()
    await client.connect(running.address, text)
    await client.welcome()
    await client.close()
    return client


async def alerts(client: redis_asyncio.Redis) -> list[AlertEvent]:
    entries = await client.xrange(events_key())
    decoded = [_events.decode(fields[b"e"]) for _, fields in entries]
    return [event for event in decoded if isinstance(event, AlertEvent)]


async def quarantined(folder: Path, redis_url: str, rows: tuple[str, ...], header: str) -> tuple[list[str], int, int]:
    """What a gateway that replays these rows refuses, in their order; prints taken; what its counter says."""
    file = folder / "ticks.csv"
    file.write_text(header + "\n".join(rows) + "\n", encoding="utf-8")
    running = Running(folder, redis_url, broker(), replay=replay(file), replay_id="bad")
    try:
        await running.start()
        assert await running.wait_exit() == 0, running.log.read_text()[-2000:]
    finally:
        running.stop()
    async with redis_asyncio.Redis.from_url(redis_url) as client:
        entries = await client.xrange(quarantine_key("paper.bad"))
        taken = await client.zcard("ticks:paper.bad:BTC/USDT")
    refused = [msgspec.json.decode(fields[b"q"], type=Quarantined) for _, fields in entries]
    ended = msgspec.json.decode((running.state / "ended.json").read_bytes())
    return [f"{each.reason}: {each.detail}" for each in refused], int(taken), int(ended["quarantined"])
