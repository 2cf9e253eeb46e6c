"""Strategies and Brokers as the API server keeps them: listing, changing, deleting."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple

import msgspec

from christmas.cluster.api import Api, segment
from christmas.cluster.errors import ClusterError, RefusedError
from christmas.resources.broker import Broker
from christmas.resources.meta import API_VERSION
from christmas.resources.problem import did_you_mean
from christmas.resources.strategy import Strategy
from christmas.resources.validate import Resource

Kind = Literal["Strategy", "Broker"]
Object = dict[str, Any]

PLURALS: Final[dict[Kind, str]] = {"Strategy": "strategies", "Broker": "brokers"}
_MODELS: Final[dict[Kind, type[Strategy] | type[Broker]]] = {"Strategy": Strategy, "Broker": Broker}
_PAGE: Final = 500


class Page(NamedTuple):
    """All objects of a kind at one moment, by name, and the version from which a watch goes on."""

    objects: dict[str, Object]
    version: str


def path_of(kind: Kind, namespace: str, name: str | None = None) -> str:
    path = f"/apis/{API_VERSION}/namespaces/{segment(namespace)}/{PLURALS[kind]}"
    return path if name is None else f"{path}/{segment(name)}"


def list_objects(api: Api, kind: Kind, name: str | None = None, *, namespace: str | None = None) -> Page:
    """Those of the namespace, or only the named one (which need not be there)."""
    path = path_of(kind, namespace or api.cluster.namespace)
    query = {"limit": str(_PAGE), **selector(name)}
    objects: dict[str, Object] = {}
    while True:
        answer = api.get(path, query)
        for item in answer["items"]:
            # The items of a list do not say what they are.
            objects[item["metadata"]["name"]] = {"apiVersion": API_VERSION, "kind": kind, **item}
        metadata = answer["metadata"]
        if not metadata.get("continue"):
            return Page(dict(sorted(objects.items())), metadata["resourceVersion"])
        query["continue"] = metadata["continue"]


def selector(name: str | None) -> dict[str, str]:
    return {} if name is None else {"fieldSelector": f"metadata.name={name}"}


def get_object(api: Api, kind: Kind, name: str) -> Object:
    """Raises ClusterError with what was perhaps meant."""
    try:
        found: Object = api.get(path_of(kind, api.cluster.namespace, name))
    except RefusedError as error:
        if error.status == 404 and type(error) is RefusedError:
            raise no_such(api, kind, name, list_objects(api, kind).objects) from error
        raise
    return found


def no_such(api: Api, kind: Kind, name: str, known: Iterable[str]) -> ClusterError:
    return ClusterError(f"there is no {kind} {name} in namespace {api.cluster.namespace}", did_you_mean(name, known))


def model(obj: Object) -> Resource | None:
    """As our models know it; None for one of another version."""
    kind: Kind = obj["kind"]
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    plain = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": obj["spec"]}
    try:
        return msgspec.convert(plain, _MODELS[kind])
    except msgspec.ValidationError:
        return None


def set_state(api: Api, name: str, state: Literal["Running", "Suspended"]) -> bool:
    """Whether that was a change."""
    before = get_object(api, "Strategy", name)
    if before["spec"].get("state", "Running") == state:
        return False
    api.merge(path_of("Strategy", api.cluster.namespace, name), {"spec": {"state": state}})
    return True


def delete_object(api: Api, kind: Kind, name: str) -> None:
    api.delete(path_of(kind, api.cluster.namespace, name))


def strategies_of(objects: Iterable[Object], broker: str) -> list[str]:
    return [obj["metadata"]["name"] for obj in objects if broker_of(obj) == broker]


def broker_of(strategy: Object) -> str:
    return str(strategy["spec"]["brokerRef"]["name"])
