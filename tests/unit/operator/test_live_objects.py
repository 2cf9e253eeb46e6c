"""What is read out of live objects: whose fields, which difference, why a pod is not ready; and the Lease."""

from __future__ import annotations

from typing import Any

import pytest

from christmas_operator import reasons
from christmas_operator.conditions import by_type, condition, turned
from christmas_operator.drift import DriftMemory
from christmas_operator.keys import ObjectName
from christmas_operator.kube.bucket import Bucket
from christmas_operator.kube.difference import first_difference
from christmas_operator.kube.errors import Conflict, Forbidden, Invalid, NotFound, Throttled, Unreachable, error_of
from christmas_operator.kube.managed_fields import owned_fields, shape
from christmas_operator.kube.views import pod_of
from christmas_operator.lease import Seen, next_step


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def managed(fields: dict[str, Any], uid: str = "1") -> dict[str, Any]:
    ours = {"f:metadata": {"f:ownerReferences": {f'k:{{"uid":"{uid}"}}': {}}}, "f:spec": fields}
    return {
        "managedFields": [
            {"manager": "kubelet", "operation": "Update", "fieldsV1": {"f:status": {}}},
            {"manager": "christmas-operator", "operation": "Apply", "fieldsV1": ours},
        ]
    }


def test_our_fields_are_told_apart_from_others_and_from_our_status() -> None:
    before = owned_fields(managed({"f:replicas": {}, "f:template": {}}))
    assert before == owned_fields(managed({"f:template": {}, "f:replicas": {}}, uid="2"))
    assert before != owned_fields(managed({"f:template": {}}))
    status = {"manager": "christmas-operator", "operation": "Apply", "subresource": "status", "fieldsV1": {}}
    assert owned_fields({"managedFields": [status]}) == ""


def test_manifests_that_differ_in_values_alone_are_of_one_shape() -> None:
    def manifest(name: str, value: str, item: str = "http", **more: Any) -> dict[str, Any]:
        owner = [{"kind": "Strategy", "uid": name}]
        meta = {"name": name, "namespace": "a", "ownerReferences": owner}
        return {"kind": "ConfigMap", "metadata": meta, "data": {"x": value}, "list": [{"name": item}], **more}

    assert shape(manifest("a", "1")) == shape(manifest("b", "2"))
    assert shape(manifest("a", "1")) != shape(manifest("a", "1", item="session"))
    assert shape(manifest("a", "1")) != shape(manifest("a", "1", immutable=True))


@pytest.mark.parametrize(
    ("wanted", "found", "path"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, None),
        ({"spec": {"replicas": 1}}, {"spec": {"replicas": 2}}, "spec.replicas"),
        ({"metadata": {"labels": {"a": "b"}}}, {"metadata": {}}, "metadata.labels"),
        ({"c": [{"name": "x", "v": 1}]}, {"c": [{"name": "y"}, {"name": "x", "v": 2}]}, "c[x].v"),
        ({"c": ["a", "b"]}, {"c": ["a", "z"]}, "c[1]"),
        ({"c": ["a"]}, {"c": []}, "c"),
        ({"c": {}}, {}, None),
        ({"port": "80"}, {"port": 80}, None),
    ],
)
def test_the_first_difference_is_named(wanted: Any, found: Any, path: str | None) -> None:
    assert first_difference(wanted, found) == path


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({}, reasons.POD_STARTING),
        ({"conditions": [{"type": "PodScheduled", "status": "False", "message": "no"}]}, reasons.UNSCHEDULABLE),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]}, "ImagePullBackOff"),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}, reasons.POD_STARTING),
        ({"containerStatuses": [{"started": True, "state": {"running": {}}}]}, reasons.POD_NOT_READY),
        (
            {
                "containerStatuses": [
                    {
                        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                        "lastState": {"terminated": {"exitCode": 3}},
                    }
                ]
            },
            reasons.REFUSED,
        ),
        ({"containerStatuses": [{"lastState": {"terminated": {"reason": "OOMKilled"}}}]}, reasons.OOM_KILLED),
        ({"conditions": [{"type": "Ready", "status": "True"}]}, ""),
    ],
)
def test_a_pod_tells_why_it_is_not_ready(status: dict[str, Any], reason: str) -> None:
    pod = pod_of({"metadata": {"namespace": "a", "name": "p", "uid": "1"}, "status": status})
    assert (pod.reason, pod.ready) == (reason, not reason)


def test_a_condition_keeps_its_time_until_its_status_turns() -> None:
    first = turned([condition("Ready", False, "PodStarting")], {}, generation=1, now=1000.0)
    second = turned([condition("Ready", False, "PodNotReady")], by_type(first), generation=2, now=2000.0)
    third = turned([condition("Ready", True, "Ready")], by_type(second), generation=2, now=3000.0)
    assert second[0].last_transition_time == first[0].last_transition_time
    assert second[0].observed_generation == 2
    assert third[0].last_transition_time == "1970-01-01T00:50:00Z"


def test_two_who_mend_each_others_work_do_not_race() -> None:
    clock = Clock()
    memory, place = DriftMemory(clock), ("trading", ObjectName("Secret", "strategy-scalper"))
    waits = []
    for _ in range(9):
        memory.mended(place)
        waits.append(memory.wait_s(place))
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300, 300]
    clock.now += 1000
    memory.forget_old()
    memory.mended(place)
    assert memory.wait_s(place) == 0


def test_writes_are_paced_and_a_server_that_asks_for_quiet_gets_it() -> None:
    clock = Clock()
    bucket = Bucket(10.0, 2.0, clock)
    assert [round(bucket.reserve(), 3) for _ in range(4)] == [0, 0, 0.1, 0.2]
    clock.now += 60
    bucket.pause(5.0)
    assert bucket.reserve() >= 5.0


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, NotFound), (409, Conflict), (429, Throttled), (403, Forbidden), (422, Invalid), (500, Unreachable)],
)
def test_answers_are_sorted_by_what_is_to_be_done(status: int, kind: type[Exception]) -> None:
    assert type(error_of(status, "no", None)) is kind


def test_a_server_says_how_long_to_wait() -> None:
    error = error_of(429, "slowly", "7")
    assert isinstance(error, Throttled)
    assert error.retry_after_s == 7.0
    assert isinstance(error_of(503, "later", "2"), Throttled)


def test_a_lease_is_taken_when_its_holder_has_been_silent_by_our_own_clock() -> None:
    seen = Seen(holder="other", version="5", changed_at=100.0, span_s=30.0)
    assert next_step(None, identity="me", now=0) == "create"
    assert next_step(seen, identity="me", now=129) == "wait"
    assert next_step(seen, identity="me", now=131) == "take"
    assert next_step(seen, identity="other", now=101) == "take"
    released = Seen(holder="", version="6", changed_at=100.0, span_s=30.0)
    assert next_step(released, identity="me", now=101) == "take"
