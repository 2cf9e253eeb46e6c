"""Who may talk to whom: everything that is not said here is dropped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from christmas_operator.manifests.context import Manifest
from christmas_operator.manifests.names import HTTP_PORT

_NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
_NODE_LOCAL_DNS: Final = "169.254.20.10/32"
"""Where a node's own DNS cache listens, in clusters that have it."""
_DEFAULT_PORTS: Final = {"redis": 6379, "rediss": 6380, "postgresql": 5432, "postgres": 5432, "https": 443, "wss": 443}
_CHART_STORES: Final = {"christmas-redis": "redis", "christmas-timescaledb": "timescaledb"}


def policy(
    metadata: Manifest, selector: dict[str, str], *, ingress: list[Manifest], egress: list[Manifest]
) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": {
            "podSelector": {"matchLabels": selector},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": egress,
        },
    }


def metrics_ingress() -> Manifest:
    """Metrics and probes hold no secret."""
    return {"ports": [_tcp(HTTP_PORT)]}


def dns_egress() -> Manifest:
    return {
        "to": [{"namespaceSelector": _namespace("kube-system")}, {"ipBlock": {"cidr": _NODE_LOCAL_DNS}}],
        "ports": [{"protocol": "UDP", "port": 53}, _tcp(53)],
    }


def pods(labels: dict[str, str], namespace: str | None = None) -> Manifest:
    """A peer; in the policy's own namespace when none is named."""
    peer: Manifest = {"podSelector": {"matchLabels": labels}}
    return peer if namespace is None else {**peer, "namespaceSelector": _namespace(namespace)}


def store_egress(url: str) -> Manifest:
    """To the store of a URL: to the chart's own pods, to the namespace of another Service, or by port outside."""
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    service, _, rest = (parts.hostname or "").partition(".")
    namespace, _, domain = rest.partition(".")
    if domain.partition(".")[0] != "svc":
        return {"ports": [_tcp(port)]}
    peer: Manifest = {"namespaceSelector": _namespace(namespace)}
    if service in _CHART_STORES:
        component = {"app.kubernetes.io/name": "christmas", "app.kubernetes.io/component": _CHART_STORES[service]}
        peer["podSelector"] = {"matchLabels": component}
    return {"to": [peer], "ports": [_tcp(port)]}


def outside_egress(urls: Iterable[str]) -> Manifest:
    """To an exchange's addresses, which change: by port only."""
    ports = {443}
    for url in urls:
        parts = urlsplit(url)
        ports.add(parts.port or _DEFAULT_PORTS.get(parts.scheme, 80))
    return {"ports": [_tcp(port) for port in sorted(ports)]}


def tcp_from(peers: list[Manifest], port: int) -> Manifest:
    return {"from": peers, "ports": [_tcp(port)]}


def tcp_to(peers: list[Manifest], port: int) -> Manifest:
    return {"to": peers, "ports": [_tcp(port)]}


def _namespace(name: str) -> Manifest:
    return {"matchLabels": {_NAMESPACE_NAME: name}}


def _tcp(port: int) -> Manifest:
    return {"protocol": "TCP", "port": port}
