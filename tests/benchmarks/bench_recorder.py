"""How fast the recorder catches up with a backlog in Redis, beside a bare binary COPY of the same rows.

    .venv/bin/python -m tests.benchmarks.bench_recorder [-o json]

Ours: the whole way of `TickRecorder` (pages out of Redis, decoding, encoding, COPY, the watermark in the same
transaction, the watermark in Redis), from its connecting to the database until the last tick is committed. Bare:
asyncpg's binary COPY of bytes that were built beforehand, in transactions of as many rows, as if reading, decoding
and encoding cost nothing. Also shown: what a restarted recorder takes to read a backlog that is stored already.
All write into the same indexed hypertable, emptied before, in turns; medians. The server is the one at
CHRISTMAS_TEST_DATABASE_URL (TimescaleDB), or else the embedded PostgreSQL, which is said.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator
from decimal import Decimal

import asyncpg
import msgspec
import uvloop
from redis.asyncio import Redis

from christmas.ingestion.copy import TICK_COLUMNS, TickEncoder, copy_stream
from christmas.ingestion.features import capabilities
from christmas.ingestion.migrate import migrate
from christmas.ingestion.retry import Reason
from christmas.ingestion.settings import RecorderSettings
from christmas.ingestion.stored_tick import StoredTick
from christmas.ingestion.tick_recorder import TickRecorder
from christmas.market.stream import stream_key
from christmas.market.tick import Tick, ticks_key
from tests.support.servers import ValkeyServer, create_database, drop_database, start_postgres

MARKET = "bench"
SYMBOL = "BTC/USDT"
START_US = 1_723_161_240_000_000
WANTED_RATIO = 0.8
BATCH_TICKS = RecorderSettings(name="", redis_url="", markets={}).batch_ticks
_DEADLINE_S = 120.0


class Result(msgspec.Struct, kw_only=True):
    database: str
    ticks: int
    rounds: int
    batch_ticks: int
    recorder_rows_per_s: float
    bare_copy_rows_per_s: float
    ratio: float
    ratios: list[float]
    """Of each round."""
    reread_rows_per_s: float
    wanted_ratio: float = WANTED_RATIO

    @property
    def passed(self) -> bool:
        return self.ratio >= self.wanted_ratio


def make_ticks(count: int) -> list[Tick]:
    """A random walk as a busy market prints it: several trades in a millisecond, prices that come again."""
    dice, time_us, price = random.Random(5), START_US, 6_100_000
    ticks = []
    for number in range(count):
        time_us += dice.choice((0, 0, 0, 1_000, 2_000, 15_000))
        price += dice.choice((-10, -1, 0, 0, 0, 0, 1, 10))
        ticks.append(
            Tick(
                time_us=time_us,
                symbol=SYMBOL,
                trade_id=str(3_735_683_259 + number),
                price=Decimal(price).scaleb(-2),
                lots=dice.randint(1, 500_000),
                taker_side=dice.choice(("buy", "sell")),
            )
        )
    return ticks


def as_stored(ticks: list[Tick]) -> list[StoredTick]:
    return [msgspec.json.decode(msgspec.json.encode(tick), type=StoredTick) for tick in ticks]


def prebuilt(ticks: list[Tick]) -> list[bytes]:
    """Whole COPYs of as many rows as the recorder writes at once."""
    encoder = TickEncoder(MARKET, SYMBOL)
    several = [encoder.rows(as_stored(ticks[at : at + BATCH_TICKS]))[0] for at in range(0, len(ticks), BATCH_TICKS)]
    return [b"".join(copy_stream([rows])) for rows in several]


async def fill_redis(redis: Redis, ticks: list[Tick]) -> None:
    for start in range(0, len(ticks), 5_000):
        chunk = ticks[start : start + 5_000]
        await redis.zadd(ticks_key(MARKET, SYMBOL), {msgspec.json.encode(tick): tick.time_us for tick in chunk})
    await redis.hset(stream_key(MARKET), SYMBOL, str(len(ticks)))  # type: ignore[misc]


async def bare_copy(database_url: str, batches: list[bytes]) -> float:
    """Seconds for COPYs of prebuilt bytes, connecting included."""
    started = time.perf_counter()
    connection = await asyncpg.connect(database_url)
    for data in batches:

        async def source(data: bytes = data) -> AsyncIterator[bytes]:
            yield data

        async with connection.transaction():
            await connection.copy_to_table("ticks", source=source(), columns=TICK_COLUMNS, format="binary")
    took = time.perf_counter() - started
    await connection.close()
    return took


async def record(redis: Redis, database_url: str) -> float:
    """Seconds from the recorder's start until it has settled the whole backlog."""
    stopping = asyncio.Event()
    # Stopping at once: it records what is in Redis, and ends with the commit of the last batch.
    stopping.set()
    reasons: list[str | None] = []
    tell: Reason = reasons.append
    recorder = TickRecorder(
        redis=redis,
        database_url=database_url,
        market=MARKET,
        symbols=(SYMBOL,),
        stopping=stopping,
        reason=tell,
        batch_ticks=BATCH_TICKS,
    )
    started = time.perf_counter()
    async with asyncio.timeout(_DEADLINE_S):
        await recorder.run()
    took = time.perf_counter() - started
    if any(reasons):
        raise RuntimeError(f"the recorder was disturbed: {reasons}")
    return took


async def measure(database_url: str, valkey: ValkeyServer, count: int, rounds: int) -> Result:
    ticks = make_ticks(count)
    batches = prebuilt(ticks)
    redis = Redis.from_url(valkey.unix_url)
    await fill_redis(redis, ticks)
    connection = await asyncpg.connect(database_url)
    await migrate(connection)
    database = (await capabilities(connection)).summary

    async def empty() -> None:
        await connection.execute("TRUNCATE ticks, watermarks")
        await connection.execute("CHECKPOINT")

    async def check() -> None:
        stored = await connection.fetchval("SELECT count(*) FROM ticks")
        if stored != count:
            raise RuntimeError(f"{stored} of {count} ticks are stored")

    ours: list[float] = []
    bare: list[float] = []
    again: list[float] = []
    for turn in range(rounds + 1):
        for name in ("bare", "ours") if turn % 2 else ("ours", "bare"):
            await empty()
            took = await (bare_copy(database_url, batches) if name == "bare" else record(redis, database_url))
            await check()
            if turn:  # The first round warms caches up.
                (bare if name == "bare" else ours).append(took)
        if turn in {1, 2, 3}:
            again.append(await record(redis, database_url))
            await check()
    await connection.close()
    await redis.aclose()
    return Result(
        database=database,
        ticks=count,
        rounds=rounds,
        batch_ticks=BATCH_TICKS,
        recorder_rows_per_s=round(count / statistics.median(ours)),
        bare_copy_rows_per_s=round(count / statistics.median(bare)),
        ratio=round(statistics.median(bare) / statistics.median(ours), 3),
        ratios=[round(theirs / own, 3) for own, theirs in zip(ours, bare, strict=True)],
        reread_rows_per_s=round(count / statistics.median(again)),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.add_argument("--ticks", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    server_url = os.environ.get("CHRISTMAS_TEST_DATABASE_URL") or str(start_postgres().get_uri())
    valkey = ValkeyServer()
    valkey.start()
    database_url = create_database(server_url)
    try:
        result = uvloop.run(measure(database_url, valkey, arguments.ticks, arguments.rounds))
    finally:
        drop_database(server_url, database_url)
        valkey.close()
    if arguments.output == "json":
        print(json.dumps(msgspec.to_builtins(result) | {"passed": result.passed}))
    else:
        print(result.database)
        print(f"{result.ticks} ticks, medians of {result.rounds} rounds, {result.batch_ticks} rows a transaction")
        print(f"recorder, from the backlog in Redis  {result.recorder_rows_per_s:>10,.0f} rows/s")
        print(f"bare binary COPY of prebuilt bytes   {result.bare_copy_rows_per_s:>10,.0f} rows/s")
        print(f"ratio                                {result.ratio:>10.2f}        (wanted: {result.wanted_ratio})")
        print(f"reading again what is stored         {result.reread_rows_per_s:>10,.0f} rows/s")
    return 0 if result.passed else 1


if __name__ == "__main__":
    sys.exit(main())
