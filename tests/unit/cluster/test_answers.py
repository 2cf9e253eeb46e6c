"""What the API server answers, and what a person is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from christmas.cluster.conditions import is_ready, phase, reason, why
from christmas.cluster.doctor import findings
from christmas.cluster.errors import INSTALL, GoneError, NotInstalledError, RefusedError, refusal
from christmas.cluster.events import event_line
from christmas.cluster.pods import pod_view
from christmas.resources.meta import API_VERSION

STRATEGIES = f"/apis/{API_VERSION}/namespaces/n/strategies"


def refused(status: int, body: bytes, path: str = STRATEGIES) -> RefusedError:
    return refusal(status, body, path=path, context="test", namespace="n")


def answer(**fields: Any) -> bytes:
    return json.dumps({"kind": "Status", **fields}).encode()


def test_a_cluster_without_our_crds_is_told_with_the_command_that_brings_them() -> None:
    error = refused(404, b"404 page not found\n")
    assert isinstance(error, NotInstalledError)
    assert error.mend == INSTALL
    # A name that is not there is another matter, and so is another API.
    assert type(refused(404, answer(reason="NotFound", message='strategies "x" not found'))) is RefusedError
    assert type(refused(404, b"404 page not found\n", path="/apis/other/v1/things")) is RefusedError


@pytest.mark.parametrize(
    ("status", "details", "mend"),
    [
        (401, {}, "log in anew"),
        (403, {"kind": "strategies", "group": "christmas.dev"}, "auth can-i --list -n n"),
        (404, {"kind": "namespaces", "name": "n"}, "create namespace n"),
        (409, {}, "try again"),
        (429, {}, "busy"),
        (503, {}, "doctor"),
    ],
)
def test_each_refusal_has_its_mend(status: int, details: dict[str, str], mend: str) -> None:
    error = refused(status, answer(message="no", details=details))
    assert error.what == "no"
    assert mend in error.mend


def test_an_expired_watch_is_told_apart() -> None:
    assert isinstance(refused(410, answer(message="too old resource version")), GoneError)


def test_a_refused_field_keeps_its_path() -> None:
    causes = [{"field": "spec.symbols[0]", "message": "Invalid value"}]
    (cause,) = refused(422, answer(message="no", details={"causes": causes})).causes
    assert (cause.field, cause.message) == ("spec.symbols[0]", "Invalid value")


def strategy(**status: Any) -> dict[str, Any]:
    return {"kind": "Strategy", "metadata": {"name": "a", "generation": 2}, "spec": {}, "status": status}


def one(kind: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def test_the_first_hindrance_is_the_reason() -> None:
    conditions = [one("Ready", "False", "NotReady", "not ready"), one("PodReady", "False", "OOMKilled", "raise memory")]
    obj = strategy(phase="Starting", conditions=[*conditions, one("Accepted", "True", "Valid")])
    assert (phase(obj), is_ready(obj), reason(obj), why(obj)) == ("Starting", False, "OOMKilled", "raise memory")


def test_what_no_operator_has_seen_is_pending_and_says_so() -> None:
    assert phase(strategy()) == "Pending"
    assert "no operator" in why(strategy())
    assert [check.level for check in findings([strategy()])] == ["failed"]
    ready = strategy(phase="Running", conditions=[one("Ready", "True", "Trading")])
    assert [check.name for check in findings([ready])] == ["resources"]


def test_why_a_pod_does_not_run() -> None:
    waiting = {"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}, "restartCount": 3}
    pod = {"metadata": {"namespace": "n", "name": "p"}, "status": {"phase": "Running", "containerStatuses": [waiting]}}
    view = pod_view(pod)
    assert (view.state, view.restarts, view.ready, view.node) == ("CrashLoopBackOff: back-off 10s", 3, False, "")
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no memory"}
    pending = {"metadata": pod["metadata"], "status": {"phase": "Pending", "conditions": [unscheduled]}}
    assert pod_view(pending).state == "Unschedulable: no memory"


def test_events_of_both_kinds_have_a_time() -> None:
    old: dict[str, Any] = {"metadata": {}, "lastTimestamp": "2026-01-01T00:00:00Z", "count": 3, "message": "m\n"}
    new: dict[str, Any] = {"metadata": {}, "lastTimestamp": None, "eventTime": "2026-01-02T00:00:00.1Z", "series": None}
    assert (event_line(old).time, event_line(old).times, event_line(old).message) == ("2026-01-01T00:00:00Z", 3, "m")
    assert (event_line(new).time, event_line(new).times) == ("2026-01-02T00:00:00.1Z", 1)
