"""What kopf's lists contained, seen on their way through the HTTP session.

kopf hands out an event for each object of a list, and none for an object that a list no longer shows: what was
deleted while a watch was down would stay in a cache for ever. It does not tell when a list is through, either.
Both follow from the uids in a list's answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

from christmas_operator import metrics
from christmas_operator.kube.kinds import BY_PLURAL, Kind

METADATA_ONLY: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"


class _Meta(msgspec.Struct):
    uid: str = ""


class _Item(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str = "0"
    continue_: str | None = msgspec.field(default=None, name="continue")


class _List(msgspec.Struct):
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)
    items: list[_Item] | None = None


class Listing(NamedTuple):
    """A list that is through: all that there was of a kind, in one namespace or (None) everywhere."""

    kind: Kind
    namespace: str | None
    uids: frozenset[str]
    version: int
    """Younger objects may be missing from it."""


class ListObserver:
    """A middleware of the session. It also has watches show no more than the metadata of what is not needed whole."""

    def __init__(self, on_list: Callable[[Listing], None]) -> None:
        self._on_list = on_list
        self._parts: dict[tuple[str, str | None], set[str]] = {}
        self._decoder = msgspec.json.Decoder(_List)

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        found = watched_collection(request.url.path) if request.method == "GET" else None
        if found is None:
            return await handler(request)
        kind, namespace = found
        query = request.url.query
        watch = query.get("watch") == "true"
        if watch and not kind.whole:
            # Not of lists: the API server makes null of an empty one, which kopf does not take.
            request.headers["Accept"] = METADATA_ONLY
        response = await handler(request)
        if not watch and response.status == 200:
            # kopf reads it once more, from memory.
            listed = self._decoder.decode(await response.read())
            key = (kind.kind, namespace)
            if "continue" not in query:
                self._parts[key] = set()
                metrics.LISTS.labels(kind.kind).inc()
            part = self._parts.setdefault(key, set())
            part.update(item.metadata.uid for item in listed.items or ())
            if not listed.metadata.continue_:
                version = listed.metadata.resource_version
                uids = frozenset(self._parts.pop(key))
                self._on_list(Listing(kind, namespace, uids, int(version) if version.isdigit() else 0))
        return response


def watched_collection(path: str) -> tuple[Kind, str | None] | None:
    """Kind and namespace of a collection's path; None for everything else."""
    parts = path.strip("/").split("/")
    if parts[:1] == ["api"]:
        group, rest = "", parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 2:
        group, rest = parts[1], parts[3:]
    else:
        return None
    namespace: str | None = None
    if len(rest) == 3 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    if len(rest) != 1:
        return None
    kind = BY_PLURAL.get((group, rest[0]))
    return None if kind is None else (kind, namespace)
