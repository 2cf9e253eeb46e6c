"""The command line against a real API server, in a namespace of its own; no operator is needed, none may interfere."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from christmas.cluster.api import Api, connect
from christmas.cluster.resources import Kind, path_of
from tests.cluster.command_line import arguments, current_context
from tests.cluster.command_line import christmas as run
from tests.support.waiting import eventually_sync

REPOSITORY = Path(__file__).parents[2]
NAMESPACE = "cli-test"
IMAGE = "python:3.13-slim"


@pytest.fixture(scope="module")
def api() -> Api:
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("no cluster; set KUBECONFIG to one's (docs/kubernetes.md)")
    found = connect(namespace=NAMESPACE)
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for file in sorted((REPOSITORY / "crds").glob("*.yaml")):
        for crd in yaml.safe_load_all(file.read_text()):
            found.apply(f"{path}/{crd['metadata']['name']}", crd)
    known = {item["metadata"]["name"] for item in found.get(path)["items"]}
    if not {"strategies.christmas.dev", "brokers.christmas.dev"} <= known:
        pytest.skip("the cluster has no CRDs of ours; `make crds` writes them to crds/")
    return found


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """An empty namespace."""
    name = f"{NAMESPACE}-{os.urandom(3).hex()}"
    api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    kinds: tuple[Kind, ...] = ("Strategy", "Broker")
    for kind in kinds:
        path = path_of(kind, name)
        for item in api.get(path)["items"]:
            # No operator of this namespace is there to do what a finalizer waits for.
            api.merge(f"{path}/{item['metadata']['name']}", {"metadata": {"finalizers": None}})
    api.delete(f"/api/v1/namespaces/{name}")


def applied(namespace: str) -> str:
    return run(namespace, "apply", "-f", str(REPOSITORY / "examples"))


def pod(api: Api, namespace: str, kind: str, name: str) -> None:
    """A pod as the operator would label it, with the stand-in."""
    component = {"strategy": "runtime", "broker": "gateway"}[kind]
    labels = {"app.kubernetes.io/component": component, f"christmas.dev/{kind}": name}
    script = (Path(__file__).parent / "stand_in.py").read_text()
    container = {
        "name": component,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-u", "-c", script, "300"],
        "readinessProbe": {"httpGet": {"path": "/status", "port": 9400}, "periodSeconds": 1},
    }
    spec = {"terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False, "containers": [container]}
    pods = f"/api/v1/namespaces/{namespace}/pods"
    api.create(pods, {"metadata": {"name": f"{component}-{name}-0", "labels": labels}, "spec": spec})

    def ready() -> bool:
        status = api.get(f"{pods}/{component}-{name}-0")["status"]
        return any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", ()))

    eventually_sync(ready, within_s=60, every_s=0.3, what=f"the pod of {name} is ready")


def test_apply_says_what_it_did_and_applying_again_changes_nothing(namespace: str) -> None:
    assert "strategy/btc-scalper valid (dry run)" in run(
        namespace, "apply", "--dry-run", "-f", str(REPOSITORY / "examples")
    )
    assert run(namespace, "get", "strategies", "-o", "name") == ""
    assert applied(namespace).splitlines()[0] == "broker/paper created"
    assert {line.split()[-1] for line in applied(namespace).splitlines()} == {"unchanged"}
    assert "strategy/btc-scalper" in run(namespace, "get", "strat", "-o", "name").splitlines()


def test_a_strategy_that_was_suspended_by_hand_stays_so_when_the_same_file_is_applied(namespace: str) -> None:
    applied(namespace)
    assert run(namespace, "suspend", "btc-scalper") == "strategy/btc-scalper suspended\n"
    assert run(namespace, "suspend", "btc-scalper") == "strategy/btc-scalper is suspended already\n"
    assert "strategy/btc-scalper unchanged" in applied(namespace)
    found = json.loads(run(namespace, "get", "strat", "btc-scalper", "-o", "json"))
    assert found["spec"]["state"] == "Suspended"
    assert run(namespace, "resume", "btc-scalper") == "strategy/btc-scalper resumed\n"


def test_a_changed_file_is_taken_over_and_now_names_its_generation(namespace: str, tmp_path: Path) -> None:
    applied(namespace)
    text = (REPOSITORY / "examples" / "btc-scalper.yaml").read_text().replace("timeframe: 5s", "timeframe: 10s")
    (tmp_path / "changed.yaml").write_text(text)
    out = run(namespace, "apply", "--now", "-f", str(tmp_path / "changed.yaml"))
    assert out == "strategy/btc-scalper configured\n"
    found = json.loads(run(namespace, "get", "strat", "btc-scalper", "-o", "json"))
    assert found["spec"]["timeframe"] == "10s"
    assert found["metadata"]["annotations"]["christmas.dev/apply-now"] == str(found["metadata"]["generation"])
    assert "managedFields" not in found["metadata"]


def test_a_wrong_manifest_is_refused_with_place_and_mend_before_anything_is_sent(
    namespace: str, tmp_path: Path
) -> None:
    broker = (REPOSITORY / "examples" / "paper-broker.yaml").read_text()
    text = (REPOSITORY / "examples" / "btc-scalper.yaml").read_text().replace("name: paper", "name: papr")
    file = tmp_path / "wrong.yaml"
    file.write_text(f"{broker}\n---\n{text}")
    said = run(namespace, "apply", "-f", str(file), code=1)
    assert f"{file}:" in said
    assert "spec.brokerRef.name: there is no Broker papr (did you mean paper?)" in said
    assert run(namespace, "get", "brokers", "-o", "name") == ""


def test_a_watch_shows_what_changes_and_what_goes(namespace: str) -> None:
    applied(namespace)
    watching = subprocess.Popen(
        arguments(namespace, "get", "strategies", "-w", "-o", "yaml"), stdout=subprocess.PIPE, text=True
    )
    try:
        assert watching.stdout is not None
        lines: list[str] = []

        def until(text: str) -> None:
            assert watching.stdout is not None
            for line in watching.stdout:
                lines.append(line)
                if text in line:
                    return
            pytest.fail(f"the watch ended without {text}: {lines[-20:]}")

        until("name: btc-scalper")
        run(namespace, "suspend", "btc-scalper")
        until("state: Suspended")
        run(namespace, "delete", "btc-momentum")
        begun = len(lines)
        until("kind: List")
        until("state: Suspended")
        assert not any("name: btc-momentum" in line for line in lines[begun:])
    finally:
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 0


def status_of(api: Api, namespace: str, name: str, status: dict[str, Any]) -> None:
    api.merge(f"{path_of('Strategy', namespace, name)}/status", {"status": status})


def test_describe_shows_conditions_pod_trading_and_events(api: Api, namespace: str) -> None:
    applied(namespace)
    moment = "2026-01-01T00:00:00Z"
    bad = {"type": "PodReady", "status": "False", "reason": "CrashLoopBackOff", "message": "see its log"}
    ready = {"type": "Ready", "status": "False", "reason": "CrashLoopBackOff", "message": "see its log"}
    conditions = [{"lastTransitionTime": moment, "observedGeneration": 1, **one} for one in (ready, bad)]
    status_of(api, namespace, "btc-scalper", {"phase": "Starting", "epoch": 3, "conditions": conditions})
    uid = json.loads(run(namespace, "get", "strat", "btc-scalper", "-o", "json"))["metadata"]["uid"]
    involved = {
        "apiVersion": "christmas.dev/v1alpha1",
        "kind": "Strategy",
        "name": "btc-scalper",
        "namespace": namespace,
        "uid": uid,
    }
    event = {
        "metadata": {"name": "e1"},
        "involvedObject": involved,
        "type": "Warning",
        "reason": "Repaired",
        "message": "somebody deleted its ConfigMap",
        "lastTimestamp": moment,
    }
    api.create(f"/api/v1/namespaces/{namespace}/events", event)
    pod(api, namespace, "strategy", "btc-scalper")
    shown = run(namespace, "describe", "btc-scalper")
    rows = [line.split() for line in shown.splitlines()]
    assert ["PodReady", "False", "CrashLoopBackOff", "see", "its", "log"] in rows
    assert ["Node:", "node1"] in rows or any(row[:1] == ["Node:"] and row[1] != "-" for row in rows)
    assert "btc-scalper: rsi(14) is 41.2, needs < 30" in shown
    assert "somebody deleted its ConfigMap" in shown
    assert "Epoch:       3" in shown
    table = run(namespace, "get", "strat", "btc-scalper", "-o", "wide")
    assert "CrashLoopBackOff" in table
    assert "runtime-btc-scalper-0" in table


def test_logs_positions_explain_and_a_delete_that_is_refused(api: Api, namespace: str) -> None:
    applied(namespace)
    status_of(api, namespace, "btc-scalper", {"phase": "Running", "epoch": 1})
    pod(api, namespace, "strategy", "btc-scalper")
    assert '"hello"' in run(namespace, "logs", "btc-scalper")
    assert len(run(namespace, "logs", "btc-scalper", "--tail", "1").splitlines()) == 1
    assert "rsi(14) is 41.2" in run(namespace, "explain", "btc-scalper")
    assert json.loads(run(namespace, "positions", "-o", "json"))[0]["strategy"] == "btc-scalper"
    said = run(namespace, "delete", "btc-scalper", code=1)
    assert "btc-scalper holds 1 open position, nobody would close them" in said
    assert run(namespace, "delete", "btc-scalper", "--force") == "strategy/btc-scalper deleted\n"
    assert "is used by btc-momentum" in run(namespace, "delete", "broker/paper", code=1)


def test_a_log_is_followed_line_by_line(api: Api, namespace: str) -> None:
    applied(namespace)
    pod(api, namespace, "strategy", "btc-scalper")
    following = subprocess.Popen(arguments(namespace, "logs", "-f", "btc-scalper"), stdout=subprocess.PIPE, text=True)
    try:
        assert following.stdout is not None
        lines = [following.stdout.readline() for _ in range(8)]
        assert [json.loads(line)["message"] for line in lines] == ["hello", *(f"line {n}" for n in range(7))]
    finally:
        following.send_signal(signal.SIGINT)
        assert following.wait(10) == 0


def test_kill_reaches_the_gateway_through_a_forwarded_port_with_the_brokers_key(api: Api, namespace: str) -> None:
    applied(namespace)
    pod(api, namespace, "broker", "paper")
    assert "no permit key yet" in run(namespace, "kill", "btc-scalper", "--yes", code=1)
    key = base64.b64encode(b"k" * 32).decode()
    secret = {"metadata": {"name": "gateway-paper-permit-key"}, "data": {"permit-key": key}}
    api.create(f"/api/v1/namespaces/{namespace}/secrets", secret)
    said = run(namespace, "kill", "btc-scalper", "--yes", "--reason", "drill")
    assert [line.rstrip(" .") for line in said.splitlines()] == [
        "halt btc-scalper drill",
        "cancel_orders btc-scalper drill",
    ]


def test_who_may_not_is_told_which_right_is_missing(api: Api, namespace: str, tmp_path: Path) -> None:
    applied(namespace)
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    api.create(accounts, {"metadata": {"name": "nobody"}})
    token = api.create(f"{accounts}/nobody/token", {"spec": {}})["status"]["token"]
    kubeconfig = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    kubeconfig["users"] = [{"name": kubeconfig["users"][0]["name"], "user": {"token": token}}]
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(kubeconfig))
    said = run(namespace, "get", "strategies", code=1, KUBECONFIG=str(file))
    assert 'cannot list resource "strategies"' in said
    assert "auth can-i --list" in said
    doctor = subprocess.run(
        arguments(namespace, "doctor", "-o", "json"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "KUBECONFIG": str(file)},
    )
    found = {check["name"]: check["level"] for check in json.loads(doctor.stdout)}
    assert doctor.returncode == 1
    assert found["api server"] == "ok"
    assert found["right to get secrets"] == "warning"


def test_as_a_plugin_of_kubectl_it_works_in_the_current_context(namespace: str) -> None:
    applied(namespace)
    plugin = Path(sys.executable).with_name("kubectl-christmas")
    done = subprocess.run(
        [plugin, "get", "brokers", "-n", namespace, "-o", "name"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "broker/paper\n"


def test_wrong_places_are_told_in_one_line(namespace: str) -> None:
    def said(*words: str, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "christmas.cli", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, **environment},
        )
        assert done.returncode != 0
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        return done.stderr

    assert f"there is no context {current_context()}x in the kubeconfig (did you mean" in said(
        "--context", f"{current_context()}x", "get"
    )
    assert "a namespace is in a cluster" in said("get", "-n", "x")
    missing = said("--context", current_context(), "-n", namespace, "get", "strat", "btc-scalpr")
    assert f"there is no Strategy btc-scalpr in namespace {namespace}" in missing
