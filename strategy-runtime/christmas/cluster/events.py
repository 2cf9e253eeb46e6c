"""Kubernetes events about one object, as lines for a person."""

from __future__ import annotations

from typing import NamedTuple

from christmas.cluster.api import Api, segment
from christmas.cluster.resources import Object


class EventLine(NamedTuple):
    time: str
    """RFC 3339, of its last occurrence."""
    kind: str
    """Normal or Warning."""
    reason: str
    message: str
    times: int


def events_of(api: Api, kind: str, name: str, *, count: int) -> list[EventLine]:
    """The newest ``count``, oldest first."""
    query = {"fieldSelector": f"involvedObject.kind={kind},involvedObject.name={name}"}
    items = api.get(f"/api/v1/namespaces/{segment(api.cluster.namespace)}/events", query)["items"]
    return sorted(map(event_line, items))[-count:]


def event_line(event: Object) -> EventLine:
    """Of what the core and the newer events API write; pure."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    created = event["metadata"].get("creationTimestamp", "")
    return EventLine(
        time=next((str(time) for time in times if time), str(created)),
        kind=str(event.get("type", "")),
        reason=str(event.get("reason", "")),
        message=str(event.get("message", "")).strip(),
        times=int(series.get("count") or event.get("count") or 1),
    )
