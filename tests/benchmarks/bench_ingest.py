"""How fast ticks get into Redis, and how soon a reader has them.

    .venv/bin/python -m tests.benchmarks.bench_ingest [-o json]

Throughput: raw prints through `Sequencer` and `TickWriter` (judged, ordered, encoded, written in transactions,
published) against the bare client: redis-py with hiredis on uvloop, a ZADD and a PUBLISH a tick, a batch of them a
pipeline, with members built beforehand. The target is a share of that. The last column is no peer but the limit:
redis-py with one ZADD and one PUBLISH a batch, all built beforehand, as if judging, ordering and encoding cost
nothing. All take the same prints in the same batches, in turns, against one embedded Valkey on loopback; medians.

Latency: one print a write, from before the write until a `TickReader` in a process of its own has it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from multiprocessing.connection import Connection

import msgspec
import uvloop
from redis.asyncio import Redis

from christmas.market.instrument import Instrument
from christmas.market.raw import FeedTick
from christmas.market.reader import TickReader
from christmas.market.sequencer import Sequencer
from christmas.market.stream import Message
from christmas.market.tick import TickBatch, ticks_key
from christmas.market.writer import TickWriter
from tests.support.servers import ValkeyServer

SYMBOL = "BTC/USDT"
MARKET = "bench"
INSTRUMENT = Instrument(symbol=SYMBOL, price_increment=Decimal("0.1"), lot_size=Decimal("0.001"))
START_US = 1_723_161_240_000_000
TICKS_PER_SECOND = 20_000
"""Of market time: what a batch spans is what it would span at the rate that is claimed."""
WANTED_TICKS_PER_SECOND = 20_000
WANTED_RATIO = 0.8


class Throughput(msgspec.Struct, frozen=True, kw_only=True):
    batch: int
    ours: float
    bare: float
    limit: float

    @property
    def ratio(self) -> float:
        return self.ours / self.bare

    @property
    def ratio_to_limit(self) -> float:
        return self.ours / self.limit


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    rate: int
    samples: int
    p50_ms: float
    p99_ms: float


def make_prints(count: int) -> list[FeedTick]:
    """A seeded walk of prices in increments, sizes as they are on a real feed: mostly small."""
    dice = random.Random(20081025)
    prints, increments = [], 600_000
    for number in range(count):
        increments += dice.choice((-1, 0, 0, 0, 0, 1))
        prints.append(
            FeedTick(
                time_us=START_US + number * 1_000_000 // TICKS_PER_SECOND,
                symbol=SYMBOL,
                trade_id=str(5_266_583_935 + number),
                price=Decimal(increments).scaleb(-1),
                quantity=Decimal(1 + int(dice.paretovariate(1.2))).scaleb(-3),
                taker_side=dice.choice(("buy", "sell")),
            )
        )
    return prints


async def run_ours(redis: Redis, batches: Sequence[Sequence[FeedTick]]) -> float:
    writer = TickWriter(redis, MARKET)
    sequencer = Sequencer({SYMBOL: INSTRUMENT}, state=await writer.load_state([SYMBOL]))
    started = time.perf_counter()
    for batch in batches:
        await writer.write_sequenced(sequencer.accept(batch))
    taken = time.perf_counter() - started
    await writer.close()
    return taken


async def run_limit(redis: Redis, prepared: Sequence[tuple[dict[bytes, int], bytes]]) -> float:
    key = ticks_key(MARKET, SYMBOL)
    await redis.ping()  # type: ignore[misc]
    started = time.perf_counter()
    for members, payload in prepared:
        pipeline = redis.pipeline(transaction=False)
        pipeline.zadd(key, members)
        pipeline.publish(key, payload)
        await pipeline.execute()
    return time.perf_counter() - started


async def run_bare(redis: Redis, prepared: Sequence[tuple[dict[bytes, int], bytes]]) -> float:
    key = ticks_key(MARKET, SYMBOL)
    await redis.ping()  # type: ignore[misc]
    started = time.perf_counter()
    for members, _ in prepared:
        pipeline = redis.pipeline(transaction=False)
        for member, score in members.items():
            pipeline.zadd(key, {member: score})
            pipeline.publish(key, member)
        await pipeline.execute()
    return time.perf_counter() - started


async def measure_throughput(url: str, ticks: int, batch: int, repetitions: int) -> Throughput:
    prints = make_prints(ticks)
    batches = [prints[first : first + batch] for first in range(0, ticks, batch)]
    sequencer = Sequencer({SYMBOL: INSTRUMENT})
    prepared = []
    for part in batches:
        ours = [m for m in sequencer.accept(part).messages if isinstance(m, TickBatch)]
        members = {msgspec.json.encode(tick): tick.time_us for m in ours for tick in m.ticks}
        prepared.append((members, b'{"n":%d,"x":[%b]}' % (ours[-1].sequence, b",".join(members))))
    times: dict[str, list[float]] = {"ours": [], "bare": [], "limit": []}
    async with Redis.from_url(url) as redis:
        runs: list[tuple[str, Callable[[], Awaitable[float]]]] = [
            ("ours", lambda: run_ours(redis, batches)),
            ("bare", lambda: run_bare(redis, prepared)),
            ("limit", lambda: run_limit(redis, prepared)),
        ]
        for repetition in range(repetitions + 1):
            for name, run in runs if repetition % 2 else reversed(runs):
                await redis.flushall()
                taken = await run()
                if repetition:
                    times[name].append(taken)
    rates = {name: ticks / statistics.median(taken) for name, taken in times.items()}
    return Throughput(batch=batch, ours=rates["ours"], bare=rates["bare"], limit=rates["limit"])


def follow(url: str, count: int, pipe: Connection) -> None:
    """The reading process: tells when it is ready, then when each tick came (CLOCK_MONOTONIC, as the writer's)."""

    async def run() -> None:
        arrived: dict[int, float] = {}
        async with TickReader(url, MARKET, [SYMBOL]) as reader, asyncio.timeout(120):
            pipe.send("ready")
            while len(arrived) < count:
                message: Message = await anext(reader)
                now = time.perf_counter()
                if isinstance(message, TickBatch):
                    for offset in range(len(message.ticks)):
                        arrived[message.sequence - offset] = now
        pipe.send(arrived)

    uvloop.run(run())


async def measure_latency(url: str, rate: int, seconds: float) -> Latency:
    count = int(rate * seconds)
    prints = make_prints(count)
    async with Redis.from_url(url) as redis:
        await redis.flushall()
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(target=follow, args=(url, count, theirs), daemon=True)
        process.start()
        await asyncio.to_thread(ours.recv)
        writer, sequencer = TickWriter(redis, MARKET), Sequencer({SYMBOL: INSTRUMENT})
        sent: list[float] = []
        begin = time.perf_counter()
        for number, raw in enumerate(prints):
            wait = begin + number / rate - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            sent.append(time.perf_counter())
            await writer.write_sequenced(sequencer.accept([raw]))
        arrived: dict[int, float] = await asyncio.to_thread(ours.recv)
        await asyncio.to_thread(process.join, 10)
        await writer.close()
    taken = sorted(1_000 * (arrived[number + 1] - at) for number, at in enumerate(sent))
    return Latency(rate=rate, samples=count, p50_ms=taken[count // 2], p99_ms=taken[min(count - 1, int(count * 0.99))])


async def measure(arguments: argparse.Namespace) -> tuple[list[Throughput], list[Latency]]:
    server = ValkeyServer()
    server.start()
    try:
        throughput = [
            await measure_throughput(server.url, arguments.ticks, batch, arguments.repetitions)
            for batch in arguments.batch
        ]
        latency = [await measure_latency(server.url, rate, arguments.seconds) for rate in (272, 2_466)]
    finally:
        server.close()
    return throughput, latency


def table(throughput: Sequence[Throughput], latency: Sequence[Latency]) -> str:
    lines = [
        f"{'prints a batch':>15} {'through us':>12} {'bare client':>12} {'ratio':>6} {'limit':>12} {'ratio':>6}",
        *(
            f"{row.batch:>15} {row.ours:>10,.0f}/s {row.bare:>10,.0f}/s {row.ratio:>6.2f} "
            f"{row.limit:>10,.0f}/s {row.ratio_to_limit:>6.2f}"
            for row in throughput
        ),
        "",
        f"{'writes':>15} {'to the reader: p50':>20} {'p99':>10}",
        *(f"{row.rate:>13}/s {row.p50_ms:>17.2f} ms {row.p99_ms:>7.2f} ms" for row in latency),
    ]
    return "\n".join(lines)


def main() -> int:
    """Prints what was measured; exits with 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.add_argument("--ticks", type=int, default=40_000, help="a repetition")
    parser.add_argument("--batch", type=int, nargs="+", default=[50, 200], help="prints that arrive together")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each latency measurement")
    arguments = parser.parse_args()
    throughput, latency = uvloop.run(measure(arguments))
    reached = all(row.ours >= WANTED_TICKS_PER_SECOND and row.ratio >= WANTED_RATIO for row in throughput)
    if arguments.output == "json":
        report = {
            "throughput": [
                {**msgspec.structs.asdict(row), "ratio": row.ratio, "ratio_to_limit": row.ratio_to_limit}
                for row in throughput
            ],
            "latency": [msgspec.structs.asdict(row) for row in latency],
            "wanted": {"ticks_per_second": WANTED_TICKS_PER_SECOND, "ratio": WANTED_RATIO},
            "reached": reached,
        }
        print(json.dumps(report, indent=2))
    else:
        print(table(throughput, latency))
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
