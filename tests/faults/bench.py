"""A gateway, runtimes and a recorder as processes, with a proxy on each of the links between them and the stores."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

import msgspec
import redis

from christmas.brokers.gateway.settings import GatewaySettings
from christmas.brokers.paper.terms import instrument_of
from christmas.brokers.permit import issue, limits_of
from christmas.ingestion.settings import MarketSettings, RecorderSettings
from christmas.resources.broker import Broker, PaperSpec
from christmas.resources.strategy import Strategy
from christmas.runtime.settings import RuntimeSettings
from christmas.telemetry.settings import ProcessSettings, ProcessStatus
from tests.chaos.books import Books, read_database, read_journal, read_venue
from tests.faults.auditing import a_position_closed, as_state_folder, audited
from tests.faults.proxy import Proxy
from tests.integration.gateway.running import KEY, SYMBOL, broker, raw_permit
from tests.support.servers import ValkeyServer
from tests.support.waiting import eventually

LINKS: Final = (
    "gateway-redis",
    "runtime-redis",
    "recorder-redis",
    "recorder-database",
    "runtime-database",
    "runtime-gateway",
    "admin-gateway",
)
_FINAL: Final = frozenset({"filled", "cancelled", "rejected", "denied", "expired"})
_SPEC: Final[Mapping[str, Any]] = {
    "brokerRef": {"name": "paper"},
    "symbols": [SYMBOL],
    "timeframe": "1s",
    "rules": {"entry": "close > 0"},
    "capital": {"amount": "1000000", "perTrade": "20", "maxPositions": 100},
    "risk": {"maxOrdersPerMinute": 600, "maxOpenOrders": 200},
    "exit": {"policy": "NoLoss", "minimumProfit": "0.0001%"},
}


def strategy(name: str = "eager") -> Strategy:
    """Buys on every bar of a second, and never sells at a loss."""
    spec = dict(_SPEC)
    raw = {
        "apiVersion": "christmas.dev/v1alpha1",
        "kind": "Strategy",
        "metadata": {"name": name, "uid": f"uid-{name}"},
        "spec": spec,
    }
    return msgspec.convert(raw, type=Strategy)


def address_of(database_url: str) -> str:
    """Where a PostgreSQL listens; an embedded one on a unix socket."""
    parts = urlsplit(database_url)
    folder = parse_qs(parts.query).get("host")
    return f"unix:{folder[0]}/.s.PGSQL.{parts.port or 5432}" if folder else f"tcp://{parts.hostname}:{parts.port}"


def through(database_url: str, proxy: Proxy) -> str:
    """The same database, behind a proxy that has been started."""
    parts = urlsplit(database_url)
    login = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{proxy.port}", query=""))


def orders_reached(journal: Path) -> set[str]:
    """Orders that the venue has taken, by a gateway's journal; none while that is being made."""
    try:
        return read_journal(journal).sent if journal.exists() else set()
    except sqlite3.OperationalError:
        return set()


def cheap(manifest: Broker) -> Broker:
    """Without fees positions close soon, so that there is always something to trade."""
    fees = msgspec.structs.replace(manifest.spec.fees, maker="0%", taker="0%")
    return msgspec.structs.replace(manifest, spec=msgspec.structs.replace(manifest.spec, fees=fees))


class Process:
    """One ``python -m MODULE SETTINGS.json``."""

    def __init__(self, module: str, folder: Path, settings: ProcessSettings) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._module = module
        self.settings_file = folder / "settings.json"
        self.settings_file.write_bytes(msgspec.json.encode(settings))
        self.status_file = Path(settings.status_file or "")
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        self.status_file.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self._module, str(self.settings_file)],
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {})},
            )

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def exit_code(self) -> int | None:
        assert self.process is not None
        return self.process.poll()

    def why_not_ready(self) -> str | None:
        """None: ready. Else what /readyz says, or that it says nothing."""
        try:
            with urllib.request.urlopen(self._url("/readyz"), timeout=1.5):  # noqa: S310
                return None
        except urllib.error.HTTPError as error:
            return error.read().decode().strip()
        except (OSError, msgspec.MsgspecError) as error:
            return f"does not answer: {error}"

    def metrics(self) -> dict[str, float]:
        try:
            with urllib.request.urlopen(self._url("/metrics"), timeout=3) as answer:  # noqa: S310
                lines = [line.rpartition(" ") for line in bytes(answer.read()).decode().splitlines()]
        except OSError as error:
            raise AssertionError(f"/metrics does not answer: {error}") from error
        return {name: float(value) for name, _, value in lines if name and not name.startswith("#")}

    def _url(self, path: str) -> str:
        status = msgspec.json.decode(self.status_file.read_bytes(), type=ProcessStatus)
        return f"http://127.0.0.1:{status.http_port}{path}"

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """SIGSTOP, and SIGCONT at the end of the block."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(timeout=10)


class Bench:
    """All of it. ``links`` has the proxy of each link."""

    def __init__(self, folder: Path, valkey: ValkeyServer, database_url: str) -> None:
        self.folder = folder
        self.valkey = valkey
        self.database_url = database_url
        self._gateway_socket = f"unix:{folder}/g.sock"
        targets = {"redis": f"tcp://127.0.0.1:{valkey.port}", "database": address_of(database_url)}
        self.links = {
            name: Proxy("tcp://127.0.0.1:0", targets.get(name.rpartition("-")[2], self._gateway_socket))
            for name in LINKS
        }
        self.manifest = cheap(broker(paper=PaperSpec(cash="1000000", order_latency="5ms", report_latency="5ms")))
        self.key_file = folder / "permit.key"
        self.key_file.write_bytes(KEY)
        self.client = redis.Redis(port=valkey.port, socket_timeout=10)
        self.texts = redis.Redis(port=valkey.port, socket_timeout=10, decode_responses=True)
        self.runtimes: list[Process] = []

    async def start(self) -> None:
        for link in self.links.values():
            await link.start()
        self.gateway = self._gateway()
        self.recorder = self._recorder()
        self.gateway.start()
        self.recorder.start()
        self.runtime = self.make_runtime()
        self.runtime.start()
        await self.trading()

    async def close(self) -> None:
        for process in (*self.runtimes, self.gateway, self.recorder):
            await asyncio.to_thread(process.end)
        for link in self.links.values():
            await link.close()
        self.client.close()
        self.texts.close()

    # --- processes -----------------------------------------------------------------------------

    def _gateway(self) -> Process:
        folder = self.folder / "gateway"
        settings = GatewaySettings(
            name="gateway-paper",
            redis_url=self._redis("gateway-redis"),
            broker=self.manifest,
            listen=self._gateway_socket,
            state_directory=str(folder / "state"),
            permit_key_file=str(self.key_file),
            status_file=str(folder / "status.json"),
        )
        return Process("christmas.brokers.gateway", folder, settings)

    def _recorder(self) -> Process:
        folder = self.folder / "recorder"
        instruments = tuple(instrument_of(one) for one in self.manifest.spec.instruments)
        settings = RecorderSettings(
            name="recorder",
            redis_url=self._redis("recorder-redis"),
            database_url=self._database("recorder-database"),
            markets={"paper": MarketSettings(broker="paper", instruments=instruments)},
            status_file=str(folder / "status.json"),
        )
        return Process("christmas.ingestion.recorder", folder, settings)

    def make_runtime(self, name: str = "eager", *, epoch: int = 1, folder: str = "") -> Process:
        manifest = strategy(name)
        place = self.folder / (folder or f"runtime-{name}")
        place.mkdir(parents=True, exist_ok=True)
        (place / "strategy.json").write_bytes(msgspec.json.encode(manifest))
        permit = raw_permit(name, strategy_uid=manifest.metadata.uid, epoch=epoch, limits=limits_of(manifest.spec))
        (place / "permit").write_text(issue(permit, KEY))
        settings = RuntimeSettings(
            name=f"runtime-{name}",
            redis_url=self._redis("runtime-redis"),
            database_url=self._database("runtime-database"),
            strategy_file=str(place / "strategy.json"),
            permit_file=str(place / "permit"),
            gateway=self.links["runtime-gateway"].address,
            status_file=str(place / "status.json"),
        )
        process = Process("christmas.runtime", place, settings)
        self.runtimes.append(process)
        return process

    def _redis(self, link: str) -> str:
        return f"redis://127.0.0.1:{self.links[link].port}/0"

    def _database(self, link: str) -> str:
        return through(self.database_url, self.links[link])

    # --- what is to be seen --------------------------------------------------------------------

    def reached(self) -> set[str]:
        """Orders that the venue has taken; none while there is no journal."""
        return orders_reached(self.journal)

    @property
    def journal(self) -> Path:
        return self.folder / "gateway" / "state" / "journal.sqlite"

    def events(self) -> list[dict[str, Any]]:
        """All that were published, straight from Redis."""
        rows = self.client.xrange("events")
        return [msgspec.json.decode(fields[b"e"]) for _, fields in rows]  # type: ignore[union-attr]

    def event(self, **wanted: str) -> bool:
        """Whether one was published that has all these fields (or contains them, in its message)."""
        return any(
            all(value in event.get(name, "") if name == "message" else event.get(name) == value for name, value in
                wanted.items())
            for event in self.events()
        )  # fmt: skip

    async def trading(self, *, more: int = 2, within_s: float = 40.0) -> None:
        """Return when orders reach the venue (again) and the recorder keeps up."""
        before = len(self.reached())
        began = time.monotonic()
        try:
            await eventually(lambda: len(self.reached()) >= before + more, within_s=within_s, every_s=0.1)
        except AssertionError as error:
            raise AssertionError(f"no {more} more orders at the venue within {within_s} s\n{self.words()}") from error
        self.resumed_s = time.monotonic() - began

    def words(self) -> str:
        processes = [self.gateway, self.recorder, *self.runtimes]
        return "\n".join(f"--- {one.log.parent.name}\n{one.log.read_text()[-1200:]}" for one in processes if one.log.exists())  # noqa: E501 # fmt: skip

    async def audited(self) -> list[str]:
        """Stop trading in order, let everything be stored, compare the three places, and let `christmas audit` look."""
        await a_position_closed(self.journal)
        for process in self.runtimes:
            await asyncio.to_thread(process.end)
        await self._stored()
        await asyncio.to_thread(self.gateway.end)
        await self._stored()
        database = await read_database(self.database_url, market="paper", session_id="default")
        books = Books(read_journal(self.journal), read_venue(self.journal.with_name("venue.sqlite")), database)
        runtimes = {process.settings_file.parent for process in self.runtimes}
        state = as_state_folder(self.folder / "audited", self.folder / "gateway", runtimes)
        return differences(books) + await audited(state, self.database_url)

    async def _stored(self) -> None:
        """Return when the database has all that there was at first; more may come meanwhile."""
        entries = read_journal(self.journal).sequence
        ticks = int(str(self.texts.hget("stream:paper", SYMBOL) or 0))

        async def has_them() -> bool:
            database = await read_database(self.database_url, market="paper", session_id="default")
            return len(database.journal) >= entries and database.ticks >= ticks

        await eventually(has_them, within_s=40.0, every_s=0.2, what=f"{entries} entries and {ticks} ticks are stored")


def differences(books: Books) -> list[str]:
    """Everything in which journal, venue and database are at odds; `audited` of auditing looks at NoLoss."""
    journal, venue, stored = books
    found = []
    if unknown := venue.orders.keys() - journal.orders.keys():
        found.append(f"at the venue and not in the journal: {sorted(unknown)[:3]}")
    if lost := journal.sent - venue.orders.keys():
        found.append(f"the venue does not have: {sorted(lost)[:3]}")
    if journal.repeated_fills:
        found.append(f"fills written twice: {journal.repeated_fills[:3]}")
    if journal.fills != venue.fills:
        found.append(f"{len(journal.fills)} fills in the journal, {len(venue.fills)} at the venue")
    if journal.fills != stored.fills:
        found.append(f"{len(journal.fills)} fills in the journal, {len(stored.fills)} in the database")
    if journal.orders != stored.orders:
        differing = [key for key in journal.orders if journal.orders[key] != stored.orders.get(key)]
        found.append(f"orders differ from the database's: {differing[:3]}")
    if stored.journal != list(range(1, journal.sequence + 1)):
        found.append(f"the database has {len(stored.journal)} of {journal.sequence} entries")
    if stored.ticks != stored.trade_ids:
        found.append(f"{stored.ticks} ticks with {stored.trade_ids} trade ids")
    for key, status in venue.orders.items():
        known = journal.orders.get(key)
        if known is not None and known.status != status and (status in _FINAL or known.status in _FINAL):
            found.append(f"{key} is {status} at the venue and {known.status} in the journal")
    return found


@contextlib.asynccontextmanager
async def running(folder: Path, valkey: ValkeyServer, database_url: str) -> AsyncIterator[Bench]:
    bench = Bench(folder, valkey, database_url)
    try:
        await bench.start()
        yield bench
    finally:
        await bench.close()
