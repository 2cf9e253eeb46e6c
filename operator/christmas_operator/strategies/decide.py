"""What to do about one Strategy. Pure: an observation and the time in, actions out.

Deciding again after the actions were carried out gives none of them twice; deciding again after only some
of them were (the operator was killed) goes on where they stopped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from christmas_operator import reasons
from christmas_operator.actions import (
    Action,
    AddFinalizer,
    Apply,
    AskExposure,
    AtGateway,
    Decision,
    ReleaseFinalizer,
    Remove,
    StopPod,
    Tell,
    WriteStatus,
)
from christmas_operator.keys import ObjectName
from christmas_operator.plan import ROLLING, Plan
from christmas_operator.strategies.describe import must_resume, status_of, unchanged
from christmas_operator.strategies.hold import Hold, hold_of
from christmas_operator.strategies.observed import Observed
from christmas_operator.strategies.situation import (
    FOR_DELETING,
    FOR_SUSPENDING,
    Course,
    claim_of,
    course_of,
    is_left_halted,
    is_wound_down,
    names_of,
    stateful_set,
    wind_down_command,
)
from christmas_operator.strategies.status import StrategyStatus

PERMIT_LASTS_S: Final = 365 * 24 * 3600
STOP_WITHIN_S: Final = 60.0
"""A pod that is still there by then (its node is lost) no longer keeps its orders from being dealt with."""
_NEW_EPOCH: Final = frozenset({"Start", "Resume", "Roll"})
_TOLD: Final = {"Start": reasons.STARTED, "Resume": reasons.RESUMED, "Roll": reasons.UPDATED}


def decide(observed: Observed, now: float, *, deletion_deadline_s: float) -> Decision:
    """``now``: UTC seconds."""
    if observed.deleted_at is not None:
        return _delete(observed, observed.deleted_at, now, deletion_deadline_s)
    course = course_of(observed)
    epoch = _epoch_of(observed, course)
    hold = hold_of(observed, course, now)
    status = status_of(observed, course, epoch=epoch, now=now, held=hold.condition)
    actions: list[Action] = []
    if not observed.has_finalizer and course != "Leave":
        actions.append(AddFinalizer())
    if not unchanged(observed.status, status):
        actions.append(WriteStatus(status))
    actions += _steps(observed, course, epoch, now)
    if hold.command is not None and observed.can_reach_gateway:
        actions.append(AtGateway(hold.command, epoch, f"update to generation {observed.generation}"))
    if _wants_to_know(observed, course, hold):
        actions.append(AskExposure())
    actions += _tell(observed, course, status)
    waits = [wait for wait in (_look_again(observed, now), hold.look_again_s) if wait is not None]
    return Decision(
        tuple(actions),
        min(waits) if waits else None,
        status.phase,
        course == "Wait",
        claim_of(observed, course),
    )


def _epoch_of(observed: Observed, course: Course) -> int:
    """A start needs a new one, unless the last was written ahead and no Secret has had it yet."""
    written = observed.status.epoch
    if course not in _NEW_EPOCH:
        return written
    secret = observed.owned.get(names_of(observed)[1])
    return written if secret is not None and secret.epoch < written else written + 1


def _steps(observed: Observed, course: Course, epoch: int, now: float) -> list[Action]:
    plan, pod = observed.plan, observed.pod
    actions: list[Action] = []
    if plan is None or course == "Leave":
        return []
    match course:
        case "Start" | "Resume" | "Roll":
            actions.append(Apply(tuple(plan.objects), epoch))
            if pod is not None and not pod.deleting:
                actions.append(StopPod(pod.uid))
        case "Replace":
            actions += _repair(observed, plan.objects, epoch, now)
            if pod is not None:
                actions.append(StopPod(pod.uid))
        case "Wait":
            # What the running pod was made of is not what is wanted now: it is left until its time has come.
            actions += _repair(observed, (name for name in plan.objects if name.kind not in ROLLING), epoch, now)
        case "Suspend":
            actions += _suspend(observed, epoch, now)
        case "Keep":
            actions += _repair(observed, plan.objects, epoch, now)
            actions += _prune(observed)
    again = must_resume(observed, course) and (course == "Resume" or "resume" not in observed.gateway.done)
    if again or is_left_halted(observed, course):
        actions.append(AtGateway("resume", epoch, "resumed"))
    return actions


def _suspend(observed: Observed, epoch: int, now: float) -> list[Action]:
    """Stop it first, then deal with its orders: until it has stopped it may make new ones."""
    plan = observed.plan
    if plan is None or (stateful_set(observed) is None and epoch == 0):
        return []
    actions = _repair(observed, plan.objects, epoch, now)
    workload = stateful_set(observed)
    stopped = observed.pod is None and workload is not None and workload.replicas == 0
    if stopped:
        actions += _stale(observed, plan)
    if stopped and not is_wound_down(observed) and observed.can_reach_gateway:
        actions.append(AtGateway(wind_down_command(observed), epoch, FOR_SUSPENDING))
    return actions


def _delete(observed: Observed, deleted_at: float, now: float, deadline_s: float) -> Decision:
    """Stop, deal with the orders, let go. After the deadline let go anyway, and say what may be left."""
    status = status_of(observed, None, epoch=observed.status.epoch, now=now)
    if not observed.has_finalizer:
        return Decision((), None, status.phase)
    actions: list[Action] = []
    if not unchanged(observed.status, status):
        actions.append(WriteStatus(status))
    late = now - deleted_at >= deadline_s
    workload = stateful_set(observed)
    if workload is not None:
        actions.append(Remove((names_of(observed)[0],)))
    pod = observed.pod
    if pod is not None and not pod.deleting:
        actions.append(StopPod(pod.uid))
    settled = is_wound_down(observed)
    stopped = workload is None and pod is None
    overdue = now - deleted_at >= min(STOP_WITHIN_S, deadline_s / 2)
    if settled and (stopped or late):
        actions.append(ReleaseFinalizer())
    elif late or (stopped and not observed.can_reach_gateway):
        why = observed.gateway.silent or f"there is no gateway of Broker {_broker(observed)} to ask"
        mend = f"christmas kill broker/{_broker(observed)} -n {observed.namespace}"
        left = (
            f"its orders and positions at Broker {_broker(observed)} are left as they are ({why}); "
            f"when the gateway is back, `{mend}` cancels the account's orders, these too (--undo lifts the halt)"
        )
        actions += [Tell("Warning", reasons.ORDERS_LEFT, left), ReleaseFinalizer()]
    elif observed.can_reach_gateway and (stopped or overdue):
        actions.append(AtGateway(wind_down_command(observed), observed.status.epoch, FOR_DELETING))
    remaining = max(0.5, min(deadline_s, STOP_WITHIN_S) - (now - deleted_at))
    return Decision(tuple(actions), min(remaining, max(0.5, deadline_s - (now - deleted_at))), status.phase)


def _repair(observed: Observed, names: Iterable[ObjectName], epoch: int, now: float) -> list[Action]:
    """Apply what is missing, out of date, or changed by somebody; of the epoch that runs.

    A later one may have been written ahead, for an update that was taken back before it began.
    """
    secret = observed.owned.get(names_of(observed)[1])
    if secret is not None and 0 < secret.epoch < epoch:
        epoch = secret.epoch
    # Without the Broker's key there is no permit to put into the Secret.
    wanted = [name for name in names if observed.permit_key or name.kind != "Secret"]
    drifted = _drifted(observed, wanted)
    due = tuple(name for name in wanted if name in drifted or _is_due(observed, name, epoch, now))
    return [Apply(due, epoch, drifted)] if due else []


def _is_due(observed: Observed, name: ObjectName, epoch: int, now: float) -> bool:
    plan, live = observed.plan, observed.owned.get(name)
    if plan is None or live is None or live.deleting:
        return live is None
    if live.input_hash != plan.objects[name].digest or observed.expected.get(name) is None:
        return True
    if name == names_of(observed)[1]:
        return live.epoch != epoch or live.permit_expires - now < PERMIT_LASTS_S / 2
    return False


def _drifted(observed: Observed, names: Iterable[ObjectName]) -> frozenset[ObjectName]:
    """Objects that are not as our last apply of the very same manifest left them."""
    found = set()
    for name in names:
        live, expected = observed.owned.get(name), observed.expected.get(name)
        if live is None:
            # It was there once: everything is applied when a Strategy starts, and what a later version is made of is
            # no drift.
            if _was_applied(observed, name) and name in observed.repairable:
                found.add(name)
        elif (
            expected is not None
            and live.fields != expected
            and observed.plan is not None
            and live.input_hash == observed.plan.objects[name].digest
            and name in observed.repairable
        ):
            found.add(name)
    return frozenset(found)


def _was_applied(observed: Observed, name: ObjectName) -> bool:
    workload, plan = stateful_set(observed), observed.plan
    if workload is None or plan is None or observed.status.epoch == 0:
        return False
    return name.kind not in ROLLING or workload.roll_hash == plan.roll_hash


def _prune(observed: Observed) -> list[Action]:
    """What earlier versions were made of, once the present one is up."""
    plan, pod = observed.plan, observed.pod
    if plan is None or pod is None or not pod.ready or pod.input_hash != plan.roll_hash:
        return []
    return _stale(observed, plan)


def _stale(observed: Observed, plan: Plan) -> list[Action]:
    stale = tuple(name for name, live in observed.owned.items() if name not in plan.objects and not live.deleting)
    return [Remove(stale)] if stale else []


def _wants_to_know(observed: Observed, course: Course, hold: Hold) -> bool:
    spec, pod = observed.spec, observed.pod
    if not observed.can_reach_gateway or spec is None:
        return False
    if hold.condition is not None:
        return True
    if course == "Wait" and spec.update_policy == "WhenFlat":
        # A thousand in line are not asked every two seconds whether they are flat still: each is when its turn comes.
        return observed.turn != "InLine"
    # It runs and does not trade: its gateway may know why.
    return pod is not None and not pod.ready and not pod.deleting and pod.started


def _tell(observed: Observed, course: Course, status: StrategyStatus) -> list[Action]:
    """Events for turns, never for states."""
    before = observed.status
    told: list[Action] = []
    if course in _TOLD:
        told.append(Tell("Normal", _TOLD[course], f"epoch {status.epoch} of generation {observed.generation}"))
    accepted = next(item for item in status.conditions if item.type == "Accepted")
    if accepted.status == "False" and before.reason_of("Accepted") != reasons.INVALID:
        told.append(Tell("Warning", reasons.INVALID, accepted.message))
    drift = next((item for item in status.conditions if item.type == "ConfigDrift"), None)
    if drift is not None and before.reason_of("ConfigDrift") != drift.reason:
        told.append(Tell("Normal", drift.reason, drift.message))
    if status.phase == "Suspended" and before.phase == "Suspending":
        told.append(Tell("Normal", reasons.SUSPENDED, _wound_down_words(observed)))
    pod_ready = next(item for item in status.conditions if item.type == "PodReady")
    if pod_ready.reason in reasons.FAILING and before.reason_of("PodReady") != pod_ready.reason:
        told.append(Tell("Warning", pod_ready.reason, pod_ready.message))
    return told


def _wound_down_words(observed: Observed) -> str:
    policy = observed.spec.on_suspend if observed.spec is not None else "CancelOrders"
    words = {
        "CancelOrders": "its orders are cancelled, its positions kept",
        "KeepOrders": "its orders and positions are kept",
        "Flatten": "its orders are cancelled and its positions sold",
    }
    return words[policy]


def _look_again(observed: Observed, now: float) -> float | None:
    secret = observed.owned.get(names_of(observed)[1])
    if secret is None or not secret.permit_expires:
        return None
    return max(60.0, secret.permit_expires - PERMIT_LASTS_S / 2 - now)


def _broker(observed: Observed) -> str:
    return observed.spec.broker_ref.name if observed.spec is not None else "of this Strategy"
