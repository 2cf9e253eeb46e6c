"""The backend for a place."""

from __future__ import annotations

from collections.abc import Mapping

from christmas.cli.backend import Backend
from christmas.cli.place import InCluster, Where, place_of


def choose(where: Where, environment: Mapping[str, str]) -> Backend:
    """Raises UsageError or FleetError; a cluster is not asked anything yet."""
    place = place_of(where, environment)
    if isinstance(place, InCluster):
        # The Kubernetes client is an extra: who works on one machine does without it.
        from christmas.cli.in_cluster import ClusterBackend  # noqa: PLC0415
        from christmas.cluster.api import connect  # noqa: PLC0415

        kubeconfig = str(place.kubeconfig) if place.kubeconfig is not None else None
        api = connect(kubeconfig=kubeconfig, context=place.context, namespace=place.namespace)
        return ClusterBackend(api, asked_namespace=place.namespace)
    from christmas.cli.on_machine import MachineBackend  # noqa: PLC0415

    return MachineBackend(place.state)
