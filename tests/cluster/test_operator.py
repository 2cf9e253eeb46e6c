"""The operator on a real API server, with exactly the chart's Role. No pod of these Strategies is ever placed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from christmas.resources.broker import Broker
from christmas.resources.checks import check_builtin
from christmas.resources.load import load
from christmas.resources.problem import ManifestError
from tests.cluster.faulty_proxy import FaultyProxy
from tests.cluster.helm import Namespace, require_cluster, run
from tests.cluster.operator_process import OperatorProcess, grant, kubeconfig
from tests.cluster.wrong_manifests import WRONG, Wrong
from tests.support.waiting import eventually_sync

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("crds")]
PRIVATE = ("kopf", "last-handled-configuration")
Make = Callable[..., OperatorProcess]


@pytest.fixture(scope="module")
def space() -> Iterator[Namespace]:
    require_cluster()
    found = Namespace(f"christmas-operator-{uuid4().hex[:6]}")
    run("kubectl", "create", "namespace", found.name)
    try:
        grant(found.name)
        found.kubectl(
            "create", "secret", "generic", "christmas-stores",
            "--from-literal=redis-url=redis://christmas-redis:6379/0",
            "--from-literal=database-url-reader=postgresql://reader@christmas-timescaledb/christmas",
        )  # fmt: skip
        apply(found, broker())
        yield found
    finally:
        for name in found.names("strategies.christmas.dev"):
            found.kubectl("patch", "strategy", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        run("kubectl", "delete", "namespace", found.name, "--wait=false")


@pytest.fixture
def make(space: Namespace, tmp_path: Path) -> Iterator[Make]:
    made: list[OperatorProcess] = []

    def build(name: str = "operator", **settings: Any) -> OperatorProcess:
        made.append(OperatorProcess(space, tmp_path, name, **settings))
        made[-1].start()
        return made[-1]

    yield build
    for process in made:
        process.stop()


@pytest.fixture
def operator(make: Make) -> OperatorProcess:
    process = make(deletion_deadline_seconds=4)
    process.wait_leading()
    return process


def broker() -> dict[str, Any]:
    return {
        "apiVersion": "christmas.dev/v1alpha1",
        "kind": "Broker",
        "metadata": {"name": "paper"},
        "spec": {
            "type": "paper",
            "instruments": [{"symbol": "BTC/USDT", "priceIncrement": "0.1", "lotSize": "0.0001"}],
            "nodeSelector": {"christmas.dev/test": "nowhere"},
        },
    }


def strategy(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "christmas.dev/v1alpha1",
        "kind": "Strategy",
        "metadata": {"name": name},
        "spec": {
            "brokerRef": {"name": "paper"},
            "symbols": ["BTC/USDT"],
            "rules": {"entry": "rsi(14) < 30"},
            "capital": {"amount": "1000", "perTrade": "100"},
            "nodeSelector": {"christmas.dev/test": "nowhere"},
            "updatePolicy": "Manual",
            "onSuspend": "KeepOrders",
            **spec,
        },
    }


def apply(space: Namespace, *manifests: dict[str, Any]) -> None:
    given = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
    space.kubectl("apply", "-f", "-", input_text=json.dumps(given))


def status(space: Namespace, name: str) -> dict[str, Any]:
    found: dict[str, Any] = space.get("strategy", name).get("status", {})
    return found


def condition(space: Namespace, name: str, kind: str) -> dict[str, Any]:
    found = [one for one in status(space, name).get("conditions", []) if one["type"] == kind]
    return found[0] if found else {}


def told(space: Namespace, name: str) -> list[tuple[str, str]]:
    found = json.loads(space.kubectl("get", "events", "-o", "json", "--field-selector", f"involvedObject.name={name}"))[
        "items"
    ]
    return [(event["reason"], event["message"]) for event in found]


def started(space: Namespace, name: str) -> None:
    eventually_sync(
        lambda: condition(space, name, "PodReady").get("reason") == "Unschedulable", within_s=30, every_s=0.2
    )


def test_an_applied_strategy_gets_its_objects_and_nothing_of_ours_but_its_finalizer(
    space: Namespace, operator: OperatorProcess
) -> None:
    apply(space, strategy("plain"))
    started(space, "plain")
    label = "christmas.dev/strategy=plain"
    for kind in ("statefulset", "secret", "networkpolicy"):
        assert space.names(kind, label) == {"strategy-plain"}
    assert len(space.names("configmap", label)) == 1
    found = space.get("strategy", "plain")
    assert found["metadata"]["finalizers"] == ["christmas.dev/orders"]
    assert not [key for key in found["metadata"].get("annotations", {}) if any(word in key for word in PRIVATE)]
    assert (found["status"]["epoch"], found["status"]["observedGeneration"]) == (1, 1)
    pod = space.get("pod", "strategy-plain-0")
    assert pod["metadata"]["annotations"]["christmas.dev/epoch"] == "1"
    operator.rests()
    assert operator.metric("christmas_operator_errors_total", reason="Forbidden") == 0
    assert operator.metric("christmas_operator_api_requests_total", code="403") == 0


def in_local_words(manifest: dict[str, Any], folder: Path) -> str:
    """All that the local mode says of it, without the place in the file."""
    file = folder / "wrong.yaml"
    file.write_text(json.dumps(manifest))
    with pytest.raises(ManifestError) as told_locally:
        load([file], known=[msgspec.convert(broker(), Broker)], check_builtin=check_builtin)
    problems = told_locally.value.problems
    return "; ".join(f"{one.path}: {one.what}" + (f" ({one.mend})" if one.mend else "") for one in problems)


def test_what_the_api_server_cannot_know_is_refused_by_a_condition_in_the_words_of_the_local_mode(
    space: Namespace, operator: OperatorProcess, tmp_path: Path
) -> None:
    wrong = {f"wrong-{index}": one for index, one in enumerate(one for one in WRONG if one.by == "condition")}
    assert len(wrong) >= 4

    def manifest(name: str, one: Wrong) -> dict[str, Any]:
        made = one.manifest()
        made["metadata"]["name"] = name
        made["spec"] |= {key: strategy(name)["spec"][key] for key in ("nodeSelector", "updatePolicy", "onSuspend")}
        return made

    def refused(name: str, kind: str, words: str) -> bool:
        found = condition(space, name, kind)
        assert (found.get("status"), found.get("message")) == ("False", words)
        assert condition(space, name, "Ready")["message"] == words
        return True

    apply(space, *(manifest(name, one) for name, one in wrong.items()))
    for name, one in wrong.items():
        # Of a Broker that is not there yet it is said what is missing: it may come.
        kind = "DependenciesReady" if "spec.brokerRef.name" in one.changes else "Accepted"
        words = in_local_words(manifest(name, one), tmp_path)
        eventually_sync(lambda: refused(name, kind, words), within_s=20, every_s=0.2, what=one.what)  # noqa: B023
        if kind == "Accepted":
            eventually_sync(lambda: ("Invalid", words) in told(space, name), within_s=10, every_s=0.2)  # noqa: B023
    assert not {f"strategy-{name}" for name in wrong} & space.names("statefulset")
    apply(space, *(strategy(name) for name in wrong))
    for name in wrong:
        started(space, name)
        assert condition(space, name, "Accepted")["status"] == "True"
        assert condition(space, name, "DependenciesReady")["reason"] != "BrokerMissing"


def test_drift_is_repaired_and_the_first_difference_named(space: Namespace, operator: OperatorProcess) -> None:
    apply(space, strategy("drifts"))
    started(space, "drifts")
    operator.rests()
    change = [{"op": "replace", "path": "/spec/template/spec/terminationGracePeriodSeconds", "value": 999}]
    space.kubectl("patch", "statefulset", "strategy-drifts", "--type=json", "-p", json.dumps(change))
    space.kubectl("label", "networkpolicy", "strategy-drifts", "christmas.dev/broker-")
    space.kubectl("delete", "secret", "strategy-drifts")

    def repaired() -> bool:
        words = [message for reason, message in told(space, "drifts") if reason == "DriftRepaired"]
        assert any("spec.template.spec.terminationGracePeriodSeconds" in word for word in words)
        assert any("metadata.labels.christmas.dev/broker" in word for word in words)
        assert any("Secret/strategy-drifts: it was gone" in word for word in words)
        return True

    eventually_sync(repaired, within_s=20, every_s=0.2)
    spec = space.get("statefulset", "strategy-drifts")["spec"]
    assert spec["template"]["spec"].get("terminationGracePeriodSeconds") != 999
    assert space.names("secret", "christmas.dev/strategy=drifts") == {"strategy-drifts"}
    operator.rests()


def test_suspend_keeps_everything_but_the_pod_and_resume_is_a_new_epoch(
    space: Namespace, operator: OperatorProcess
) -> None:
    apply(space, strategy("rests"))
    started(space, "rests")
    space.kubectl("patch", "strategy", "rests", "--type=merge", "-p", '{"spec":{"state":"Suspended"}}')
    eventually_sync(lambda: status(space, "rests").get("phase") == "Suspended", within_s=20, every_s=0.2)
    assert "strategy-rests-0" not in space.names("pod")
    space.kubectl("patch", "strategy", "rests", "--type=merge", "-p", '{"spec":{"state":"Running"}}')
    eventually_sync(lambda: status(space, "rests").get("epoch") == 2, within_s=20, every_s=0.2)
    started(space, "rests")
    assert space.get("pod", "strategy-rests-0")["metadata"]["annotations"]["christmas.dev/epoch"] == "2"


def test_deletion_does_not_wait_for_ever_for_a_dead_gateway(space: Namespace, operator: OperatorProcess) -> None:
    apply(space, strategy("goes", onSuspend="CancelOrders"))
    started(space, "goes")
    space.kubectl("delete", "strategy", "goes", "--wait=false")
    eventually_sync(lambda: "goes" not in space.names("strategies"), within_s=30, every_s=0.2)
    eventually_sync(lambda: "OrdersLeft" in [reason for reason, _ in told(space, "goes")], within_s=10, every_s=0.2)
    eventually_sync(
        lambda: not space.names("statefulset,secret,configmap,networkpolicy", "christmas.dev/strategy=goes"),
        within_s=60,
        every_s=0.5,
    )


def test_an_operator_killed_in_the_middle_leaves_nothing_half_done(space: Namespace, make: Make) -> None:
    first = make("first")
    first.wait_leading()
    names = [f"many-{number}" for number in range(12)]
    apply(space, *(strategy(name) for name in names))
    eventually_sync(lambda: "strategy-many-0" in space.names("statefulset"), within_s=20, every_s=0.05)
    first.kill()
    second = make("second")
    second.wait_leading()
    for name in names:
        started(space, name)
    second.rests()
    for name in names:
        epoch = str(status(space, name)["epoch"])
        assert space.get("secret", f"strategy-{name}")["metadata"]["annotations"]["christmas.dev/epoch"] == epoch
        assert space.get("pod", f"strategy-{name}-0")["metadata"]["annotations"]["christmas.dev/epoch"] == epoch


def test_a_restart_writes_next_to_nothing(space: Namespace, make: Make) -> None:
    first = make("first")
    first.wait_leading()
    apply(space, *(strategy(f"still-{number}") for number in range(8)))
    for number in range(8):
        started(space, f"still-{number}")
    first.rests()
    assert first.stop() == 0
    second = make("second", workers=2)
    second.wait_leading()
    second.rests()
    # Each worker applies at most one object of a shape to learn what an apply leaves; the others are compared with it.
    assert 1 <= second.metric("christmas_operator_api_writes_total", kind="StatefulSet") <= 4
    assert 1 <= second.metric("christmas_operator_api_writes_total", kind="NetworkPolicy") <= 4
    assert second.metric("christmas_operator_api_writes_total", kind="Strategy/status") == 0


def test_one_works_and_the_other_waits_for_its_turn(space: Namespace, make: Make) -> None:
    active = make("active")
    active.wait_leading()
    standby = make("standby")
    eventually_sync(lambda: "standing by" in standby.log.read_text(), within_s=20)
    assert standby.metric("christmas_operator_leading") == 0
    assert standby.get("/healthz") == "ok\n"
    assert active.metric("christmas_operator_leading") == 1
    active.kill()
    standby.wait_leading()
    apply(space, strategy("after-all"))
    started(space, "after-all")


def test_who_is_stopped_hands_over_at_once(space: Namespace, make: Make) -> None:
    lease_s = 25
    active = make("active", lease_seconds=lease_s)
    active.wait_leading()
    standby = make("standby", lease_seconds=lease_s)
    eventually_sync(lambda: "standing by" in standby.log.read_text(), within_s=20)
    assert (active.metric("christmas_operator_leading"), standby.metric("christmas_operator_leading")) == (1, 0)
    assert active.stop() == 0
    since = time.monotonic()
    standby.wait_leading()
    assert time.monotonic() - since < lease_s / 2
    assert standby.stop() == 0
    assert space.get("lease", "christmas-operator")["spec"]["holderIdentity"] == ""


def test_another_installation_leaves_alone_what_is_not_its_own(space: Namespace, make: Make) -> None:
    make("first").wait_leading()
    apply(space, strategy("mine"))
    started(space, "mine")
    mark = space.get("statefulset", "strategy-mine")["metadata"]["annotations"]["christmas.dev/installation"]
    assert mark == f"{space.name}/christmas-operator"
    version = status(space, "mine")
    second = make("second", lease_name="other-operator", kubeconfig=os.environ["KUBECONFIG"])
    second.wait_leading()
    eventually_sync(lambda: any(reason == "OtherInstallation" for reason, _ in told(space, "mine")), within_s=30)
    second.rests()
    assert second.metric("christmas_operator_api_writes_total", kind="Strategy/status") == 0
    assert second.metric("christmas_operator_api_writes_total", kind="StatefulSet") == 0
    assert status(space, "mine") == version
    message = next(message for reason, message in told(space, "mine") if reason == "OtherInstallation")
    assert f"installation {mark} looks after it" in message
    assert "kubectl annotate statefulset strategy-mine" in message


def test_lost_watches_410_409_and_429_leave_no_ghost_and_no_hot_loop(
    space: Namespace, make: Make, tmp_path: Path
) -> None:
    proxy = FaultyProxy()
    try:
        config = kubeconfig(space.name, tmp_path / "faulty.kubeconfig", server=f"http://127.0.0.1:{proxy.port}")
        operator = make("faulty", kubeconfig=str(config))
        operator.wait_leading()
        apply(space, strategy("survivor"), strategy("ghost"))
        started(space, "survivor")
        started(space, "ghost")
        operator.rests()
        ghosts = operator.metric("christmas_operator_ghosts_total")
        proxy.watches_off = True
        proxy.drop_watches()
        space.kubectl("patch", "strategy", "ghost", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        space.kubectl("delete", "strategy", "ghost")
        space.kubectl("delete", "networkpolicy", "strategy-survivor")
        asked = proxy.requests
        eventually_sync(lambda: not space.names("secret", "christmas.dev/strategy=ghost"), within_s=90, every_s=0.5)
        proxy.gone = 20
        proxy.refuse.extend([429, 409, 500, 409, 429])
        proxy.watches_off = False
        eventually_sync(
            lambda: "strategy-survivor" in space.names("networkpolicy"), within_s=60, every_s=0.5, what="it is mended"
        )
        eventually_sync(lambda: operator.metric("christmas_operator_ghosts_total") > ghosts, within_s=30, every_s=0.5)
        apply(space, strategy("later"))
        started(space, "later")
        operator.rests()
        assert not space.names("statefulset,secret,networkpolicy", "christmas.dev/strategy=ghost")
        assert proxy.requests - asked < 600
        assert operator.get("/healthz") == "ok\n"
    finally:
        proxy.close()


def test_an_api_server_that_is_away_for_a_minute_costs_at_most_one_restart(
    space: Namespace, make: Make, tmp_path: Path
) -> None:
    proxy = FaultyProxy()
    try:
        config = kubeconfig(space.name, tmp_path / "away.kubeconfig", server=f"http://127.0.0.1:{proxy.port}")
        operator = make("away", kubeconfig=str(config), lease_seconds=30)
        operator.wait_leading()
        apply(space, strategy("before"))
        eventually_sync(lambda: "strategy-before" in space.names("statefulset"), within_s=30, every_s=0.2)
        proxy.away = True
        proxy.drop_watches()
        asked, codes = proxy.requests, []
        well_at, unwell_s = time.monotonic(), 0.0
        back_at = well_at + 60
        while time.monotonic() < back_at:
            code = operator.revive()
            if code is not None:
                codes.append(code)
            elif operator.get("/healthz") == "ok\n":
                well_at = time.monotonic()
            unwell_s = max(unwell_s, time.monotonic() - well_at)
            time.sleep(0.25)
        log = operator.log.read_text()
        # The one new start is the loss of the Lease, which may be another's by then. The probe asks for none: a
        # kubelet would want it unwell for longer.
        assert (len(codes) <= 1, unwell_s < 10) == (True, True), f"{codes} {unwell_s} {log[-2000:]}"
        assert proxy.requests - asked < 300
        proxy.away = False
        # It is another process, which waits until the Lease of the one before has run out.
        operator.wait_leading(within_s=90)
        apply(space, strategy("after"))
        eventually_sync(lambda: "strategy-after" in space.names("statefulset"), within_s=30, every_s=0.2)
        operator.rests()
        assert operator.get("/healthz") == "ok\n"
    finally:
        proxy.close()
