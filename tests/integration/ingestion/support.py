"""What the tests of recording share: a market with a stream of its own, and databases to record into."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import msgspec
from redis.asyncio import Redis

from christmas.ingestion.migrate import migrate
from christmas.ingestion.stored_tick import StoredTick
from christmas.ingestion.tick_recorder import TickRecorder
from christmas.market.instrument import Instrument
from christmas.market.raw import FeedTick
from christmas.market.sequencer import Sequencer
from christmas.market.tick import Tick
from christmas.market.writer import TickWriter
from tests.support.waiting import eventually

SYMBOL = "BTC/USDT"
INSTRUMENT = Instrument(symbol=SYMBOL, price_increment=Decimal("0.01"), lot_size=Decimal("0.00001"))


def tick(number: int, **changes: Any) -> Tick:
    fields: dict[str, Any] = {
        "time_us": 1_723_161_255_000_000 + number * 1_000,
        "symbol": SYMBOL,
        "trade_id": str(number),
        "price": Decimal("61000.10") + number % 7,
        "lots": 1 + number,
        "taker_side": "buy" if number % 2 else "sell",
    }
    return Tick(**(fields | changes))


def stored(ticks: Sequence[Tick]) -> list[StoredTick]:
    """The ticks as the recorder reads them out of Redis."""
    return [msgspec.json.decode(msgspec.json.encode(one), type=StoredTick) for one in ticks]


class StreamedMarket:
    """The gateway's side: prints are sequenced and written to Redis as in production."""

    def __init__(self, redis: Redis, market: str, instruments: Sequence[Instrument] = (INSTRUMENT,)) -> None:
        self.market = market
        self.sequencer = Sequencer({instrument.symbol: instrument for instrument in instruments})
        self.writer = TickWriter(redis, market)
        self.ticks: list[Tick] = []

    async def publish(self, prints: Sequence[FeedTick]) -> None:
        sequenced = self.sequencer.accept(prints)
        for message in sequenced.messages:
            self.ticks += getattr(message, "ticks", ())
        await self.writer.write_sequenced(sequenced)

    async def publish_in_chunks(self, prints: Sequence[FeedTick], seed: int = 1, most: int = 400) -> None:
        dice, position = random.Random(seed), 0
        while position < len(prints):
            size = dice.randint(1, most)
            await self.publish(prints[position : position + size])
            position += size
            await asyncio.sleep(0)


@asynccontextmanager
async def migrated(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    try:
        await migrate(connection)
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def recording(
    redis: Redis, database_url: str, market: str, symbols: tuple[str, ...] = (SYMBOL,), **options: Any
) -> AsyncIterator[list[str | None]]:
    """A running TickRecorder; gives the reasons it told. At the end it drains and stops."""
    stopping = asyncio.Event()
    reasons: list[str | None] = []
    recorder = TickRecorder(
        redis=redis,
        database_url=database_url,
        market=market,
        symbols=symbols,
        stopping=stopping,
        reason=reasons.append,
        **{"interval_s": 0.02, **options},
    )
    task = asyncio.create_task(recorder.run())
    try:
        yield reasons
    finally:
        stopping.set()
        async with asyncio.timeout(30):
            await task


async def stored_ticks(connection: asyncpg.Connection, market: str) -> list[asyncpg.Record]:
    return list(await connection.fetch("SELECT * FROM ticks WHERE market = $1 ORDER BY time, trade_id", market))


async def eventually_stored(connection: asyncpg.Connection, market: str, count: int, within_s: float = 30.0) -> None:
    async def reached() -> bool:
        found = await connection.fetchval("SELECT count(*) FROM ticks WHERE market = $1", market)
        assert found == count, f"{found} of {count} ticks are stored"
        return True

    await eventually(reached, within_s=within_s, every_s=0.05, what=f"{count} ticks stored")


async def assert_stored_exactly(connection: asyncpg.Connection, market: str, ticks: Sequence[Tick]) -> None:
    """Each of ``ticks`` once, with all that it said, and nothing else."""
    rows = await stored_ticks(connection, market)
    stored = sorted(
        (row["trade_id"], row["time"].timestamp(), str(row["price"]), row["volume"], row["taker_side"], row["late"])
        for row in rows
    )
    expected = sorted(
        (tick.trade_id, tick.time_us / 1e6, str(tick.price), tick.lots, tick.taker_side, tick.late) for tick in ticks
    )
    assert stored == expected
    total = await connection.fetchval("SELECT coalesce(sum(ticks), 0) FROM watermarks WHERE market = $1", market)
    assert total == len(ticks)


class Proxy:
    """A TCP hop in front of a database that can be cut and mended."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    @property
    def url(self) -> str:
        user = f"{self._target.username}:{self._target.password}@" if self._target.username else ""
        return self._target._replace(netloc=f"{user}127.0.0.1:{self.port}").geturl()

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """No new connection, and every present one broken."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(self._target.hostname, self._target.port)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, back}
        self._writers |= pair
        try:
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
        finally:
            self._writers -= pair
            for end in pair:
                end.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
