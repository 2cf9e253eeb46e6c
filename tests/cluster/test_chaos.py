"""Every part of an installation that trades is taken away in turn; nothing may be lost by it.

`nothing_lost` compares, after each: every print that the market made with the hypertable, and the gateway's journal
with the venue's ledger and the database (as `christmas audit` does), and that one pod of a Strategy at a time had
orders accepted. What was counted and how long it took goes into the report (``--junitxml``), and to where
CHRISTMAS_TEST_MEASURED names a file. CHRISTMAS_TEST_OUTAGE_S: how long outages last.
"""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster import node
from tests.cluster.helm import Namespace, require_cluster, run
from tests.cluster.ledgers import one_speaker_at_a_time, orders_between
from tests.cluster.trading import Trading, holder, in_background, strategy
from tests.support.waiting import eventually_sync

pytestmark = pytest.mark.timeout(300)

OUTAGE_S = float(os.environ.get("CHRISTMAS_TEST_OUTAGE_S", "20"))
GATEWAY, RUNTIME, OPERATOR = "christmas.brokers.gateway", "christmas.runtime", "christmas_operator"
EXIT_REFUSED = 3
BURST, PLACED = 20, 5
Tell = Callable[[str, object], None]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trading]:
    require_cluster()
    namespace = Namespace("christmas-chaos")
    trading = Trading(namespace, tmp_path_factory.mktemp("chaos"))
    namespace.create()
    try:
        namespace.install("-f", str(trading.values))
        eventually_sync(lambda: namespace.is_ready("broker", "paper"), within_s=90, every_s=0.5)
        trading.apply(strategy("trader"), holder("holder", updatePolicy="WhenFlat"))
        trading.ready("trader", "holder")
        trading.holds("holder")
        trading.goes_on()
        trading.begin()
        yield trading
    finally:
        namespace.remove()


@pytest.fixture
def tell(request: pytest.FixtureRequest, record_property: Tell) -> Tell:
    def both(name: str, value: object) -> None:
        record_property(name, value)
        if file := os.environ.get("CHRISTMAS_TEST_MEASURED"):
            with Path(file).open("a", encoding="utf-8") as measured:
                measured.write(f"{request.node.name}\t{name}\t{value}\n")

    return both


def now_us() -> int:
    return time.time_ns() // 1000


def replaced(fleet: Trading, pod: str, uid: str, within_s: float = 120.0) -> str:
    """Return the new uid when another pod of that name is ready."""

    def ready() -> str:
        found = fleet.namespace.get("pod", pod)
        conditions = {one["type"]: one["status"] for one in found["status"].get("conditions", [])}
        assert conditions.get("Ready") == "True", conditions
        new: str = found["metadata"]["uid"]
        return new if new != uid else ""

    return eventually_sync(ready, within_s=within_s, every_s=0.5, what=f"another {pod} is ready")


# --- pods ----------------------------------------------------------------------------------------


def test_a_strategy_s_pod_deleted(fleet: Trading, tell: Tell) -> None:
    uid, since_us = fleet.uid("strategy-trader-0"), now_us()
    fleet.namespace.kubectl("delete", "pod", "strategy-trader-0")
    replaced(fleet, "strategy-trader-0", uid)
    fleet.goes_on()
    fleet.nothing_lost(tell, since_us)


def test_a_zombie_of_a_force_deleted_pod_has_no_order_accepted(fleet: Trading, tell: Tell) -> None:
    node.require_processes_here()
    uid = fleet.uid("strategy-trader-0")
    zombie = node.process_of(uid, RUNTIME)
    assert zombie is not None
    # Nobody can kill a container whose shim does not answer, as on a node that is lost.
    with node.stopped(node.shim_of(zombie)):
        with node.stopped(zombie):
            since_us = now_us()
            fleet.namespace.kubectl("delete", "pod", "strategy-trader-0", "--force", "--grace-period=0")
            replaced(fleet, "strategy-trader-0", uid)
            fleet.goes_on()
            assert node.is_alive(zombie, RUNTIME)
            before = one_speaker_at_a_time(fleet.ledgers.entries())["trader"]
            woken_us = now_us()
        # It lives again, and nobody has noticed: its gateway refuses it, or a policy has cut it off already.
        fleet.goes_on()
        fleet.goes_on()
    entries = fleet.nothing_lost(tell, since_us)
    tell("orders_beside_the_zombie", len(orders_between(entries, "trader", woken_us, now_us())))
    assert one_speaker_at_a_time(entries)["trader"] == before, "the zombie had a session again"


def test_of_two_processes_with_one_permit_the_older_is_refused(fleet: Trading, tell: Tell) -> None:
    refused, restarts = fleet.refused("InstanceSuperseded"), fleet.status("trader").get("restarts", 0)
    since_us = now_us()
    # It takes over from the pod's own process, which is refused, ends, and takes over again when it is restarted.
    assert fleet.impostor("trader", fleet.permit("trader"), host="holder") == EXIT_REFUSED
    assert fleet.refused("InstanceSuperseded") >= refused + 2
    eventually_sync(lambda: fleet.status("trader").get("restarts", 0) > restarts, within_s=30, every_s=0.5)
    fleet.ready("trader")
    fleet.goes_on()
    speakers = one_speaker_at_a_time(fleet.nothing_lost(tell, since_us))["trader"]
    assert len(speakers) == len(set(speakers)) >= 3


def test_a_gateway_s_process_killed(fleet: Trading, tell: Tell) -> None:
    node.require_processes_here()
    uid = fleet.uid("gateway-paper-0")
    process = node.process_of(uid, GATEWAY)
    assert process is not None
    since_us = now_us()
    node.kill(process)
    fleet.goes_on()
    assert fleet.uid("gateway-paper-0") == uid
    fleet.nothing_lost(tell, since_us)


def test_a_gateway_s_pod_deleted(fleet: Trading, tell: Tell) -> None:
    uid, since_us = fleet.uid("gateway-paper-0"), now_us()
    fleet.namespace.kubectl("delete", "pod", "gateway-paper-0")
    replaced(fleet, "gateway-paper-0", uid)
    fleet.goes_on()
    fleet.nothing_lost(tell, since_us)


IN_TRANSACTION = """
import json, pathlib, redis
url = json.loads(pathlib.Path("/etc/christmas/settings.json").read_text())["redis_url"]
with redis.Redis.from_url(url, socket_timeout=5).pipeline(transaction=True) as pipe:
    {0}
    print(pipe.execute())
"""


def test_redis_s_pod_deleted(fleet: Trading, tell: Tell) -> None:
    fleet.namespace.python("gateway-paper-0", IN_TRANSACTION.format("pipe.set('one', 1); pipe.set('other', 2)"))
    uid, since_us = fleet.uid("christmas-redis-0"), now_us()
    fleet.namespace.kubectl("delete", "pod", "christmas-redis-0")
    replaced(fleet, "christmas-redis-0", uid)

    def kept() -> bool:
        # Its Service may lead to it a moment later than it is ready.
        asked = IN_TRANSACTION.format("pipe.get('one'); pipe.get('other')")
        return fleet.namespace.python("gateway-paper-0", asked).strip() == "[b'1', b'2']"

    eventually_sync(kept, within_s=30, every_s=0.5, what="Redis has what came in a transaction")
    fleet.goes_on()
    fleet.nothing_lost(tell, since_us)


def test_timescaledb_s_pod_deleted(fleet: Trading, tell: Tell) -> None:
    uid, since_us = fleet.uid("christmas-timescaledb-0"), now_us()
    fleet.namespace.kubectl("delete", "pod", "christmas-timescaledb-0", "--timeout=50s")
    replaced(fleet, "christmas-timescaledb-0", uid)
    fleet.goes_on()
    fleet.nothing_lost(tell, since_us)


# --- the cluster itself --------------------------------------------------------------------------


def traded_through(fleet: Trading, tell: Tell, command: str) -> None:
    """Orders were written and ticks stored in every ten seconds of the outage."""
    node.require_processes_here()
    pods = {pod: fleet.uid(pod) for pod in ("strategy-trader-0", "strategy-holder-0", "gateway-paper-0")}
    since_us = now_us()
    node.out_of_order(command, OUTAGE_S)
    until_us = now_us()
    eventually_sync(lambda: fleet.ledgers.first_tick_us() > 0, within_s=60, every_s=0.5, what="the cluster answers")
    fleet.ready("trader", "holder")
    fleet.goes_on()
    entries = fleet.nothing_lost(tell, 0)
    for begin_us in range(since_us, until_us - 9_000_000, 10_000_000):
        assert orders_between(entries, "trader", begin_us, begin_us + 10_000_000), "trading did not go on"
    tell("outage_s", OUTAGE_S)
    tell("orders_during", len(orders_between(entries, "trader", since_us, until_us)))
    tell("ticks_during", len(fleet.ledgers.stored_ticks(since_us, until_us)))
    assert {pod: fleet.uid(pod) for pod in pods} == pods, "nothing had to be restarted"


def test_the_api_server_gone(fleet: Trading, tell: Tell) -> None:
    traded_through(fleet, tell, "kube-apiserver")


def test_the_kubelet_stopped(fleet: Trading, tell: Tell) -> None:
    traded_through(fleet, tell, "kubelet")


def test_the_operator_killed_while_it_applies_many(fleet: Trading, tell: Tell) -> None:
    node.require_processes_here()
    (pod,) = fleet.namespace.names("pods", "app.kubernetes.io/component=operator")
    process = node.process_of(fleet.uid(pod), OPERATOR)
    assert process is not None
    names = [f"burst-{number}" for number in range(BURST)]
    nowhere = {"nodeSelector": {"christmas.dev/test": "nowhere"}}
    many = [holder(name, **({} if number < PLACED else nowhere)) for number, name in enumerate(names)]
    label = "app.kubernetes.io/component=runtime"
    sets_before = fleet.namespace.names("statefulsets", label)
    applying = in_background(
        fleet.namespace, "apply", "-f", "-", input_text=json.dumps({"apiVersion": "v1", "kind": "List", "items": many})
    )
    eventually_sync(lambda: fleet.namespace.names("statefulsets", label) > sets_before, within_s=60, every_s=0.05)
    since_us = now_us()
    node.kill(process)
    assert applying.wait(60) == 0
    tell("made_when_killed", len(fleet.namespace.names("statefulsets", label) - sets_before))
    fleet.ready(*names[:PLACED])
    for name in names[PLACED:]:
        eventually_sync(
            lambda: fleet.condition(name, "PodReady").get("reason") == "Unschedulable",  # noqa: B023
            within_s=60,
            every_s=0.2,
        )
    tell("converged_s", round((now_us() - since_us) / 1e6, 1))
    statuses = {name: str(fleet.status(name)["epoch"]) for name in names}
    # One that was written ahead when the operator was killed is not used again.
    assert set(statuses.values()) <= {"1", "2"}
    for kind in ("statefulset", "secret", "networkpolicy", "configmap", "pod"):
        listed = json.loads(fleet.namespace.kubectl("get", kind, "-l", label, "-o", "json"))["items"]
        owners = [one["metadata"]["labels"]["christmas.dev/strategy"] for one in listed]
        assert sorted(owners) == sorted({*names, "trader", "holder"}), kind
        if kind in {"statefulset", "secret", "pod"}:
            epochs = dict(zip(owners, map(epoch_of, listed), strict=True))
            assert {name: epochs[name] for name in names} == statuses, kind
    fleet.nothing_lost(tell, 0)
    fleet.namespace.kubectl("delete", "strategies", *names, "--timeout=100s", within_s=110)
    eventually_sync(
        lambda: (
            fleet.namespace.names("statefulsets,pods", label)
            == {"strategy-trader", "strategy-holder", "strategy-trader-0", "strategy-holder-0"}
        ),
        within_s=60,
        every_s=0.5,
    )


def epoch_of(found: dict[str, object]) -> str:
    metadata = found["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata.get("annotations", {}).get("christmas.dev/epoch", ""))


# --- updates -------------------------------------------------------------------------------------


def apply_now(fleet: Trading, name: str) -> None:
    """Run the command that the condition names."""
    message = fleet.condition(name, "ConfigDrift")["message"]
    command = shlex.split(message.partition("with: ")[2] or message.partition("now with: ")[2])
    assert command[:2] == ["kubectl", "annotate"], message
    run(*command)


def test_a_manual_update_waits_for_the_word(fleet: Trading, tell: Tell) -> None:
    fleet.patch("holder", updatePolicy="Manual")
    uid, epoch = fleet.uid("strategy-holder-0"), fleet.status("holder")["epoch"]
    fleet.patch("holder", capital={"amount": "2000", "perTrade": "100", "maxPositions": 1})
    eventually_sync(
        lambda: fleet.condition("holder", "ConfigDrift").get("reason") == "WaitsForCommand", within_s=30, every_s=0.5
    )
    assert (fleet.uid("strategy-holder-0"), fleet.status("holder")["epoch"]) == (uid, epoch)
    apply_now(fleet, "holder")
    replaced(fleet, "strategy-holder-0", uid)
    fleet.ready("holder")
    assert fleet.status("holder")["epoch"] == epoch + 1
    assert not fleet.condition("holder", "ConfigDrift")
    fleet.patch("holder", updatePolicy="WhenFlat")
    fleet.nothing_lost(tell, 0)


def test_an_immediate_update_restarts_under_open_positions(fleet: Trading, tell: Tell) -> None:
    uid, epoch, permit = fleet.uid("strategy-trader-0"), fleet.status("trader")["epoch"], fleet.permit("trader")
    since_us = now_us()
    fleet.patch("trader", capital={"amount": "90000", "perTrade": "20", "maxPositions": 20})
    replaced(fleet, "strategy-trader-0", uid)
    fleet.ready("trader")
    assert fleet.status("trader")["epoch"] == epoch + 1
    fleet.goes_on()
    # A process that still has the permit of before is refused for good.
    refused = fleet.refused("EpochSuperseded")
    assert fleet.impostor("trader", permit, host="holder") == EXIT_REFUSED
    assert fleet.refused("EpochSuperseded") > refused
    assert fleet.uid("strategy-trader-0") != uid
    fleet.nothing_lost(tell, since_us)


def test_an_update_of_a_flat_strategy_does_not_wait(fleet: Trading, tell: Tell) -> None:
    fleet.apply(strategy("idle", rules={"entry": "close < 0"}, updatePolicy="WhenFlat"))
    fleet.ready("idle")
    uid = fleet.uid("strategy-idle-0")
    fleet.patch("idle", rules={"entry": "close < 1"})
    replaced(fleet, "strategy-idle-0", uid)
    fleet.ready("idle")
    assert fleet.status("idle")["epoch"] == 2
    fleet.namespace.kubectl("delete", "strategy", "idle", "--timeout=60s", within_s=70)
    fleet.nothing_lost(tell, 0)


def test_a_rolling_upgrade_of_the_chart_with_open_positions(fleet: Trading, tell: Tell) -> None:
    pods = ("gateway-paper-0", "strategy-trader-0", "strategy-holder-0")
    uids = {pod: fleet.uid(pod) for pod in pods}
    lots, since_us = fleet.held_lots("holder"), now_us()
    assert lots > 0
    # The same image by another name: everything that is made of it has to roll.
    image = "images.runtime.repository=docker.io/library/christmas-runtime"
    fleet.namespace.upgrade("-f", str(fleet.values), "--set", image)
    replaced(fleet, "gateway-paper-0", uids["gateway-paper-0"])
    replaced(fleet, "strategy-trader-0", uids["strategy-trader-0"])
    eventually_sync(
        lambda: fleet.condition("holder", "ConfigDrift").get("reason") == "WaitsForFlat", within_s=60, every_s=0.5
    )
    fleet.ready("trader", "holder")
    fleet.goes_on()
    assert fleet.uid("strategy-holder-0") == uids["strategy-holder-0"]
    apply_now(fleet, "holder")
    replaced(fleet, "strategy-holder-0", uids["strategy-holder-0"])
    fleet.ready("holder")
    assert fleet.held_lots("holder") == lots
    fleet.holds("holder")
    fleet.nothing_lost(tell, since_us)


# --- suspending and deleting ---------------------------------------------------------------------


def test_suspending_does_with_orders_and_positions_as_the_manifest_says(fleet: Trading, tell: Tell) -> None:
    policies = {"cancels": "CancelOrders", "keeps": "KeepOrders", "flattens": "Flatten"}
    fleet.apply(*(holder(name, onSuspend=policy) for name, policy in policies.items()))
    fleet.holds(*policies)
    for name in policies:
        fleet.patch(name, state="Suspended")
    for name in policies:
        eventually_sync(lambda: fleet.status(name).get("phase") == "Suspended", within_s=90, every_s=0.5)  # noqa: B023
        assert not fleet.uid(f"strategy-{name}-0")

    def wound_down() -> bool:
        orders = {name: bool(fleet.open_orders(name)) for name in policies}
        assert orders == {"cancels": False, "keeps": True, "flattens": False}
        held = {name: fleet.held_lots(name) > 0 for name in policies}
        assert held == {"cancels": True, "keeps": True, "flattens": False}
        return True

    eventually_sync(wound_down, within_s=30, every_s=0.5)
    fleet.patch("flattens", state="Running")
    fleet.patch("cancels", state="Running")
    # It takes up what it held, and one that was flattened begins anew.
    fleet.holds("cancels", "flattens")
    fleet.namespace.kubectl("delete", "strategies", *policies, "--timeout=100s", within_s=110)
    eventually_sync(lambda: not any(fleet.open_orders(name) for name in ("cancels", "flattens")), within_s=30)
    # What its owner wanted kept stays when it is deleted too.
    assert fleet.offered_lots("keeps") == fleet.held_lots("keeps") > 0
    fleet.nothing_lost(tell, 0)


def test_deletion_cancels_orders_first_and_does_not_wait_for_ever_for_a_dead_gateway(
    fleet: Trading, tell: Tell
) -> None:
    node.require_processes_here()
    fleet.apply(holder("goes"), holder("stays"))
    fleet.holds("goes", "stays")
    fleet.namespace.kubectl("delete", "strategy", "goes", "--timeout=90s", within_s=100)
    eventually_sync(lambda: not fleet.open_orders("goes"), within_s=20, every_s=0.5)
    process = node.process_of(fleet.uid("gateway-paper-0"), GATEWAY)
    assert process is not None
    with node.stopped(process):
        began = time.monotonic()
        fleet.namespace.kubectl("delete", "strategy", "stays", "--timeout=90s", within_s=100)
        took_s = time.monotonic() - began
    tell("deleted_s", round(took_s, 1))
    eventually_sync(lambda: "OrdersLeft" in fleet.events("stays"), within_s=30, every_s=0.5)
    # What it was asked while it was stopped it may do now.
    fleet.goes_on()
    fleet.nothing_lost(tell, 0)


# --- at the end ----------------------------------------------------------------------------------


def test_at_rest_the_three_places_tell_the_same(fleet: Trading, tell: Tell) -> None:
    fleet.namespace.kubectl("delete", "strategies", "--all", "--timeout=100s", within_s=110)
    fleet.nothing_lost(tell, 0)

    # Ticks go on: those that are counted must be stored at the moment of counting.
    def told_the_same() -> bool:
        found = fleet.ledgers.settled()
        assert found == []
        return True

    eventually_sync(told_the_same, within_s=30, every_s=0.5)
