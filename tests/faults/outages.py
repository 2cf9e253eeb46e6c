"""Redis, the database, the venue and the disk of one fleet go away in turn, while it trades.

``python -m tests.faults.outages --full`` takes the whole durations (30, 60, 30 and 30 s) and prints what it saw;
the test takes a third.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil
import redis

from christmas.fleet.control import GetFleet, ask
from christmas.fleet.state import StateFolder
from christmas.fleet.view import ProcessView
from tests.chaos.books import Books, read_database, read_journal, read_venue
from tests.faults.auditing import a_position_closed, audited
from tests.faults.bench import address_of, differences, orders_reached, through
from tests.faults.proxy import Proxy
from tests.integration.fleet.running import BROKER, Fleet, strategy
from tests.support.servers import ValkeyServer, create_database, drop_database, start_postgres
from tests.support.waiting import eventually

_EAGER: Final = 'rules: {entry: "close > 0"}'
_EXIT: Final = """\
  exit: {policy: NoLoss, minimumProfit: "0.0001%"}
  risk: {maxOrdersPerMinute: 600, maxOpenOrders: 200}
"""
_FREE: Final = '  fees: {maker: "0%", taker: "0%"}\n  paper: {cash: "1000000", orderLatency: 5ms, reportLatency: 5ms}\n'
FULL: Final = {"redis": 30.0, "database": 60.0, "venue": 30.0, "disk": 30.0}
_RESUMES_WITHIN_S: Final = 60.0


class Shows(NamedTuple):
    """``kind`` of process, what its condition says, and what an event says."""

    kind: str
    condition: str
    event: str


_SHOWS: Final = {
    "redis": Shows("gateway", "ticks wait for Redis", "RedisUnavailable"),
    "database": Shows("recorder", "database failed", "recorder Waiting"),
    "venue": Shows("gateway", "reconcil", "NotReconciled"),
    "disk": Shows("gateway", "journal waits for its disk", "JournalWaits"),
}


class Seen(NamedTuple):
    """Of one outage: the fleet's own words while it lasted, and how soon orders reached the venue again."""

    outage: str
    lasted_s: float
    condition: str
    metric: float
    during: list[str]
    events: list[str]
    """Those, and what was told afterwards."""
    resumed_s: float


class OutageFleet:
    """``christmas up`` with its stores behind proxies."""

    def __init__(self, folder: Path, valkey: ValkeyServer, database_url: str) -> None:
        self.fleet = Fleet(folder)
        self.valkey = valkey
        self.database_url = database_url
        self.proxies = {
            "redis": Proxy("tcp://127.0.0.1:0", f"tcp://127.0.0.1:{valkey.port}"),
            "database": Proxy("tcp://127.0.0.1:0", address_of(database_url)),
        }
        self.client = redis.Redis(port=valkey.port, socket_timeout=10)

    async def start(self) -> None:
        for proxy in self.proxies.values():
            await proxy.start()
        self.fleet.environment["REDIS_URL"] = f"redis://127.0.0.1:{self.proxies['redis'].port}/0"
        self.fleet.environment["DATABASE_URL"] = through(self.database_url, self.proxies["database"])
        self.fleet.write("broker.yaml", BROKER + _FREE)
        self.fleet.write("eager.yaml", strategy("eager", _EAGER, positions=100, per_trade="10", extra=_EXIT))
        self.fleet.up(str(self.fleet.manifests))
        await self.trading(within_s=90.0)

    async def close(self) -> None:
        await asyncio.to_thread(self.fleet.close)
        for proxy in self.proxies.values():
            await proxy.close()
        self.client.close()

    # --- faults --------------------------------------------------------------------------------

    @contextmanager
    def venue_gone(self) -> Iterator[None]:
        """Every request to the paper venue is met by a lost connection."""
        switch = self.journal.parent / "faults.json"
        switch.write_text(json.dumps({"disconnect": 1.0}))
        try:
            yield
        finally:
            switch.unlink()

    @contextmanager
    def disk_full(self) -> Iterator[None]:
        """No byte more can be written to any file of the gateway, as on a full disk. A disk that is really full would
        take longer to show: the journal goes on for 8 MiB in the room that it has set aside.
        """
        limit = psutil.Process(self.pid("christmas.brokers.gateway"))
        before = limit.rlimit(psutil.RLIMIT_FSIZE)
        limit.rlimit(psutil.RLIMIT_FSIZE, (1, before[1]))
        try:
            yield
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                limit.rlimit(psutil.RLIMIT_FSIZE, before)

    # --- what is to be seen --------------------------------------------------------------------

    @property
    def journal(self) -> Path:
        return self.fleet.state / "data" / "gateway-paper" / "journal.sqlite"

    def pid(self, module: str) -> int:
        for child in psutil.Process(self.fleet.pid).children():
            if module in child.cmdline():
                return child.pid
        raise AssertionError(f"{module} does not run")

    async def process(self, kind: str) -> ProcessView:
        """Of the fleet's view, from which ``christmas get`` and the live table are made."""
        answer = await ask(StateFolder(self.fleet.state).control_socket, GetFleet(), within_s=10.0)
        assert answer.fleet is not None
        views = [*answer.fleet.processes, *(one.process for one in answer.fleet.brokers)]
        return next(view for view in views if view.kind == kind)

    def events(self) -> list[dict[str, Any]]:
        rows: Any = self.client.xrange("events")
        return [json.loads(fields[b"e"]) for _, fields in rows]

    async def trading(self, *, more: int = 2, within_s: float = _RESUMES_WITHIN_S) -> float:
        """Seconds until so many more orders have reached the venue."""
        began, before = time.monotonic(), len(self._sent())
        await eventually(
            lambda: len(self._sent()) >= before + more,
            within_s=within_s,
            every_s=0.2,
            what=f"{more} more orders; {self.fleet.log.read_text()[-3000:]}",
        )
        return time.monotonic() - began

    def _sent(self) -> set[str]:
        return orders_reached(self.journal)

    async def outage(self, name: str, lasts_s: float, shows: Shows, gone: AbstractContextManager[None]) -> Seen:
        """One of them: its condition and metric while it lasts, its events, and that trading goes on by itself."""
        kind, shown, told = shows
        began, known = time.monotonic(), len(self.events())
        with gone:
            await eventually(
                lambda: self._shows(kind, shown), within_s=max(lasts_s, 20.0), every_s=0.5, what=f"{kind}: {shown!r}"
            )
            view = await self.process(kind)
            metric = await asyncio.to_thread(_metric, view.http_port)
            during = [line for line in map(_line, self.events()[known:]) if line]
            await asyncio.sleep(max(0.0, lasts_s - (time.monotonic() - began)))
            lasted_s = time.monotonic() - began
        resumed_s = await self.trading()
        for each in ("gateway", "recorder"):
            await eventually(lambda each=each: self._is_ready(each), within_s=_RESUMES_WITHIN_S, every_s=0.5)  # type: ignore[misc]
        # What was told about Redis' absence comes when Redis is back, and the processes have found that out.
        await eventually(
            lambda: any(told in line for line in map(_line, self.events()[known:])),
            within_s=_RESUMES_WITHIN_S,
            every_s=0.5,
            what=f"an event with {told!r}",
        )
        lines = during + [line for line in map(_line, self.events()[known:]) if line and line not in during]
        return Seen(name, lasted_s, view.message, metric, during, lines, resumed_s)

    async def _shows(self, kind: str, shown: str) -> bool:
        view = await self.process(kind)
        assert shown in view.message, f"{view.phase}, ready {view.ready}: {view.message!r}"
        return not view.ready

    async def _is_ready(self, kind: str) -> bool:
        return (await self.process(kind)).ready

    async def audited(self) -> list[str]:
        """End the fleet as Ctrl-C does, and compare the three places, and let `christmas audit` look."""
        await a_position_closed(self.journal)
        await asyncio.to_thread(self.fleet.interrupt, 60)
        database = await read_database(self.database_url, market="paper", session_id=self._session_id())
        books = Books(read_journal(self.journal), read_venue(self.journal.with_name("venue.sqlite")), database)
        return differences(books) + await audited(self.fleet.state, self.database_url)

    def _session_id(self) -> str:
        settings = self.fleet.state / "processes" / "gateway-paper" / "settings.json"
        return str(json.loads(settings.read_bytes()).get("session_id", "default"))


def _metric(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=3) as answer:
        for line in bytes(answer.read()).decode().splitlines():
            if line.startswith("christmas_process_ready "):
                return float(line.rpartition(" ")[2])
    raise AssertionError("no christmas_process_ready")


def _line(event: dict[str, Any]) -> str:
    if event["event"] == "alert":
        return f"{event['severity']} {event['reason']}: {event['message']}"
    if event["event"] == "state" and event["state"] in {"Waiting", "Blocked", "NotReady", "Failed", "CrashLoopBackOff"}:
        return f"{event['component']} {event['state']}: {event.get('message', '')}"
    return ""


async def all_of(one: OutageFleet, durations: dict[str, float]) -> list[Seen]:
    """Each in turn, the fleet left to recover by itself in between."""
    gone: dict[str, Callable[[], AbstractContextManager[None]]] = {
        "redis": one.proxies["redis"].gone,
        "database": one.proxies["database"].gone,
        "venue": one.venue_gone,
        "disk": one.disk_full,
    }
    return [await one.outage(name, durations[name], _SHOWS[name], gone[name]()) for name in durations]


@contextlib.asynccontextmanager
async def running(folder: Path, valkey: ValkeyServer, database_url: str) -> AsyncIterator[OutageFleet]:
    one = OutageFleet(folder, valkey, database_url)
    try:
        await one.start()
        yield one
    finally:
        await one.close()


say = partial(print, flush=True)


async def _main(durations: dict[str, float]) -> int:
    server = os.environ.get("CHRISTMAS_TEST_DATABASE_URL") or str(start_postgres().get_uri())
    url = create_database(server)
    valkey = ValkeyServer(durable=True)
    valkey.start()
    try:
        with tempfile.TemporaryDirectory(prefix="cxmas-outages-") as folder:
            async with running(Path(folder), valkey, url) as one:
                for seen in await all_of(one, durations):
                    say(f"{seen.outage}: {seen.lasted_s:.0f} s; {seen.condition}; ready metric {seen.metric}")
                    say(f"  trading again after {seen.resumed_s:.1f} s; events: {'; '.join(seen.events[:4])[:600]}")
                found = await one.audited()
        say("the audit finds nothing" if not found else "\n".join(found))
        return 1 if found else 0
    finally:
        valkey.close()
        drop_database(server, url)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="the whole durations, about four minutes")
    chosen = FULL if parser.parse_args().full else {name: seconds / 3 for name, seconds in FULL.items()}
    raise SystemExit(asyncio.run(_main(chosen)))
