"""What the builders make of resources that use everything, for goldens and for a real API server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from christmas.resources.broker import Broker
from christmas.resources.strategy import Strategy
from christmas_operator.manifests.broker import broker_objects, permit_key_secret
from christmas_operator.manifests.context import BuildContext, OwnerRef
from christmas_operator.manifests.names import gateway_address
from christmas_operator.manifests.strategy import strategy_objects
from tests.cluster.wrong_manifests import changed

GOLDENS = Path(__file__).parent / "goldens"
PERMIT = "permit.signature"
_PLACED = {
    "spec.nodeSelector": {"disk": "fast"},
    "spec.tolerations": [{"key": "trading", "operator": "Exists", "effect": "NoSchedule"}],
    "spec.priorityClassName": "trading",
}
_EVERYTHING = {
    "metadata.name": "everything",
    "spec.envFrom": [{"secretRef": "telegram"}, {"configMapRef": "tuning"}],
    "spec.secrets": [{"name": "model"}],
    **_PLACED,
    "spec.image": "registry.example/mine@sha256:" + "ab" * 32,
}


_EVERYTHING_OF_A_BROKER = {
    "metadata.name": "everything",
    "spec.resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "256Mi"}},
    "spec.storage": {"size": "5Gi", "storageClassName": "fast"},
    **_PLACED,
}


def context(**more: Any) -> BuildContext:
    values = {
        "runtime_image": "christmas-runtime:0.1.0",
        "redis_url_runtime": "redis://runtime:secret@christmas-redis.stores.svc:6379/0",
        "redis_url": "redis://christmas:secret@christmas-redis.stores.svc:6379/0",
        "database_url_reader": "postgresql://reader:secret@christmas-timescaledb.stores.svc:5432/christmas",
        "session_id": "installation",
        "pod_monitor": True,
        "stores_namespace": "stores",
        "operator_namespace": "stores",
        "gateway_address": gateway_address("paper", "trading"),
        **more,
    }
    return BuildContext(**values)


def strategy(**changes: Any) -> Strategy:
    return msgspec.convert(changed("Strategy", {"metadata.namespace": "trading", **changes}), Strategy)


def broker(**changes: Any) -> Broker:
    return msgspec.convert(changed("Broker", {"metadata.namespace": "trading", **changes}), Broker)


def owner(resource: Strategy | Broker) -> OwnerRef:
    return OwnerRef(
        kind=type(resource).__name__, name=resource.metadata.name, uid="11111111-2222-3333-4444-555555555555"
    )


def of_strategy(resource: Strategy, **more: Any) -> list[dict[str, Any]]:
    return strategy_objects(resource, context(**more), permit=PERMIT, owner=owner(resource))


def of_broker(resource: Broker, **more: Any) -> list[dict[str, Any]]:
    return broker_objects(resource, context(**more), owner=owner(resource))


def cases() -> dict[str, list[dict[str, Any]]]:
    """By golden file; the StatefulSet is the last of each."""
    paper, exchange = broker(), broker(**{"spec.feed": {"exchange": {"exchange": "binance"}}})
    key = permit_key_secret("paper", "trading", b"k" * 32, owner=owner(paper))
    return {
        "strategy": of_strategy(strategy()),
        "strategy-suspended": of_strategy(strategy(**{"spec.state": "Suspended"})),
        "strategy-everything": of_strategy(strategy(**_EVERYTHING)),
        "broker": [key, *of_broker(paper)],
        "broker-everything": of_broker(broker(**_EVERYTHING_OF_A_BROKER)),
        "broker-exchange-feed": of_broker(exchange, redis_url="rediss://christmas:secret@redis.example.com/0"),
    }


def pod_of(stateful_set: dict[str, Any]) -> dict[str, Any]:
    """The pod of its template, with the claimed volume as an empty folder."""
    template = stateful_set["spec"]["template"]
    claims = stateful_set["spec"].get("volumeClaimTemplates", [])
    volumes = [{"name": claim["metadata"]["name"], "emptyDir": {}} for claim in claims]
    spec = {**template["spec"], "volumes": [*template["spec"]["volumes"], *volumes]}
    # Its PriorityClass is the cluster's matter.
    spec.pop("priorityClassName", None)
    metadata = {**template["metadata"], "name": f"{stateful_set['metadata']['name']}-0"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
