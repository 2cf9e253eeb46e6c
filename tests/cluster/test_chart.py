"""The chart's whole life on a real cluster: from nothing to trades, an upgrade, and what stays when it goes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.cluster.command_line import christmas
from tests.cluster.helm import ROOT, CommandFailed, Namespace, require_cluster, run
from tests.cluster.trading import FINAL, Trading, holder
from tests.cluster.watching import Watch
from tests.support.waiting import eventually_sync

pytestmark = pytest.mark.timeout(600)

NAMESPACE = "christmas-chart"
ELSEWHERE = "christmas-chart-elsewhere"
LEASE_S = 40
STRATEGY_READY_S = 30.0
RISES_WITHIN_S = 240
"""The example orders when the made-up market rises: mostly within seconds, in 6 of 1,500 windows not within 95 s."""
TRIED_BY_HELM_TEST = {"config|get", "flushall", "markets", f"ticks:{NAMESPACE}.paper:X"}
IN_TURNS = """
from decimal import Decimal
from christmas.execution.strategies.base import Strategy

class InTurns(Strategy):
    every = 16

    def on_start(self):
        self.bars = 0

    def on_bar(self, bar):
        if self.bars % self.every == 0:
            self.buy(limit=bar.close * Decimal("1.001"), reason="its turn")
        self.bars += 1
"""
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


@pytest.fixture(scope="module")
def trading(chart: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Trading:
    """What the database says of Strategies."""
    return Trading(chart, tmp_path_factory.mktemp("trading"))


@pytest.fixture(scope="module")
def momentum(chart: Namespace, trading: Trading, scalper: str) -> str:
    """The example with code in its manifest, once it holds something; its name."""
    chart.kubectl("apply", "-f", str(ROOT / "examples" / "btc-momentum.yaml"))
    eventually_sync(lambda: chart.is_ready("strategy", "btc-momentum"), within_s=STRATEGY_READY_S, every_s=0.25)
    ordered = partial(trading.orders, "btc-momentum")
    eventually_sync(ordered, within_s=RISES_WITHIN_S, every_s=1, what="an order in TimescaleDB")
    return "btc-momentum"


class Before(NamedTuple):
    """What an upgrade must not change."""

    stores: dict[str, str]
    ticks: int
    pods: dict[str, str]


@pytest.fixture(scope="module")
def upgraded(chart: Namespace, trading: Trading, scalper: str) -> Iterator[Before]:
    """What there was before the upgrade to two operators, which look after other namespaces, too."""
    elsewhere = Namespace(ELSEWHERE)
    elsewhere.create()
    try:
        pods = (scalper, "gateway-paper-0", "christmas-redis-0")
        ticks = int(chart.query("SELECT count(*) FROM ticks"))
        before = Before(chart.stores(), ticks, {pod: trading.uid(pod) for pod in pods})
        chart.upgrade(
            "--set", f"recorder.retentionDays=7,operator.replicas=2,operator.leaseSeconds={LEASE_S}",
            "--set", f"operator.clusterWide={'true' if nobody_else_is_here() else 'false'}",
            "--set", f"operator.namespaces={{{NAMESPACE},{ELSEWHERE}}}",
        )  # fmt: skip
        yield before
    finally:
        elsewhere.remove()


def nobody_else_is_here() -> bool:
    """Whether an operator for the whole cluster would take nobody's Strategies: otherwise it gets two Roles instead."""
    listed = json.loads(run("kubectl", "get", "strategies,brokers", "-A", "-o", "json"))["items"]
    return {one["metadata"]["namespace"] for one in listed} <= {NAMESPACE, ELSEWHERE}


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


def test_code_in_a_manifest_trades_and_its_fills_are_recorded(chart: Namespace, momentum: str) -> None:
    fills = "SELECT count(*) FROM fills WHERE strategy = 'btc-momentum'"
    eventually_sync(
        lambda: int(chart.query(fills)) > 0, within_s=RISES_WITHIN_S, every_s=1, what="a fill in TimescaleDB"
    )


def test_an_update_that_waits_for_being_flat_holds_entries_and_rolls_by_itself(
    chart: Namespace, trading: Trading, tmp_path: Path
) -> None:
    spec: dict[str, Any] = {
        "brokerRef": {"name": "paper"},
        "symbols": ["BTC/USDT"],
        "timeframe": "1s",
        "code": {"source": IN_TURNS, "class": "InTurns"},
        "capital": {"amount": "1000", "perTrade": "50"},
        "exit": {"maximumAge": "7s"},
        "updatePolicy": "WhenFlat",
    }
    in_turns = {"apiVersion": "christmas.dev/v1alpha1", "kind": "Strategy", "metadata": {"name": "in-turns"}}
    trading.apply({**in_turns, "spec": spec})
    eventually_sync(lambda: trading.held_lots("in-turns") > 0, within_s=60, every_s=0.3, what="it holds a position")
    with Watch(chart, "strategy", "in-turns", tmp_path) as watch:
        trading.patch("in-turns", capital={"perTrade": "60"})
        of_two = "SELECT count(*) FROM orders WHERE strategy = 'in-turns' AND epoch = 2"
        eventually_sync(lambda: int(chart.query(of_two)) > 0, within_s=90, every_s=0.5, what="it trades again")
        trading.ready("in-turns")
        eventually_sync(lambda: steps_of(watch.statuses())[-1] == (2, "", ""), within_s=15, every_s=0.2)
        told = steps_of(watch.statuses())
    steps = iter(told)
    for step in (
        (1, "", ""),
        (1, "WaitsForFlat", ""),
        (1, "WaitsForFlat", "HeldForUpdate"),
        (2, "", "HeldForUpdate"),
        (2, "", ""),
    ):
        assert step in steps, (step, told)
    lots = "sum(CASE side WHEN 'buy' THEN filled_lots ELSE -filled_lots END)"
    of_one = f"SELECT {lots} FROM orders WHERE strategy = 'in-turns' AND epoch = 1"  # noqa: S608
    assert int(chart.query(of_one)) == 0, "it was flat when it was rolled"
    chart.kubectl("delete", "strategy", "in-turns", "--wait=false")


def test_the_command_line_shows_what_the_fleet_does(chart: Namespace, trading: Trading, momentum: str) -> None:
    def told(*words: str) -> str:
        return christmas(NAMESPACE, *words)

    orders = json.loads(told("orders", momentum, "-o", "json", "--limit", "10000"))
    assert {order["strategy"] for order in orders} == {momentum}
    assert len(orders) <= trading.orders(momentum)
    (report,) = json.loads(told("stats", momentum, "-o", "json"))
    assert report["orders"] >= len(orders)
    assert report["fills"] >= sum(order["status"] == "filled" for order in orders)
    held = json.loads(told("positions", "-o", "json"))
    assert {position["strategy"] for position in held} <= {momentum, "btc-scalper", "in-turns"}
    explained = told("explain", "btc-scalper")
    assert "rsi(14) < 30" in explained
    assert "last price BTC/USDT: " in explained

    def described_as_ready() -> bool:
        described = told("describe", momentum)
        assert f"strategy-{momentum}-0" in described
        return ["Ready", "True"] in [line.split()[:2] for line in described.splitlines()]

    eventually_sync(described_as_ready, within_s=30, every_s=1)


@pytest.mark.parametrize("whose", [["btc-scalper"], ["broker/paper"], ["operator"]])
def test_logs_are_those_of_the_pod(chart: Namespace, scalper: str, whose: list[str]) -> None:
    lines = christmas(NAMESPACE, "logs", *whose, "--tail", "3").splitlines()
    assert 1 <= len(lines) <= 3
    assert {"time", "level", "message"} <= json.loads(lines[-1]).keys()


def test_kill_halts_it_and_its_condition_names_the_command_that_lifts_that(
    chart: Namespace, trading: Trading, momentum: str
) -> None:
    there_were = trading.open_orders(momentum)
    said = christmas(NAMESPACE, "kill", momentum, "--yes", "--reason", "a drill")
    assert len(said.splitlines()) == 2
    eventually_sync(lambda: there_were.isdisjoint(trading.open_orders(momentum)), within_s=20, every_s=0.3)

    def halted() -> str:
        found = trading.condition(momentum, "TradingEnabled")
        assert (found["status"], found["reason"]) == ("False", "Halted"), found
        assert "a drill" in found["message"]
        message: str = found["message"]
        return message

    mend = re.search(r"`christmas (.*)`", eventually_sync(halted, within_s=30, every_s=0.3))
    assert mend is not None
    assert "a drill" in christmas(NAMESPACE, "explain", momentum)
    sides = f"SELECT DISTINCT side FROM orders WHERE strategy = '{momentum}' AND status NOT IN {FINAL}"  # noqa: S608
    eventually_sync(lambda: chart.query(sides) in {"", "sell"}, within_s=15, every_s=0.3, what="it only sells")
    christmas(NAMESPACE, *mend[1].split())
    trading.ready(momentum, within_s=30)


def test_suspend_ends_its_process_and_keeps_its_positions_and_resume_offers_them_again(
    chart: Namespace, trading: Trading
) -> None:
    # It sells at nobody's price, so that what it holds cannot become less.
    trading.apply(holder("keeper"))
    trading.ready("keeper")
    trading.holds("keeper")
    epoch, bought = trading.status("keeper")["epoch"], trading.held_lots("keeper")
    assert christmas(NAMESPACE, "suspend", "keeper") == "strategy/keeper suspended\n"
    eventually_sync(lambda: trading.status("keeper")["phase"] == "Suspended", within_s=60, every_s=0.3)
    assert trading.uid("strategy-keeper-0") == ""
    eventually_sync(lambda: not trading.open_orders("keeper"), within_s=15, every_s=0.3)
    kept = trading.held_lots("keeper")
    assert kept >= bought
    assert "has no pod" in christmas(NAMESPACE, "logs", "keeper", code=1)
    assert christmas(NAMESPACE, "resume", "keeper") == "strategy/keeper resumed\n"
    trading.ready("keeper", within_s=60)
    assert trading.status("keeper")["epoch"] == epoch + 1
    trading.holds("keeper")
    assert trading.held_lots("keeper") >= kept
    chart.kubectl("delete", "strategy", "keeper", "--wait=false")


def test_a_strategy_reaches_its_gateway_and_the_stores_and_nothing_else(chart: Namespace, scalper: str) -> None:
    node = json.loads(run("kubectl", "get", "nodes", "-o", "json"))["items"][0]
    address = next(one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP")
    allowed = (("christmas-redis", 6379), ("christmas-timescaledb", 5432), ("gateway-paper", 7400))
    # One after another: a Service leads nowhere while its pod's probe is late for once.
    for target in allowed:
        eventually_sync(lambda: set(reached(chart, scalper, target).values()) == {"open"}, within_s=60, every_s=1)  # noqa: B023
    states = reached(
        chart,
        scalper,
        ("kubernetes.default.svc", 443),
        (address, 6443),
        (address, 10250),
        ("1.1.1.1", 443),
        ("christmas-operator", 9400),
        ("christmas-recorder", 9400),
        ("gateway-paper", 9400),
    )
    assert len(states) == 7
    assert set(states.values()) == {"closed"}, states
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


def test_an_upgrade_keeps_passwords_data_and_what_trades(chart: Namespace, trading: Trading, upgraded: Before) -> None:
    assert chart.stores() == upgraded.stores
    assert int(chart.query("SELECT count(*) FROM ticks")) >= upgraded.ticks
    assert {pod: trading.uid(pod) for pod in upgraded.pods} == upgraded.pods
    assert settings(chart, "christmas-recorder")["retention_days"] == 7
    assert chart.get("deployment", "christmas-recorder")["status"]["readyReplicas"] == 1


def test_a_strategy_in_another_namespace_becomes_ready(chart: Namespace, upgraded: Before) -> None:
    elsewhere = Namespace(ELSEWHERE)
    for name in ("paper-broker", "btc-scalper"):
        elsewhere.kubectl("apply", "-f", str(ROOT / "examples" / f"{name}.yaml"))
    eventually_sync(lambda: elsewhere.is_ready("strategy", "btc-scalper"), within_s=90, every_s=0.5)
    refused = {pod: metric(chart, pod, 'christmas_operator_api_requests_total{code="403"') for pod in operators(chart)}
    assert set(refused.values()) == {0}
    elsewhere.kubectl("delete", "strategies,brokers", "--all", "--wait=false")
    eventually_sync(lambda: not elsewhere.names("strategies"), within_s=60, every_s=0.5)


def settings(chart: Namespace, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(chart.get("configmap", name)["data"]["settings.json"])
    return found


def steps_of(statuses: list[dict[str, Any]]) -> list[tuple[int, str, str]]:
    """Epoch, and the reasons of ConfigDrift and EntriesHeld, each time that one of them changed."""
    told: list[tuple[int, str, str]] = []
    for status in statuses:
        reason = {one["type"]: one["reason"] for one in status.get("conditions", ()) if one["status"] == "True"}
        step = (status.get("epoch", 0), reason.get("ConfigDrift", ""), reason.get("EntriesHeld", ""))
        if step not in told[-1:]:
            told.append(step)
    return told


def operators(chart: Namespace) -> set[str]:
    return chart.names("pods", "app.kubernetes.io/name=christmas,app.kubernetes.io/component=operator")


def metric(chart: Namespace, pod: str, start: str) -> float:
    """The sum of all series that begin so; 0 when there is none, or nobody answers."""
    try:
        text = chart.kubectl("get", "--raw", f"/api/v1/namespaces/{chart.name}/pods/{pod}:9400/proxy/metrics")
    except CommandFailed:
        return 0.0
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(start))


def test_of_two_operators_one_works_and_the_other_takes_over_when_it_is_deleted(
    chart: Namespace, upgraded: Before
) -> None:
    def leading() -> list[str]:
        return [pod for pod in operators(chart) if metric(chart, pod, "christmas_operator_leading ") == 1]

    assert chart.get("deployment", "christmas-operator")["status"]["readyReplicas"] == 2
    first = eventually_sync(lambda: lease_holder(chart), within_s=30, every_s=0.3)
    assert leading() == [first]
    since = time.monotonic()
    chart.kubectl("delete", "pod", first, "--wait=false")
    # The metrics of a pod that goes are not asked for: nobody says no, and that takes half a minute.
    second = eventually_sync(lambda: lease_holder(chart).replace(first, ""), within_s=60, every_s=0.2)
    # It gave its place away: nobody had to wait until the Lease ran out.
    assert time.monotonic() - since < LEASE_S / 2
    eventually_sync(lambda: first not in operators(chart), within_s=60, every_s=0.5)
    assert leading() == [second]


def lease_holder(chart: Namespace) -> str:
    """The pod of the operator that works; empty when none does."""
    return str(chart.get("lease", "christmas-operator")["spec"]["holderIdentity"]).rpartition("_")[0]


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
    kinds = "statefulsets,deployments,services,networkpolicies,roles,rolebindings,poddisruptionbudgets,brokers,leases"
    eventually_sync(lambda: chart.kubectl("get", kinds, "-o", "name") == "", within_s=60, every_s=0.5)
    assert chart.names("secrets") == {"christmas-stores"}
    for kind in ("clusterroles", "clusterrolebindings"):
        assert chart.name not in run("kubectl", "get", kind, "-o", "name")
    chart.install()
    assert chart.stores() == passwords
    assert int(chart.query("SELECT count(*) FROM orders")) > 0
