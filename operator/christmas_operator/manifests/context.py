"""What builders are told beside the resource."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from christmas.resources.meta import API_VERSION

Manifest = dict[str, Any]
"""A Kubernetes object as JSON would have it."""


@dataclass(frozen=True, kw_only=True)
class OwnerRef:
    """The Strategy or Broker that an object goes away with."""

    kind: str
    name: str
    uid: str

    def manifest(self) -> Manifest:
        return {
            "apiVersion": API_VERSION,
            "kind": self.kind,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }


@dataclass(frozen=True, kw_only=True)
class BuildContext:
    """The installation. URLs hold passwords: they go into Secrets only, and are not shown."""

    runtime_image: str
    redis_url_runtime: str = field(repr=False)
    """As a user who reads ticks and writes events."""
    redis_url: str = field(repr=False)
    """As the gateways write."""
    database_url_reader: str | None = field(repr=False)
    session_id: str
    pod_monitor: bool
    """Whether the cluster has PodMonitors."""
    stores_namespace: str
    operator_namespace: str
    gateway_address: str
    """``tcp://host:port`` of the Broker's gateway."""
    image_pull_policy: str = "IfNotPresent"
