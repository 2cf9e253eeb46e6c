"""What the operator says of an object, read from its status. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from christmas.cluster.resources import Object

_ORDER: Final = (
    *("Accepted", "DependenciesReady", "PodReady", "GatewayReady", "Reconciled", "TradingEnabled", "ConfigDrift"),
    "Ready",
)
NOT_SEEN: Final = "no operator has looked at it yet (`christmas doctor` tells whether one runs)"


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""


def conditions(obj: Object) -> list[Condition]:
    """In the order in which one leads to the next."""
    found = [
        Condition(
            type=str(raw.get("type", "")),
            status=str(raw.get("status", "Unknown")),
            reason=str(raw.get("reason", "")),
            message=str(raw.get("message", "")),
            last_transition_time=str(raw.get("lastTransitionTime", "")),
        )
        for raw in obj.get("status", {}).get("conditions", ())
    ]
    return sorted(found, key=lambda one: _ORDER.index(one.type) if one.type in _ORDER else len(_ORDER))


def condition(obj: Object, kind: str) -> Condition | None:
    return next((one for one in conditions(obj) if one.type == kind), None)


def phase(obj: Object) -> str:
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return str(obj.get("status", {}).get("phase") or "Pending")


def is_ready(obj: Object) -> bool:
    ready = condition(obj, "Ready")
    return ready is not None and ready.status == "True"


def reason(obj: Object) -> str:
    """One word: that of the first condition which keeps it from being ready, else that of Ready."""
    first = _hindrance(conditions(obj))
    ready = condition(obj, "Ready")
    return first.reason if first is not None else ready.reason if ready is not None else "-"


def why(obj: Object) -> str:
    """One sentence on why it is not ready, or on that it is."""
    all_of_it = conditions(obj)
    if not all_of_it:
        return NOT_SEEN
    first = _hindrance(all_of_it) or condition(obj, "Ready")
    if first is None:
        return "starting"
    return first.message or first.reason or first.type


def is_behind(obj: Object) -> bool:
    """Whether the operator has not looked at the newest generation yet."""
    observed = obj.get("status", {}).get("observedGeneration", 0)
    return bool(obj["metadata"].get("generation", 0) > observed)


def _hindrance(all_of_it: Sequence[Condition]) -> Condition | None:
    return next((one for one in all_of_it if one.type not in {"Ready", "ConfigDrift"} and one.status != "True"), None)
