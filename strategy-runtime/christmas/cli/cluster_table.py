"""Resources of a cluster as tables and lines. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from christmas.cli.names import Kind
from christmas.cli.output import Table, as_yaml, render
from christmas.cli.resources import age
from christmas.cluster.conditions import condition, conditions, is_behind, is_ready, phase, reason, why
from christmas.cluster.events import EventLine
from christmas.cluster.pods import PodView
from christmas.cluster.resources import Object, broker_of

_OURS = ("apiVersion", "kind", "metadata", "spec", "status")


def table_of(kind: Kind, objects: Sequence[Object], pods: Mapping[str, PodView]) -> Table:
    """``pods``: by the resource's name, for the wide columns."""
    return _strategies(objects, pods) if kind == "Strategy" else _brokers(objects, pods)


def described(obj: Object) -> dict[str, Any]:
    """The manifest as it is kept, without what only the API server reads."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {key: metadata if key == "metadata" else obj[key] for key in _OURS if key in obj}


def description(obj: Object) -> Iterator[str]:
    """The lines of `describe` that the object itself has."""
    metadata = obj["metadata"]
    yield f"Name:        {metadata['name']}"
    yield f"Namespace:   {metadata['namespace']}"
    yield f"Kind:        {obj['kind']}"
    yield f"Uid:         {metadata['uid']}"
    yield f"Generation:  {metadata['generation']}{', not looked at yet' if is_behind(obj) else ''}"
    yield f"Age:         {age(metadata['creationTimestamp'])}"
    if metadata.get("labels"):
        yield f"Labels:      {', '.join(f'{key}={value}' for key, value in sorted(metadata['labels'].items()))}"
    yield "Spec:"
    for line in as_yaml(obj["spec"]).splitlines():
        yield f"  {line}"
    yield f"Phase:       {phase(obj)}"
    yield f"Epoch:       {obj.get('status', {}).get('epoch') or '-'}"
    yield "Conditions:"
    rows = [(one.type, one.status, one.reason, one.message) for one in conditions(obj)]
    if rows:
        for line in render(Table(("TYPE", "STATUS", "REASON", "MESSAGE"), rows)).splitlines():
            yield f"  {line}"
    else:
        yield f"  {why(obj)}"


def events_table(events: Sequence[EventLine]) -> Table:
    rows = [
        (age(event.time), event.kind, event.reason, str(event.times), " ".join(event.message.split()))
        for event in events
    ]
    return Table(("AGE", "TYPE", "REASON", "COUNT", "MESSAGE"), rows, right=frozenset({3}))


def _strategies(objects: Sequence[Object], pods: Mapping[str, PodView]) -> Table:
    rows = []
    for obj in objects:
        metadata, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
        pod = pods.get(metadata["name"])
        drift = condition(obj, "ConfigDrift")
        waits = drift is not None and drift.status == "True"
        rows.append(
            (
                metadata["name"],
                phase(obj),
                str(is_ready(obj)),
                broker_of(obj),
                ",".join(spec["symbols"]),
                spec.get("timeframe", "-"),
                drift.reason or "ConfigDrift" if waits and drift is not None and is_ready(obj) else reason(obj),
                age(metadata["creationTimestamp"]),
                pod.name if pod is not None else str(status.get("pod") or "-"),
                pod.node or "-" if pod is not None else "-",
                str(status.get("epoch") or "-"),
                str(pod.restarts if pod is not None else status.get("restarts", 0)),
                why(obj),
            )
        )
    headings = (
        *("NAME", "PHASE", "READY", "BROKER", "SYMBOLS", "TIMEFRAME", "REASON", "AGE"),
        *("POD", "NODE", "EPOCH", "RESTARTS", "WHY"),
    )
    return Table(headings, rows, wide=frozenset(range(8, 13)), right=frozenset({10, 11}))


def _brokers(objects: Sequence[Object], pods: Mapping[str, PodView]) -> Table:
    rows = []
    for obj in objects:
        metadata, status = obj["metadata"], obj.get("status", {})
        pod = pods.get(metadata["name"])
        rows.append(
            (
                metadata["name"],
                obj["spec"].get("type", "paper"),
                phase(obj),
                str(is_ready(obj)),
                str(status.get("strategies", 0)),
                reason(obj),
                age(metadata["creationTimestamp"]),
                str(status.get("gateway") or "-"),
                pod.name if pod is not None else "-",
                pod.node or "-" if pod is not None else "-",
                why(obj),
            )
        )
    headings = ("NAME", "TYPE", "PHASE", "READY", "STRATEGIES", "REASON", "AGE", "GATEWAY", "POD", "NODE", "WHY")
    return Table(headings, rows, wide=frozenset(range(7, 11)), right=frozenset({4}))
