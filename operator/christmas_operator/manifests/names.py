"""What everything is called. Names of resources have at most 40 characters, so these fit everywhere."""

from __future__ import annotations

from typing import Final

SESSION_PORT: Final = 7400
HTTP_PORT: Final = 9400


def runtime(strategy: str) -> str:
    """The StatefulSet, Secret, NetworkPolicy and PodMonitor of a Strategy."""
    return f"strategy-{strategy}"


def runtime_pod(strategy: str) -> str:
    return f"{runtime(strategy)}-0"


def gateway(broker: str) -> str:
    """The StatefulSet, Secret, Service, NetworkPolicy and PodDisruptionBudget of a Broker."""
    return f"gateway-{broker}"


def gateway_pod(broker: str) -> str:
    return f"{gateway(broker)}-0"


def gateway_address(broker: str, namespace: str) -> str:
    """Where runtimes and the operator reach a gateway, from any namespace."""
    return f"tcp://{gateway(broker)}.{namespace}.svc:{SESSION_PORT}"


def permit_key_secret_name(broker: str) -> str:
    return f"{gateway(broker)}-permit-key"


def config_map(of: str, content_hash: str) -> str:
    """Of a runtime or a gateway: another content is another ConfigMap."""
    return f"{of}-{content_hash}"


def market(broker: str, namespace: str) -> str:
    """A Broker's market in Redis and in the database: Brokers of all namespaces share them."""
    return f"{namespace}.{broker}"


def session(installation: str, namespace: str) -> str:
    """What orders and fills of a namespace belong to in the database: Strategies there have names of their own."""
    return f"{installation}.{namespace}"
