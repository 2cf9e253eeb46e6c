"""What is to be done about a Strategy, in one word. Pure."""

from __future__ import annotations

from typing import Final, Literal

from christmas_operator import reasons
from christmas_operator.conditions import by_type
from christmas_operator.keys import ObjectName
from christmas_operator.kube.views import Owned
from christmas_operator.rolls import Claim
from christmas_operator.strategies.observed import Observed

Course = Literal["Leave", "Suspend", "Start", "Resume", "Roll", "Wait", "Replace", "Keep"]

SETTLED: Final = frozenset({reasons.SUSPENDED})
"""Reasons of TradingEnabled that say: its orders have been dealt with."""
FOR_SUSPENDING: Final = "suspended"
FOR_DELETING: Final = "deleted"
"""Why its gateway was asked to wind it down, in the gateway's own record: flattening leaves a halt with this reason."""


def names_of(observed: Observed) -> tuple[ObjectName, ObjectName]:
    """Its StatefulSet and its Secret."""
    return ObjectName("StatefulSet", f"strategy-{observed.name}"), ObjectName("Secret", f"strategy-{observed.name}")


def stateful_set(observed: Observed) -> Owned | None:
    found = observed.owned.get(names_of(observed)[0])
    return None if found is None or found.deleting else found


def course_of(observed: Observed) -> Course:
    """Which way to go; deletion is decided elsewhere."""
    plan, spec = observed.plan, observed.spec
    if plan is None or spec is None:
        return "Leave"
    if spec.state == "Suspended":
        return "Suspend"
    if observed.findings or (observed.missing is not None and observed.missing.blocks):
        return "Leave"
    workload = stateful_set(observed)
    if workload is None:
        return "Start"
    if workload.replicas == 0:
        return "Resume"
    if workload.roll_hash != plan.roll_hash:
        return "Roll" if may_roll(observed) else "Wait"
    pod = observed.pod
    if pod is not None and not pod.deleting and pod.input_hash != plan.roll_hash:
        # Its workload is another already, but an operator may have died long ago between that and stopping the pod.
        return "Wait" if spec.update_policy == "WhenFlat" and not may_roll(observed) else "Replace"
    return "Keep"


def may_roll(observed: Observed) -> bool:
    """Whether an update may restart the pod now."""
    spec = observed.spec
    if spec is None:
        return False
    if rolls_out_of_turn(observed):
        return True
    if spec.update_policy == "Immediate":
        return observed.turn == "Granted"
    # Held and flat in one answer: no position can open between that and the pod's end.
    word = observed.gateway
    return spec.update_policy == "WhenFlat" and is_held(observed) and word.held and word.flat is True


def rolls_out_of_turn(observed: Observed) -> bool:
    """By the user's command; or because it has failed and holds nothing that a restart could lose."""
    pod = observed.pod
    if observed.apply_now == str(observed.generation):
        return True
    return pod is None or pod.deleting or pod.reason in reasons.FAILING or pod.reason == reasons.UNSCHEDULABLE


def is_held(observed: Observed) -> bool:
    """The intention to hold its entries for an update is written down."""
    known = by_type(observed.status.conditions).get("EntriesHeld")
    return known is not None and known.status == "True"


def is_current(observed: Observed) -> bool:
    """The pod is there that the present plan makes."""
    plan, pod = observed.plan, observed.pod
    return plan is not None and pod is not None and not pod.deleting and pod.input_hash == plan.roll_hash


def claim_of(observed: Observed, course: Course) -> Claim:
    """What it wants of its Broker's order of restarts."""
    spec, pod, word = observed.spec, observed.pod, observed.gateway
    if spec is None:
        return "None"
    if course in {"Roll", "Replace"}:
        return "Holds"
    if course == "Keep":
        comes_up = pod is None or (not pod.ready and pod.reason not in reasons.FAILING)
        return "Keeps" if comes_up else "None"
    if course != "Wait" or spec.update_policy == "Manual":
        return "None"
    if is_held(observed):
        return "Holds"
    if observed.turn == "InLine":
        return "Keeps"
    if spec.update_policy == "Immediate" or word.flat is True:
        return "Wants"
    return "Keeps" if word.flat is None else "None"


def is_wound_down(observed: Observed) -> bool:
    """Its orders have been dealt with since it stopped, or none can be there, or they are to stay."""
    spec, status = observed.spec, observed.status
    if spec is not None and spec.on_suspend == "KeepOrders":
        return True
    if status.epoch == 0 or status.reason_of("TradingEnabled") in SETTLED:
        return True
    return wind_down_command(observed) in observed.gateway.done


def is_left_halted(observed: Observed, course: Course) -> bool:
    """Flattening has halted it, and nobody has lifted that: a Strategy of its name was deleted, or `onSuspend` is
    another by now. Whoever runs it wants its entries; a halt by hand has another reason, and stays."""
    word = observed.gateway
    return course == "Keep" and not word.account_halted and word.halted in {FOR_SUSPENDING, FOR_DELETING}


def wind_down_command(observed: Observed) -> Literal["cancel_orders", "flatten"]:
    flatten = observed.spec is not None and observed.spec.on_suspend == "Flatten"
    return "flatten" if flatten else "cancel_orders"
