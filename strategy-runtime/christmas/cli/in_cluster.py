"""The fleet in a cluster, through its API server with the rights of the user's kubeconfig."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

import click

from christmas.brokers.admin import CommandName
from christmas.cli.activity import explanation
from christmas.cli.backend import Activity, Listing, Section, Targets
from christmas.cli.cluster_table import described, description, events_table, table_of
from christmas.cli.names import Kind, parse_one
from christmas.cli.output import render
from christmas.cluster.api import Api
from christmas.cluster.applying import apply, known_resources, namespace_of, refuse_local_files
from christmas.cluster.conditions import phase, why
from christmas.cluster.doctor import examine
from christmas.cluster.errors import ClusterError, RefusedError
from christmas.cluster.events import events_of
from christmas.cluster.follow import Snapshot, follow
from christmas.cluster.gateway import at_gateway
from christmas.cluster.gateway_orders import orders_at_gateway
from christmas.cluster.history import credentials, read_orders, read_results
from christmas.cluster.pods import LABELS, PodView, log_lines, pod_of, pod_of_component, pods_of
from christmas.cluster.resources import (
    Object,
    broker_of,
    delete_object,
    get_object,
    list_objects,
    model,
    no_such,
    set_state,
    strategies_of,
)
from christmas.cluster.runtime_status import read_statuses
from christmas.fleet.doctor import Check
from christmas.fleet.errors import FleetError
from christmas.fleet.manifests import read
from christmas.fleet.report import StrategyReport
from christmas.ingestion.history import OrderRecord
from christmas.resources.broker import Broker
from christmas.resources.strategy import Strategy
from christmas.telemetry.status import RuntimeStatus

_EVENTS: Final = 15
_COMPONENTS: Final = {
    "recorder": "recorder",
    "operator": "operator",
    "redis": "redis",
    "valkey": "redis",
    "postgres": "timescaledb",
    "timescaledb": "timescaledb",
}


class ClusterBackend:
    """Of one namespace."""

    def __init__(self, api: Api, *, asked_namespace: str | None = None) -> None:
        """``asked_namespace``: the one the user named, with which manifests must agree."""
        self._api = api
        self._asked_namespace = asked_namespace

    # --- resources -----------------------------------------------------------------------------------

    def listings(self, targets: Targets, *, watch: bool, wide: bool) -> Iterator[Listing]:
        if watch:
            snapshots = follow(self._api, targets, tell=lambda text: click.echo(text, err=True))
        else:
            found = {target: list_objects(self._api, *target).objects for target in dict.fromkeys(targets)}
            snapshots = iter([found])
        for index, snapshot in enumerate(snapshots):
            yield self._listing(targets, snapshot, wide=wide, must_exist=index == 0)

    def _listing(self, targets: Targets, snapshot: Snapshot, *, wide: bool, must_exist: bool) -> Listing:
        sections = []
        for kind in dict.fromkeys(kind for kind, _ in targets):
            objects: list[Object] = []
            for target in targets:
                if target[0] != kind:
                    continue
                name = target[1]
                if name is not None and must_exist and not snapshot[target]:
                    raise no_such(self._api, kind, name, list_objects(self._api, kind).objects)
                objects += snapshot[target].values()
            pods = self._pods(kind) if wide else {}
            names = [f"{kind.lower()}/{obj['metadata']['name']}" for obj in objects]
            sections.append(Section(kind, table_of(kind, objects, pods), names, [described(obj) for obj in objects]))
        return Listing(sections, f"namespace {self._api.cluster.namespace}")

    def _pods(self, kind: Kind) -> dict[str, PodView]:
        """Only for a column that says where they run: who may not see pods sees the rest."""
        try:
            return pods_of(self._api, kind)
        except RefusedError as error:
            click.echo(f"nodes are not shown: {error}", err=True)
            return {}

    def describe(self, kind: Kind, name: str) -> Iterator[str]:
        obj = get_object(self._api, kind, name)
        yield from description(obj)
        pod: PodView | None = None
        try:
            pod = pods_of(self._api, kind, name).get(name)
        except ClusterError as error:
            yield f"Pod:         {error}"
        else:
            yield from _pod_lines(pod)
        if kind == "Strategy":
            yield "Trading:"
            for line in explanation(self._activity(obj, pod)):
                yield f"  {line}".rstrip()
        else:
            users = strategies_of(list_objects(self._api, "Strategy").objects.values(), name)
            yield f"Strategies:  {', '.join(users) or 'none'}"
        yield "Events:"
        try:
            events = events_of(self._api, kind, name, count=_EVENTS)
        except ClusterError as error:
            yield f"  {error}"
            return
        if not events:
            yield "  none yet"
            return
        for line in render(events_table(events)).splitlines():
            yield f"  {line}"

    def apply(self, paths: Sequence[Path], *, now: bool, dry_run: bool) -> Iterable[str]:
        default = self._api.cluster.namespace
        known = known_resources(self._api, default)
        loaded = read(paths, known=known)
        namespace = namespace_of(loaded.documents, default=default, asked=self._asked_namespace)
        if namespace != default:
            raise ClusterError(
                f"the manifests are for namespace {namespace}, this works in {default}", f"say -n {namespace}"
            )
        refuse_local_files(loaded.documents)
        for warning in loaded.warnings:
            click.echo(str(warning), err=True)
        return apply(self._api, loaded, namespace, now=now, dry_run=dry_run)

    def set_state(self, name: str, state: Literal["Running", "Suspended"]) -> Iterable[str]:
        if not set_state(self._api, name, state):
            return [f"strategy/{name} is {state.lower()} already"]
        return [f"strategy/{name} {'suspended' if state == 'Suspended' else 'resumed'}"]

    def delete(self, kind: Kind, name: str, *, force: bool) -> Iterable[str]:
        obj = get_object(self._api, kind, name)
        if kind == "Broker":
            users = strategies_of(list_objects(self._api, "Strategy").objects.values(), name)
            if users:
                raise ClusterError(f"Broker {name} is used by {', '.join(users)}", "delete them first")
        elif not force and obj["spec"].get("onSuspend") != "Flatten":
            self._refuse_open_positions(obj)
        delete_object(self._api, kind, name)
        return [f"{kind.lower()}/{name} deleted"]

    def _refuse_open_positions(self, obj: Object) -> None:
        name = obj["metadata"]["name"]
        if not obj.get("status", {}).get("epoch"):
            # Nothing of it has ever run.
            return
        held = self._positions_held(obj)
        if held:
            positions = f"{held} open position{'s' if held > 1 else ''}"
            raise ClusterError(
                f"{name} holds {positions}, nobody would close them",
                "wait until it is flat, or set onSuspend: Flatten, or leave them with --force",
            )

    def _positions_held(self, obj: Object) -> int:
        name = obj["metadata"]["name"]
        activity = self._activity(obj, pods_of(self._api, "Strategy", name).get(name))
        if activity.runtime is not None:
            return len(activity.runtime.positions)
        try:
            answer = at_gateway(self._api, broker_of(obj), "positions", strategy=name).message
        except ClusterError as error:
            raise ClusterError(
                f"whether {name} holds positions is not known: {activity.why}; {error.what}",
                "delete it all the same with --force",
            ) from error
        return answer.count('"position_id"')

    # --- trading -------------------------------------------------------------------------------------

    def activities(self, names: Sequence[str] | None) -> list[Activity]:
        objects = self._strategies(names)
        pods = pods_of(self._api, "Strategy", objects[0]["metadata"]["name"] if len(objects) == 1 else None)
        seen = {name: pod for name, pod in pods.items() if name in {obj["metadata"]["name"] for obj in objects}}
        statuses = dict(zip(seen, read_statuses(self._api, list(seen.values())), strict=True))
        return [_activity(obj, statuses.get(obj["metadata"]["name"])) for obj in objects]

    def _activity(self, obj: Object, pod: PodView | None) -> Activity:
        return _activity(obj, read_statuses(self._api, [pod])[0] if pod is not None else None)

    def _strategies(self, names: Sequence[str] | None) -> list[Object]:
        if names is not None and len(names) == 1:
            return [get_object(self._api, "Strategy", names[0])]
        found = list_objects(self._api, "Strategy").objects
        for name in names or ():
            if name not in found:
                raise no_such(self._api, "Strategy", name, found)
        return [found[name] for name in names] if names is not None else list(found.values())

    def _models(self, names: Sequence[str] | None) -> list[Strategy]:
        found = [model(obj) for obj in self._strategies(names)]
        return [one for one in found if isinstance(one, Strategy)]

    def broker_of(self, kind: Kind, name: str) -> str:
        obj = get_object(self._api, kind, name)
        return broker_of(obj) if kind == "Strategy" else name

    def at_gateway(self, broker: str, action: CommandName, *, strategy: str | None, reason: str) -> Iterable[str]:
        return [at_gateway(self._api, broker, action, strategy=strategy, reason=reason).message]

    def orders(self, names: Sequence[str] | None) -> list[OrderRecord]:
        strategies = self._models(names)
        if not strategies:
            return []
        chosen = {strategy.metadata.name for strategy in strategies}
        try:
            found = read_orders(self._api, credentials(self._api, strategies[0].metadata.name))
        except FleetError as error:
            # The gateways know the newest, and answer also when no database does.
            try:
                found = self._orders_at_gateways(strategies)
            except FleetError as other:
                raise ClusterError(f"{error.what}; and {other.what}", error.mend or other.mend) from error
            click.echo(f"from the gateways, the newest 500 of each strategy: {error}", err=True)
        return [order for order in found if order.strategy in chosen]

    def _orders_at_gateways(self, strategies: list[Strategy]) -> list[OrderRecord]:
        brokers = [model(obj) for obj in list_objects(self._api, "Broker").objects.values()]
        known = {broker.metadata.name: broker for broker in brokers if isinstance(broker, Broker)}
        return orders_at_gateway(self._api, strategies, known)

    def reports(self, names: Sequence[str] | None) -> list[StrategyReport]:
        strategies = self._models(names)
        if not strategies:
            return []
        return read_results(self._api, credentials(self._api, strategies[0].metadata.name), strategies)

    # --- the installation ----------------------------------------------------------------------------

    def log(self, what: Sequence[str], *, follow: bool, tail: int, previous: bool) -> Iterator[str]:
        container: str | None = None
        if len(what) == 1 and what[0] in _COMPONENTS:
            pod = pod_of_component(self._api, _COMPONENTS[what[0]])
        else:
            kind, name = parse_one(tuple(what))
            get_object(self._api, kind, name)
            pod, container = pod_of(self._api, kind, name), LABELS[kind][1]
        yield from log_lines(self._api, pod, container=container, follow=follow, tail=tail, previous=previous)

    def examine(self) -> list[Check]:
        return examine(self._api)


def _activity(obj: Object, status: RuntimeStatus | str | None) -> Activity:
    name, told = obj["metadata"]["name"], phase(obj)
    if isinstance(status, RuntimeStatus):
        return Activity(name, told, status.why, status)
    return Activity(name, told, f"{why(obj)}; {status}" if status else why(obj), None)


def _pod_lines(pod: PodView | None) -> Iterator[str]:
    if pod is None:
        yield "Pod:         none now"
        return
    yield "Pod:"
    yield f"  Name:      {pod.name}"
    yield f"  Node:      {pod.node or '-'}"
    yield f"  Ready:     {pod.ready}"
    yield f"  State:     {pod.state}"
    yield f"  Restarts:  {pod.restarts}"
