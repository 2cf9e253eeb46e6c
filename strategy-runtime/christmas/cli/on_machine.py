"""The fleet on this machine, through its supervisor's socket and its state folder."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

import click
import msgspec
import redis.asyncio as redis

from christmas.brokers.admin import CommandName
from christmas.cli.activity import explanation
from christmas.cli.backend import Activity, Listing, Section, Targets
from christmas.cli.client import fleet_or_stored, request, running_fleet, state_folder
from christmas.cli.names import Kind, parse_one
from christmas.cli.output import WATCH_EVERY_S, as_yaml, mebibytes, span
from christmas.cli.resources import age, manifest, names_of, select, table_of
from christmas.fleet.catalogue import Catalogue
from christmas.fleet.control import Apply, AtGateway, Delete, SetState
from christmas.fleet.doctor import Check, examine
from christmas.fleet.errors import NotRunningError
from christmas.fleet.event_feed import event_line, event_time, recent_events
from christmas.fleet.local import open_session
from christmas.fleet.manifests import read_here
from christmas.fleet.records import open_pool, read_reports
from christmas.fleet.report import StrategyReport
from christmas.fleet.session import Session
from christmas.fleet.state import StateFolder
from christmas.fleet.view import BrokerView, FleetView, ProcessView, StrategyView
from christmas.ingestion.history import OrderRecord, load_orders
from christmas.resources.load import Loaded
from christmas.resources.validate import Resource

_EVENTS: Final = 15
_POLL_S: Final = 0.25
_OTHER_LOGS: Final = {
    "recorder": ("recorder", "recorder"),
    "valkey": ("store", "valkey"),
    "redis": ("store", "valkey"),
    "postgres": ("store", "postgres"),
    "supervisor": ("supervisor", "supervisor"),
}


class MachineBackend:
    """Of one state folder."""

    def __init__(self, state_path: Path | None) -> None:
        self._path = state_path

    # --- resources -----------------------------------------------------------------------------------

    def listings(self, targets: Targets, *, watch: bool, wide: bool) -> Iterator[Listing]:
        while True:
            fleet = fleet_or_stored(self._path)
            yield Listing(
                [_section(fleet, kind, targets) for kind in dict.fromkeys(kind for kind, _ in targets)],
                fleet.state_folder,
            )
            if not watch:
                return
            time.sleep(WATCH_EVERY_S)

    def describe(self, kind: Kind, name: str) -> Iterator[str]:
        fleet = fleet_or_stored(self._path)
        view = select(fleet, kind, name)[0]
        metadata = view.resource.metadata
        yield f"Name:        {view.name}"
        yield f"Kind:        {kind}"
        yield f"Uid:         {metadata.uid or '-'}"
        yield f"Generation:  {metadata.generation}"
        yield f"Age:         {age(metadata.creation_timestamp)}"
        if metadata.labels:
            yield f"Labels:      {', '.join(f'{key}={value}' for key, value in sorted(metadata.labels.items()))}"
        yield "Spec:"
        for line in as_yaml(msgspec.to_builtins(view.resource.spec)).splitlines():
            yield f"  {line}"
        yield from _process(view.process)
        yield from _strategy(view, fleet) if isinstance(view, StrategyView) else _broker(view, fleet)

    def apply(self, paths: Sequence[Path], *, now: bool, dry_run: bool) -> Iterable[str]:
        if now:
            raise click.UsageError("--now is for a cluster; here set updatePolicy: Immediate")
        fleet = fleet_or_stored(self._path)
        known: list[Resource] = [view.resource for view in fleet.brokers]
        known += [view.resource for view in fleet.strategies]
        loaded = read_here(paths, known=known)
        for warning in loaded.warnings:
            click.echo(str(warning), err=True)
        if dry_run:
            return [f"{type(one).__name__.lower()}/{one.metadata.name} valid (dry run)" for one in loaded.resources]
        try:
            return request(self._path, Apply(strategies=loaded.strategies, brokers=loaded.brokers)).lines
        except NotRunningError:
            return self._store(loaded)

    def _store(self, loaded: Loaded) -> list[str]:
        state = state_folder(self._path)
        state.prepare()
        state.lock()
        try:
            lines = Catalogue(state, open_session(state, os.environ).session).apply(loaded.resources)
        finally:
            state.unlock()
        click.echo("no fleet runs: this takes effect with the next `christmas up`", err=True)
        return lines

    def set_state(self, name: str, state: Literal["Running", "Suspended"]) -> Iterable[str]:
        return request(self._path, SetState(name=name, state=state)).lines

    def delete(self, kind: Kind, name: str, *, force: bool) -> Iterable[str]:
        return request(self._path, Delete(kind=kind, name=name, force=force)).lines

    # --- trading -------------------------------------------------------------------------------------

    def activities(self, names: Sequence[str] | None) -> list[Activity]:
        return [_activity(view) for view in _chosen(running_fleet(self._path), names)]

    def broker_of(self, kind: Kind, name: str) -> str:
        view = select(running_fleet(self._path), kind, name)[0]
        return view.resource.spec.broker_ref.name if isinstance(view, StrategyView) else name

    def at_gateway(self, broker: str, action: CommandName, *, strategy: str | None, reason: str) -> Iterable[str]:
        return request(self._path, AtGateway(broker=broker, action=action, strategy=strategy, reason=reason)).lines

    def orders(self, names: Sequence[str] | None) -> list[OrderRecord]:
        fleet = running_fleet(self._path)
        chosen = {view.name for view in _chosen(fleet, names)}
        # Without names also those of strategies that were deleted.
        return [order for order in asyncio.run(_orders(fleet)) if names is None or order.strategy in chosen]

    def reports(self, names: Sequence[str] | None) -> list[StrategyReport]:
        fleet = running_fleet(self._path)
        return asyncio.run(_reports(fleet, _chosen(fleet, names)))

    # --- the machine ---------------------------------------------------------------------------------

    def log(self, what: Sequence[str], *, follow: bool, tail: int, previous: bool) -> Iterator[str]:
        file = self._log_file(tuple(what))
        if previous:
            file = file.with_suffix(file.suffix + ".1")
        if not file.exists():
            raise click.ClickException(f"there is no log {file} yet")
        with file.open(encoding="utf-8", errors="replace") as stream:
            for line in deque(stream, maxlen=tail):
                yield line.rstrip("\n")
            while follow:
                line = stream.readline()
                if line:
                    yield line.rstrip("\n")
                    continue
                if file.stat().st_size < stream.tell():
                    # It was cut for its size, and began anew.
                    stream.seek(0)
                time.sleep(_POLL_S)

    def _log_file(self, what: tuple[str, ...]) -> Path:
        state: StateFolder = state_folder(self._path)
        if len(what) == 1 and what[0] in _OTHER_LOGS:
            return state.log(*_OTHER_LOGS[what[0]])
        kind, name = parse_one(what)
        fleet = fleet_or_stored(self._path)
        if kind == "Strategy" and "/" not in what[0] and name in {broker.name for broker in fleet.brokers}:
            kind = "Broker"
        return state.log("gateway" if kind == "Broker" else "runtime", name)

    def examine(self) -> list[Check]:
        return asyncio.run(examine(state_folder(self._path), os.environ))


def _section(fleet: FleetView, kind: Kind, targets: Targets) -> Section:
    views = [view for other, name in targets if other == kind for view in select(fleet, kind, name)]
    return Section(kind, table_of(kind, views), names_of(kind, views), [manifest(view) for view in views])


def _process(process: ProcessView) -> Iterator[str]:
    yield "Process:"
    yield f"  Phase:     {process.phase}{f' ({process.message})' if process.message else ''}"
    yield f"  Ready:     {process.ready}"
    yield f"  Restarts:  {process.restarts}"
    if process.pid is not None:
        limit = f" of {mebibytes(process.memory_limit_bytes)}" if process.memory_limit_bytes else ""
        enforced = "enforced" if process.cpu_limited else "not enforced here"
        yield f"  Pid:       {process.pid}, for {span(process.running_s)}"
        yield f"  Memory:    {mebibytes(process.rss_bytes)}{limit}"
        yield f"  CPU:       {process.cpu_percent:.0f}% of a core, limit {enforced}"
        yield f"  Metrics:   http://127.0.0.1:{process.http_port}/metrics"
    if process.log:
        yield f"  Log:       {process.log}"


def _strategy(view: StrategyView, fleet: FleetView) -> Iterator[str]:
    yield f"Epoch:       {view.epoch or '-'}"
    if view.drifted:
        yield f"ConfigDrift: updatePolicy {view.resource.spec.update_policy} keeps the earlier manifest running"
    yield "Trading:"
    for line in explanation(_activity(view)):
        yield f"  {line}".rstrip()
    if not fleet.redis_url:
        return
    yield "Events:"
    try:
        events = asyncio.run(recent_events(fleet.redis_url, fleet.replay_id, strategy=view.name, count=_EVENTS))
    except (redis.RedisError, OSError) as error:
        yield f"  Redis does not answer: {error}"
        return
    for event in events:
        yield f"  {event_time(event)} {event_line(event)[1]}"
    if not events:
        yield "  none yet"


def _broker(view: BrokerView, fleet: FleetView) -> Iterator[str]:
    yield f"Market:      {view.market}"
    yield f"Feed:        {view.feed}"
    users = [strategy.name for strategy in fleet.strategies if strategy.resource.spec.broker_ref.name == view.name]
    yield f"Strategies:  {', '.join(users) or 'none'}"


def _activity(view: StrategyView) -> Activity:
    return Activity(name=view.name, phase=view.process.phase, why=view.why, runtime=view.runtime)


def _chosen(fleet: FleetView, names: Sequence[str] | None) -> list[StrategyView]:
    if names is None:
        return list(fleet.strategies)
    found = [view for name in names for view in select(fleet, "Strategy", name)]
    return [view for view in found if isinstance(view, StrategyView)]


async def _orders(fleet: FleetView) -> list[OrderRecord]:
    pool = await open_pool(fleet.database_url)
    try:
        return await load_orders(pool, fleet.session_id)
    finally:
        await pool.close()


async def _reports(fleet: FleetView, views: Sequence[StrategyView]) -> list[StrategyReport]:
    session = Session(
        redis_url=fleet.redis_url,
        database_url=fleet.database_url,
        session_id=fleet.session_id,
        replay_id=fleet.replay_id,
    )
    pool = await open_pool(fleet.database_url)
    try:
        return await read_reports(pool, session, [view.resource for view in views])
    finally:
        await pool.close()
