"""What to do about one Broker. Pure: an observation and the time in, actions out.

A gateway is restarted at once when its manifest changes: it remembers everything, and its runtimes come back to it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from christmas_operator import reasons
from christmas_operator.actions import (
    Action,
    Apply,
    AskExposure,
    CreatePermitKey,
    Decision,
    Remove,
    StopPod,
    Tell,
    WriteStatus,
)
from christmas_operator.brokers.observed import Observed
from christmas_operator.brokers.status import BrokerStatus, Phase
from christmas_operator.conditions import Condition, by_type, condition, first_false, stamp, turned
from christmas_operator.keys import ObjectName

PERMIT_KEY_SUFFIX: Final = "-permit-key"


def decide(observed: Observed, now: float) -> Decision:
    """``now``: UTC seconds. A deleted Broker is left to the garbage collector; its volume stays."""
    if observed.deleted_at is not None:
        return Decision((), None, "Terminating")
    status = _status(observed, now)
    actions: list[Action] = []
    if msgspec.structs.astuple(status) != msgspec.structs.astuple(observed.status):
        actions.append(WriteStatus(status))
    plan = observed.plan
    if plan is not None and not observed.findings:
        if not observed.has_key:
            actions.append(CreatePermitKey())
        actions += _repair(observed)
        pod = observed.pod
        workload = observed.owned.get(_stateful_set(observed))
        if pod is not None and not pod.deleting and pod.input_hash != plan.roll_hash and workload is not None:
            actions.append(StopPod(pod.uid))
        elif pod is not None and pod.ready:
            stale = tuple(
                name
                for name, live in observed.owned.items()
                if name not in plan.objects and not live.deleting and not name.name.endswith(PERMIT_KEY_SUFFIX)
            )
            if stale:
                actions.append(Remove(stale))
        if pod is not None and pod.started and not pod.ready and not pod.deleting:
            actions.append(AskExposure())
    if observed.findings and observed.status.reason_of("Accepted") != reasons.INVALID:
        actions.append(Tell("Warning", reasons.INVALID, "; ".join(observed.findings)))
    return Decision(tuple(actions), None, status.phase)


def _stateful_set(observed: Observed) -> ObjectName:
    return ObjectName("StatefulSet", f"gateway-{observed.name}")


def _repair(observed: Observed) -> list[Action]:
    plan = observed.plan
    if plan is None:
        return []
    due, drifted = [], set()
    for name, wanted in plan.objects.items():
        live, expected = observed.owned.get(name), observed.expected.get(name)
        if live is None:
            due.append(name)
            if observed.owned.get(_stateful_set(observed)) is not None and name in observed.repairable:
                drifted.add(name)
        elif live.deleting:
            continue
        elif live.input_hash != wanted.digest or expected is None:
            due.append(name)
        elif live.fields != expected and name in observed.repairable:
            due.append(name)
            drifted.add(name)
    return [Apply(tuple(due), 0, frozenset(drifted))] if due else []


def _status(observed: Observed, now: float) -> BrokerStatus:
    before, pod = observed.status, observed.pod
    accepted = (
        condition("Accepted", False, reasons.INVALID, "; ".join(observed.findings))
        if observed.findings
        else condition("Accepted", True, reasons.ACCEPTED)
    )
    main = [accepted, _gateway_ready(observed), _reconciled(observed)]
    wrong = first_false(main)
    ready = (
        condition("Ready", True, reasons.READY)
        if wrong is None
        else condition("Ready", False, wrong.reason, wrong.message)
    )
    conditions = turned([*main, ready], by_type(before.conditions), generation=observed.generation, now=now)
    phase = _phase(observed, by_type(conditions))
    return BrokerStatus(
        observed_generation=observed.generation,
        phase=phase,
        strategies=observed.strategies,
        gateway=observed.address,
        pod=pod.name if pod is not None else "",
        node=pod.node if pod is not None else "",
        restarts=pod.restarts if pod is not None else 0,
        last_transition_time=before.last_transition_time if before.phase == phase else stamp(now),
        conditions=conditions,
    )


def _gateway_ready(observed: Observed) -> Condition:
    pod = observed.pod
    if observed.failure:
        return condition("GatewayReady", False, "ApplyFailed", observed.failure)
    if pod is None:
        return condition("GatewayReady", False, reasons.POD_STARTING, "the gateway's pod is being made")
    if pod.ready:
        return condition("GatewayReady", True, reasons.POD_READY)
    if _only_feed_silent(observed):
        return condition("GatewayReady", False, reasons.FEED_SILENT, observed.feed_silent)
    return condition("GatewayReady", False, pod.reason, pod.message)


def _only_feed_silent(observed: Observed) -> bool:
    """What it said of its feed before it fell is no news."""
    is_up = observed.pod is not None and observed.pod.reason == reasons.POD_NOT_READY
    return is_up and bool(observed.feed_silent) and not observed.blocked


def _reconciled(observed: Observed) -> Condition:
    """A gateway says that it is ready once it has reconciled with its venue; a silent feed is something else."""
    if observed.pod is not None and (observed.pod.ready or _only_feed_silent(observed)):
        return condition("Reconciled", True, reasons.RECONCILED)
    if observed.blocked:
        return condition("Reconciled", False, reasons.NOT_RECONCILED, observed.blocked)
    return condition("Reconciled", None, reasons.NOT_RECONCILED, "its gateway is not up")


def _phase(observed: Observed, conditions: dict[str, Condition]) -> Phase:
    pod = observed.pod
    if conditions["Ready"].status == "True":
        return "Running"
    if conditions["Accepted"].status != "True" or observed.failure:
        return "Failed"
    if pod is not None and pod.reason in reasons.FAILING:
        return "Failed"
    if observed.plan is None:
        return "Pending"
    return "Waiting" if pod is not None and pod.started and not pod.deleting else "Starting"
