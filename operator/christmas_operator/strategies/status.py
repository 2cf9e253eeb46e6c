"""The status of a Strategy. Nothing fast-changing is in it: thousands of them would flood the API server."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from christmas.resources.meta import API_VERSION
from christmas_operator.conditions import Condition, by_type
from christmas_operator.kube.views import Resource

Phase = Literal["Pending", "Starting", "Running", "Waiting", "Suspending", "Suspended", "Failed", "Terminating"]


class StrategyStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    observed_generation: int = 0
    phase: str = ""
    epoch: int = 0
    """Grows with each start that the operator makes; the gateway refuses older ones."""
    pod: str = ""
    node: str = ""
    restarts: int = 0
    last_transition_time: str = ""
    """Of the phase."""
    conditions: tuple[Condition, ...] = ()

    def reason_of(self, condition: str) -> str:
        found = by_type(self.conditions).get(condition)
        return found.reason if found is not None else ""


def read_status(raw: bytes) -> StrategyStatus:
    """What is there; of one that cannot be read, nothing."""
    try:
        return msgspec.json.decode(raw, type=StrategyStatus)
    except msgspec.MsgspecError:
        return StrategyStatus()


def status_manifest(kind: str, resource: Resource, status: msgspec.Struct) -> dict[str, Any]:
    """For the status subresource. The version makes it fail when somebody has written since we looked."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {
            "name": resource.name,
            "namespace": resource.namespace,
            "uid": resource.uid,
            "resourceVersion": str(resource.version),
        },
        "status": msgspec.to_builtins(status),
    }
