"""The kinds that the operator reads and writes, and where the API server has them."""

from __future__ import annotations

from typing import Final, NamedTuple

from christmas.resources.meta import GROUP, VERSION


class Kind(NamedTuple):
    kind: str
    group: str
    version: str
    plural: str
    whole: bool = False
    """Watched with its content; otherwise its metadata is enough and its content, which may be secret, stays away."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """Of one object or, without ``name``, of all; ``namespace`` None: in the whole cluster."""
        start = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [start, *(("namespaces", namespace) if namespace else ()), self.plural, name, subresource]
        return "/".join(part for part in parts if part)


STRATEGY: Final = Kind("Strategy", GROUP, VERSION, "strategies", whole=True)
BROKER: Final = Kind("Broker", GROUP, VERSION, "brokers", whole=True)
POD: Final = Kind("Pod", "", "v1", "pods", whole=True)
STATEFUL_SET: Final = Kind("StatefulSet", "apps", "v1", "statefulsets", whole=True)
CONFIG_MAP: Final = Kind("ConfigMap", "", "v1", "configmaps")
SECRET: Final = Kind("Secret", "", "v1", "secrets")
SERVICE: Final = Kind("Service", "", "v1", "services")
NETWORK_POLICY: Final = Kind("NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies")
DISRUPTION_BUDGET: Final = Kind("PodDisruptionBudget", "policy", "v1", "poddisruptionbudgets")
POD_MONITOR: Final = Kind("PodMonitor", "monitoring.coreos.com", "v1", "podmonitors")
LEASE: Final = Kind("Lease", "coordination.k8s.io", "v1", "leases")
EVENT: Final = Kind("Event", "", "v1", "events")

OWNED: Final = (STATEFUL_SET, CONFIG_MAP, SECRET, SERVICE, NETWORK_POLICY, DISRUPTION_BUDGET, POD_MONITOR)
"""What the operator makes."""
RESOURCES: Final = (STRATEGY, BROKER)
WATCHED: Final = (*RESOURCES, POD, *OWNED)
BY_NAME: Final = {kind.kind: kind for kind in (*WATCHED, LEASE, EVENT)}
BY_PLURAL: Final = {(kind.group, kind.plural): kind for kind in WATCHED}
