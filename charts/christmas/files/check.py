"""`helm test`: do the stores, the recorder and the operator do what strategies need of them, and no more?"""

from __future__ import annotations

import asyncio
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

STORES = Path("/etc/christmas-stores")
PATIENCE_S = 90.0


def url(key: str) -> str:
    return (STORES / key).read_text().strip()


async def redis_serves_strategies_and_protects_itself() -> str:
    """A strategy reads the market, and can neither change nor see anything else."""
    market = os.environ["MARKET"] or "default.paper"
    client = Redis.from_url(url("redis-url-runtime"), socket_timeout=5)
    try:
        await client.hgetall(f"stream:{market}")
        await client.zcount(f"ticks:{market}:X", 0, 1)
        write = ("SET", f"ticks:{market}:X", "1")
        for forbidden in (write, ("HGETALL", "markets"), ("FLUSHALL",), ("CONFIG", "GET", "*")):
            try:
                await client.execute_command(*forbidden)
            except NoPermissionError:
                continue
            raise AssertionError(f"a strategy may {forbidden[0]} {forbidden[1:]}: check the user `runtime` of Redis")
    finally:
        await client.aclose()
    return "strategies read Redis, and change nothing"


async def history_can_only_be_read() -> str:
    connection = await asyncpg.connect(url("database-url-reader"), timeout=5)
    try:
        await connection.fetchval("SELECT count(*) FROM (SELECT FROM ticks LIMIT 1) AS one")
        await connection.execute("SET default_transaction_read_only = off")
        try:
            await connection.execute("DELETE FROM orders")
        except asyncpg.InsufficientPrivilegeError:
            return "strategies read the history, and change nothing"
        raise AssertionError("a strategy may delete orders: check the role in database-url-reader")
    finally:
        await connection.close()


def is_ready(component: str) -> str:
    try:
        with urllib.request.urlopen(f"http://christmas-{component}:9400/readyz", timeout=5):
            return f"the {component} is ready"
    except urllib.error.HTTPError as error:
        raise AssertionError(f"the {component} is not ready: {error.read().decode().strip()}") from error


async def the_recorder_is_ready() -> str:
    return await asyncio.to_thread(is_ready, "recorder")


async def the_operator_is_ready() -> str:
    return await asyncio.to_thread(is_ready, "operator")


async def ticks_are_recorded() -> str:
    market = os.environ["MARKET"]
    connection = await asyncpg.connect(url("database-url-reader"), timeout=5)
    try:
        age = await connection.fetchval(
            "SELECT extract(epoch FROM now() - max(updated_at)) FROM watermarks WHERE market = $1", market
        )
    finally:
        await connection.close()
    if age is None or age > 10:
        broker = market.rpartition(".")[2]
        raise AssertionError(f"no tick of {market} was recorded lately: kubectl describe broker {broker}")
    return f"ticks of {market} are recorded"


async def check(what: Callable[[], Awaitable[str]]) -> bool:
    """Ask again for a while: a fresh installation needs a moment."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while True:
        try:
            print("ok    ", await what(), flush=True)
        except Exception as error:  # whatever it is, the user is to read it
            if asyncio.get_running_loop().time() > deadline:
                print("FAILED", what.__name__.replace("_", " "), "-", type(error).__name__, error, flush=True)
                return False
            await asyncio.sleep(1)
        else:
            return True


async def main() -> int:
    checks = [redis_serves_strategies_and_protects_itself, the_recorder_is_ready, history_can_only_be_read]
    if os.environ["OPERATOR"]:
        checks.append(the_operator_is_ready)
    if os.environ["MARKET"]:
        checks.append(ticks_are_recorded)
    return 0 if all(await asyncio.gather(*map(check, checks))) else 1


sys.exit(asyncio.run(main()))
