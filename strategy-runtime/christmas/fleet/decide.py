"""What to do next so that what runs becomes what is wanted: pure, wants and observations in, actions out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from christmas.fleet.backoff import CRASH_LOOP_FROM

Kind = Literal["store", "recorder", "gateway", "runtime"]
OnStop = Literal["CancelOrders", "KeepOrders", "Flatten"]
UpdatePolicy = Literal["WhenFlat", "Immediate", "Manual"]
State = Literal["Absent", "Running", "Stopping", "Exited", "Ended"]
Phase = Literal[
    "Pending",
    "Starting",
    "Running",
    "Stopping",
    "Suspending",
    "Suspended",
    "CrashLoopBackOff",
    "OOMKilled",
    "Error",
    "Ended",
    "Deleting",
]


class Key(NamedTuple):
    """One process of the fleet."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


class Want(msgspec.Struct, frozen=True, kw_only=True):
    """What the manifests ask of one process."""

    key: Key
    digest: str
    """Of all that it is started with."""
    run: bool = True
    needs: tuple[Key, ...] = ()
    """Must be ready before it starts."""
    update: UpdatePolicy = "Immediate"
    on_stop: OnStop = "KeepOrders"
    """What happens to its orders and positions when it is wanted no longer."""
    forget: bool = False
    """It was deleted: when all is wound down, its manifest goes."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about one process now. Times are seconds of one monotonic clock."""

    state: State = "Absent"
    digest: str = ""
    ready: bool = False
    was_ready: bool = False
    """Since it started."""
    flat: bool | None = None
    """No position and no order of an entry; None: not known."""
    failures: int = 0
    """Exits in a row that nobody asked for."""
    retry_at: float = 0.0
    reason: str = ""
    """Of the last exit, or why it is not ready."""
    oom: bool = False
    wound_down: bool = False
    """Its orders have been dealt with since it stopped."""


class Start(NamedTuple):
    key: Key


class Stop(NamedTuple):
    key: Key
    why: str


class WindDown(NamedTuple):
    key: Key
    action: Literal["cancel_orders", "flatten"]


class Forget(NamedTuple):
    key: Key


Action = Start | Stop | WindDown | Forget


def decide(wants: Sequence[Want], seen: Mapping[Key, Seen], now: float) -> list[Action]:
    """The actions that are due. Deciding again after they were carried out gives none twice."""
    wanted = {want.key for want in wants}
    actions: list[Action] = [
        Stop(key, "no manifest asks for it") for key, found in seen.items() if key not in wanted and _runs(found)
    ]
    for want in wants:
        found = seen.get(want.key, Seen())
        action = _keep_running(want, found, seen, now) if want.run else _wind_down(want, found, seen, now)
        if action is not None:
            actions.append(action)
    return actions


def drifted(want: Want, found: Seen) -> bool:
    """It runs with other settings than the manifests ask for, and waits for its time to restart."""
    return want.run and _runs(found) and found.digest != want.digest


def phase(want: Want, found: Seen) -> Phase:
    """One word for a person."""
    if not want.run:
        if _runs(found) or found.state == "Stopping" or not _is_wound_down(want, found):
            return "Deleting" if want.forget else "Suspending"
        return "Deleting" if want.forget else "Suspended"
    match found.state:
        case "Running" if found.was_ready:
            return "Running"
        case "Running":
            # One that keeps failing is shown as such also while it tries again.
            return "CrashLoopBackOff" if found.failures >= CRASH_LOOP_FROM else "Starting"
        case "Exited" if found.oom:
            return "OOMKilled"
        case "Exited" if found.failures >= CRASH_LOOP_FROM:
            return "CrashLoopBackOff"
        case "Exited" if found.failures:
            return "Error"
        case "Ended":
            return "Ended"
        case "Stopping":
            return "Stopping"
    return "Pending"


def _keep_running(want: Want, found: Seen, seen: Mapping[Key, Seen], now: float) -> Action | None:
    if found.state == "Running":
        if found.digest == want.digest:
            return None
        if want.update == "Immediate" or (want.update == "WhenFlat" and found.flat is True):
            return Stop(want.key, "its manifest changed")
        return None
    if found.state == "Stopping" or (found.state == "Ended" and found.digest == want.digest):
        return None
    if now < found.retry_at or not _met(want.needs, seen):
        return None
    return Start(want.key)


def _wind_down(want: Want, found: Seen, seen: Mapping[Key, Seen], now: float) -> Action | None:
    if _runs(found):
        return Stop(want.key, "deleted" if want.forget else "suspended")
    if found.state == "Stopping":
        return None
    if not _is_wound_down(want, found):
        if now < found.retry_at or not _met(want.needs, seen):
            return None
        return WindDown(want.key, "flatten" if want.on_stop == "Flatten" else "cancel_orders")
    return Forget(want.key) if want.forget else None


def _runs(found: Seen) -> bool:
    return found.state == "Running"


def _is_wound_down(want: Want, found: Seen) -> bool:
    return found.wound_down or want.on_stop == "KeepOrders"


def _met(needs: Sequence[Key], seen: Mapping[Key, Seen]) -> bool:
    return all(seen.get(need, Seen()).ready for need in needs)
