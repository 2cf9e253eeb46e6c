"""The chart's whole life on a real cluster: from nothing to trades, an upgrade, and what stays when it goes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.cluster.helm import ROOT, CommandFailed, Namespace, require_cluster, run
from tests.support.waiting import eventually_sync

pytestmark = pytest.mark.timeout(420)

NAMESPACE = "christmas-chart"
STRATEGY_READY_S = 30.0
TRIED_BY_HELM_TEST = {"config|get", "flushall", "markets", f"ticks:{NAMESPACE}.paper:X"}
REACHES = """
import socket
for host, port in {targets}:
    try:
        socket.create_connection((host, port), 2).close()
        print(host, port, "open")
    except OSError:
        print(host, port, "closed")
"""


@pytest.fixture(scope="module")
def chart() -> Iterator[Namespace]:
    require_cluster()
    namespace = Namespace(NAMESPACE)
    namespace.create()
    try:
        namespace.install()
        yield namespace
    finally:
        namespace.remove()


@pytest.fixture(scope="module")
def scalper(chart: Namespace) -> str:
    """The example's Strategy, applied; its pod's name."""
    eventually_sync(lambda: chart.is_ready("broker", "paper"), within_s=60, every_s=0.5)
    chart.kubectl("apply", "-f", str(ROOT / "examples" / "btc-scalper.yaml"))
    eventually_sync(lambda: chart.is_ready("strategy", "btc-scalper"), within_s=STRATEGY_READY_S, every_s=0.25)
    return "strategy-btc-scalper-0"


def reached(chart: Namespace, pod: str, *targets: tuple[str, int]) -> dict[str, str]:
    lines = chart.python(pod, REACHES.format(targets=list(targets))).split("\n")
    return {f"{host}:{port}": state for host, port, state in (line.split() for line in lines if line)}


def test_all_is_ready_after_the_install(chart: Namespace) -> None:
    for kind, name in (
        ("statefulset", "christmas-redis"),
        ("statefulset", "christmas-timescaledb"),
        ("deployment", "christmas-recorder"),
        ("deployment", "christmas-operator"),
    ):
        assert chart.get(kind, name)["status"].get("readyReplicas") == 1, name
    run("kubectl", "explain", "strategy.spec.rules")


def test_helm_test_passes(chart: Namespace) -> None:
    said = chart.test()
    assert said.count("ok     ") >= 5
    assert "FAILED" not in said


def test_an_example_is_ready_in_time_and_its_ticks_are_recorded(chart: Namespace, scalper: str) -> None:
    assert chart.get("pod", scalper)["status"]["phase"] == "Running"
    before = int(chart.query("SELECT count(*) FROM ticks"))
    eventually_sync(lambda: int(chart.query("SELECT count(*) FROM ticks")) > before, within_s=15, every_s=0.5)


def test_code_in_a_manifest_trades_and_its_fills_are_recorded(chart: Namespace, scalper: str) -> None:
    chart.kubectl("apply", "-f", str(ROOT / "examples" / "btc-momentum.yaml"))
    eventually_sync(lambda: chart.is_ready("strategy", "btc-momentum"), within_s=STRATEGY_READY_S, every_s=0.25)
    fills = "SELECT count(*) FROM fills WHERE strategy = 'btc-momentum'"
    eventually_sync(lambda: int(chart.query(fills)) > 0, within_s=90, every_s=1, what="a fill in TimescaleDB")


def test_a_strategy_reaches_its_gateway_and_the_stores_and_nothing_else(chart: Namespace, scalper: str) -> None:
    node = json.loads(run("kubectl", "get", "nodes", "-o", "json"))["items"][0]
    address = next(one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP")
    states = reached(
        chart,
        scalper,
        ("christmas-redis", 6379),
        ("christmas-timescaledb", 5432),
        ("gateway-paper", 7400),
        ("kubernetes.default.svc", 443),
        (address, 6443),
        (address, 10250),
        ("1.1.1.1", 443),
        ("christmas-operator", 9400),
        ("christmas-recorder", 9400),
        ("gateway-paper", 9400),
    )
    assert {name for name, state in states.items() if state == "open"} == {
        "christmas-redis:6379",
        "christmas-timescaledb:5432",
        "gateway-paper:7400",
    }
    pod = chart.get("pod", scalper)["spec"]
    assert pod["automountServiceAccountToken"] is False


def test_a_pod_that_only_calls_itself_a_strategy_reaches_nothing(chart: Namespace) -> None:
    image = chart.get("deployment", "christmas-recorder")["spec"]["template"]["spec"]["containers"][0]["image"]
    labels = {"app.kubernetes.io/name": "christmas", "app.kubernetes.io/component": "runtime"}
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    container = {"name": "main", "image": image, "command": ["sleep", "600"], "securityContext": security}
    spec = {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "impostor", "labels": labels}, "spec": spec}
    chart.kubectl("apply", "-f", "-", input_text=json.dumps(pod))
    try:
        chart.kubectl("wait", "--for=condition=Ready", "pod/impostor", "--timeout=30s")
        address = chart.get("pod", "christmas-redis-0")["status"]["podIP"]

        def cut_off() -> bool:
            return reached(chart, "impostor", (address, 6379))[f"{address}:6379"] == "closed"

        # A network plugin may need a moment for a new pod.
        eventually_sync(cut_off, within_s=15, every_s=0.5)
    finally:
        chart.kubectl("delete", "pod", "impostor", "--wait=false")


def test_the_stores_let_strategies_do_no_more_than_they_need(chart: Namespace, scalper: str) -> None:
    users = chart.stores()["users.acl"]
    credentials = ("--user", "christmas", "--pass", chart.stores()["redis-password"], "--no-auth-warning")
    redis = ("exec", "christmas-redis-0", "--", "redis-cli", *credentials)
    denied = set(re.findall(r"^object\n(.*)$", chart.kubectl(*redis, "ACL", "LOG", "100"), flags=re.MULTILINE))
    assert denied <= TRIED_BY_HELM_TEST, "a strategy needs what its Redis user may not do"
    assert "user default off" in users
    assert chart.kubectl(*redis, "EXISTS", f"status:{NAMESPACE}.paper:btc-scalper").strip() == "1"


def test_an_upgrade_keeps_passwords_data_and_what_trades(chart: Namespace, scalper: str) -> None:
    passwords, ticks = chart.stores(), int(chart.query("SELECT count(*) FROM ticks"))
    uids = {pod: chart.get("pod", pod)["metadata"]["uid"] for pod in (scalper, "gateway-paper-0", "christmas-redis-0")}
    chart.upgrade("--set", "recorder.retentionDays=7")
    assert chart.stores() == passwords
    assert int(chart.query("SELECT count(*) FROM ticks")) >= ticks
    assert {pod: chart.get("pod", pod)["metadata"]["uid"] for pod in uids} == uids
    settings = chart.get("configmap", "christmas-recorder")["data"]["settings.json"]
    assert json.loads(settings)["retention_days"] == 7
    assert chart.get("deployment", "christmas-recorder")["status"]["readyReplicas"] == 1


def columns() -> list[str]:
    """Of `kubectl get strategies`, as the CRD now has them."""
    crd = json.loads(run("kubectl", "get", "crd", "strategies.christmas.dev", "-o", "json"))
    return [column["name"] for column in crd["spec"]["versions"][0]["additionalPrinterColumns"]]


def test_an_upgrade_brings_the_crds_back_to_this_version(chart: Namespace) -> None:
    before = columns()
    # Nothing that another installation on this cluster would miss.
    patch = json.dumps([{"op": "remove", "path": "/spec/versions/0/additionalPrinterColumns/0"}])
    run("kubectl", "patch", "crd", "strategies.christmas.dev", "--type=json", "-p", patch)
    assert columns() == before[1:]
    chart.upgrade()
    assert columns() == before


def test_values_that_the_chart_does_not_know_are_refused(chart: Namespace) -> None:
    with pytest.raises(CommandFailed, match="retentiondays"):
        chart.upgrade("--set", "recorder.retentiondays=7")


def test_when_it_goes_volumes_and_their_passwords_stay_and_nothing_else(chart: Namespace, scalper: str) -> None:
    passwords = chart.stores()
    chart.kubectl("delete", "strategies", "--all", "--timeout=90s", within_s=100)
    chart.uninstall()

    def gone() -> bool:
        pods = chart.names("pods", "app.kubernetes.io/name=christmas")
        assert pods <= {"christmas-test"}, pods
        return True

    eventually_sync(gone, within_s=60, every_s=0.5)
    chart.kubectl("delete", "pod", "christmas-test", "--ignore-not-found")
    claims = {"data-christmas-redis-0", "data-christmas-timescaledb-0", "state-gateway-paper-0"}
    assert chart.names("persistentvolumeclaims") == claims
    kinds = "statefulsets,deployments,services,networkpolicies,roles,rolebindings,poddisruptionbudgets,brokers"
    eventually_sync(lambda: chart.kubectl("get", kinds, "-o", "name") == "", within_s=60, every_s=0.5)
    assert chart.names("secrets") == {"christmas-stores"}
    for kind in ("clusterroles", "clusterrolebindings"):
        assert chart.name not in run("kubectl", "get", kind, "-o", "name")
    chart.install()
    assert chart.stores() == passwords
    assert int(chart.query("SELECT count(*) FROM orders")) > 0
