"""From an observation to the conditions, the phase and the status that tell of it. Pure."""

from __future__ import annotations

import msgspec

from christmas_operator import reasons
from christmas_operator.conditions import Condition, by_type, condition, first_false, stamp, turned
from christmas_operator.strategies.observed import Observed
from christmas_operator.strategies.situation import Course, is_wound_down
from christmas_operator.strategies.status import Phase, StrategyStatus


def status_of(
    observed: Observed, course: Course | None, *, epoch: int, now: float, held: Condition | None = None
) -> StrategyStatus:
    """``course`` None: it is being deleted; ``held``: the condition EntriesHeld."""
    pod = observed.pod
    main = [
        _accepted(observed),
        _dependencies(observed),
        _pod_ready(observed, course),
        _trading(observed, course, epoch=epoch),
    ]
    wrong = first_false(main)
    ready = (
        condition("Ready", True, reasons.READY)
        if wrong is None
        else condition("Ready", False, wrong.reason, wrong.message)
    )
    drift = [_drift(observed)] if course == "Wait" else []
    conditions = turned(
        [*main, ready, *drift, *([held] if held is not None else [])],
        by_type(observed.status.conditions),
        generation=observed.generation,
        now=now,
    )
    phase = _phase(observed, course, by_type(conditions))
    before = observed.status
    return StrategyStatus(
        observed_generation=observed.generation,
        phase=phase,
        epoch=epoch,
        pod=pod.name if pod is not None else "",
        node=pod.node if pod is not None else "",
        restarts=pod.restarts if pod is not None else 0,
        last_transition_time=before.last_transition_time if before.phase == phase else stamp(now),
        conditions=conditions,
    )


def _accepted(observed: Observed) -> Condition:
    if observed.findings:
        return condition("Accepted", False, reasons.INVALID, "; ".join(observed.findings))
    return condition("Accepted", True, reasons.ACCEPTED)


def _dependencies(observed: Observed) -> Condition:
    missing = observed.missing
    if missing is not None:
        return condition("DependenciesReady", False, missing.reason, missing.message)
    return condition("DependenciesReady", True, reasons.DEPENDENCIES_READY)


def _pod_ready(observed: Observed, course: Course | None) -> Condition:
    pod = observed.pod
    if observed.failure:
        return condition("PodReady", False, "ApplyFailed", observed.failure)
    if course == "Suspend" and pod is None:
        return condition("PodReady", False, reasons.SUSPENDED, "spec.state is Suspended")
    if pod is None:
        starting = course in {"Start", "Resume", "Roll", "Replace", "Keep"}
        if starting:
            return condition("PodReady", False, reasons.POD_STARTING, "the pod is being made")
        return condition("PodReady", False, reasons.POD_MISSING, "there is no pod")
    if pod.ready and course in {"Roll", "Replace"}:
        return condition("PodReady", False, reasons.POD_TERMINATING, "the pod makes room for its next version")
    if pod.ready:
        return condition("PodReady", True, reasons.POD_READY)
    message = pod.message
    if pod.deleting:
        message = (
            f"pod {pod.name} is being stopped; the next one comes when it is gone. If its node is lost for good: "
            f"kubectl delete pod {pod.name} -n {observed.namespace} --force"
        )
    return condition("PodReady", False, pod.reason, message)


def _trading(observed: Observed, course: Course | None, *, epoch: int) -> Condition:
    word, pod, name = observed.gateway, observed.pod, observed.name

    def no(reason: str, message: str) -> Condition:
        return condition("TradingEnabled", False, reason, message)

    if course is None:
        if observed.status.reason_of("TradingEnabled") == reasons.SUSPENDED:
            return no(reasons.SUSPENDED, "it was suspended when it was deleted")
        silent = f": {word.silent}" if word.silent else ""
        return no(reasons.TERMINATING, f"it is being deleted{silent}")
    if course == "Suspend":
        if pod is None and is_wound_down(observed):
            return no(reasons.SUSPENDED, "spec.state is Suspended")
        silent = f": {word.silent}" if word.silent else ""
        return no(reasons.SUSPENDING, f"it is being stopped and its orders dealt with{silent}")
    if must_resume(observed, course) and not ("resume" in word.done and epoch == observed.status.epoch):
        return no(
            reasons.RESUMING, f"its gateway is asked to take entries again{': ' if word.silent else ''}{word.silent}"
        )
    if pod is not None and pod.ready and course not in {"Roll", "Replace"}:
        return condition("TradingEnabled", True, reasons.TRADING)
    if word.halted:
        broker = observed.spec.broker_ref.name if observed.spec is not None else ""
        whom = f"broker/{broker}" if word.account_halted and broker else name
        mend = f"christmas kill {whom} --undo -n {observed.namespace}"
        return no(reasons.HALTED, f"its gateway takes no entries: {word.halted}; lift it with `{mend}`")
    if word.held:
        return no(reasons.HELD_FOR_UPDATE, "its gateway takes no entries until its update is through")
    if word.blocked:
        return no(reasons.BLOCKED, f"its gateway takes no orders: {word.blocked}")
    if word.feed_silent:
        return no(reasons.FEED_SILENT, f"its gateway takes no entries: {word.feed_silent}")
    if word.silent:
        return no(reasons.GATEWAY_SILENT, word.silent)
    return no(reasons.NOT_TRADING, "its pod is not ready")


def must_resume(observed: Observed, course: Course) -> bool:
    """Flattening has halted it at its gateway; whoever resumes it wants entries again.

    It is known by the reason that the status had before: that outlives the operator.
    """
    spec = observed.spec
    if spec is None or spec.on_suspend != "Flatten":
        return False
    before = observed.status.reason_of("TradingEnabled")
    return course == "Resume" or (course in {"Keep", "Replace", "Wait"} and before == reasons.RESUMING)


def _drift(observed: Observed) -> Condition:
    generation = observed.generation
    mend = (
        f"kubectl annotate strategy {observed.name} -n {observed.namespace} --overwrite "
        f"christmas.dev/apply-now={generation}"
    )
    if observed.spec is not None and observed.spec.update_policy == "Manual":
        return condition(
            "ConfigDrift", True, reasons.WAITS_FOR_COMMAND, f"generation {generation} waits; apply it with: {mend}"
        )
    if observed.turn == "InLine" or (observed.spec is not None and observed.spec.update_policy == "Immediate"):
        return condition(
            "ConfigDrift",
            True,
            reasons.WAITS_FOR_TURN,
            f"generation {generation} waits for its turn: at most {observed.rolls_at_once} Strategies of a Broker are "
            f"restarted at one time; apply it now with: {mend}",
        )
    return condition(
        "ConfigDrift",
        True,
        reasons.WAITS_FOR_FLAT,
        f"generation {generation} waits until there is no position and no order; apply it now with: {mend}",
    )


def _phase(observed: Observed, course: Course | None, conditions: dict[str, Condition]) -> Phase:
    if course is None:
        return "Terminating"
    if course == "Suspend":
        return "Suspended" if conditions["TradingEnabled"].reason == reasons.SUSPENDED else "Suspending"
    pod_ready = conditions["PodReady"]
    if conditions["Ready"].status == "True":
        return "Running"
    if pod_ready.status == "True":
        return "Waiting"
    if conditions["Accepted"].status != "True" or pod_ready.reason in reasons.FAILING or observed.failure:
        return "Failed"
    if observed.missing is not None and observed.missing.blocks:
        return "Pending"
    if observed.pod is not None and observed.pod.started and not observed.pod.deleting:
        return "Waiting"
    return "Starting"


def unchanged(before: StrategyStatus, after: StrategyStatus) -> bool:
    return msgspec.structs.astuple(before) == msgspec.structs.astuple(after)
