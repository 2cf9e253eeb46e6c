from __future__ import annotations

import os
import signal

import pytest

from tests.integration.fleet.running import BROKER, EAGER, HOLDS, IDLE, Fleet, strategy
from tests.support.waiting import eventually_sync

pytestmark = pytest.mark.timeout(400)


def start(fleet: Fleet, *manifests: str, wait_for: str) -> None:
    fleet.write("fleet.yaml", BROKER + "".join(manifests))
    fleet.up(str(fleet.manifests))
    eventually_sync(lambda: fleet.is_trading(wait_for), within_s=90, every_s=0.2, what=f"{wait_for} trades")


def test_a_fresh_start_trades_and_ends_in_order(fleet: Fleet) -> None:
    start(fleet, strategy("eager", EAGER), wait_for="eager")
    eventually_sync(lambda: fleet.json("positions"), within_s=60, what="it holds a position")
    eventually_sync(lambda: fleet.json("orders", "eager"), within_s=60, what="its orders are recorded")
    assert "eager" in fleet.run("explain", "eager")
    (report,) = fleet.json("stats", "eager")
    assert report["name"] == "eager"
    assert all(check["level"] != "failed" for check in fleet.json("doctor"))
    assert fleet.state.stat().st_mode & 0o777 == 0o700

    assert "runs from" in fleet.run("up", str(fleet.manifests), code=1)

    assert fleet.interrupt() == 0
    assert fleet.processes() == []
    assert "eager: realised" in fleet.log.read_text()


def test_the_next_start_goes_on_where_it_was_even_after_a_kill(fleet: Fleet) -> None:
    start(fleet, strategy("eager", EAGER, extra=HOLDS), wait_for="eager")
    before = eventually_sync(lambda: fleet.json("positions"), within_s=60, what="it holds a position")
    epoch = fleet.status("eager")["epoch"]
    orders = eventually_sync(lambda: fleet.json("orders"), within_s=60, what="orders are recorded")
    fleet.kill_supervisor()
    eventually_sync(lambda: not fleet.processes(), within_s=60, what="nothing is left behind")

    fleet.up()
    eventually_sync(lambda: fleet.is_trading("eager"), within_s=90, every_s=0.2, what="it trades again")
    assert fleet.status("eager")["epoch"] > epoch
    held = {position["position_id"] for position in fleet.json("positions")}
    assert {position["position_id"] for position in before} <= held
    known = {row["client_order_id"] for row in fleet.json("orders")}
    assert {row["client_order_id"] for row in orders} <= known


def test_suspend_resume_delete_and_apply_take_effect_while_it_runs(fleet: Fleet) -> None:
    start(fleet, strategy("idle", IDLE), wait_for="idle")
    first = fleet.status("idle")

    fleet.run("suspend", "idle")
    eventually_sync(lambda: fleet.phase("idle") == "Suspended", within_s=60, what="suspended")
    fleet.run("resume", "strategy/idle")
    eventually_sync(lambda: fleet.is_trading("idle"), within_s=60, what="resumed")
    resumed = fleet.status("idle")
    assert resumed["epoch"] > first["epoch"]
    # It was asked for: that is no restart.
    assert resumed["process"].get("restarts", 0) == 0

    changed = strategy("idle", 'rules: {entry: "rsi(14) < 0.002"}')
    assert "idle configured" in fleet.run("apply", "-f", "-", stdin=changed)
    eventually_sync(
        lambda: fleet.is_trading("idle") and fleet.status("idle")["epoch"] > resumed["epoch"],
        within_s=60,
        what="a flat strategy takes its new manifest",
    )

    wrong = strategy("idle", 'rules: {entry: "rsy(14) < 1"}')
    message = fleet.run("apply", "-f", "-", stdin=wrong, code=1)
    assert "<stdin>:9:" in message
    assert "rsi" in message
    assert "idle unchanged" in fleet.run("apply", "-f", "-", stdin=changed)

    assert "is used by idle" in fleet.run("delete", "broker/paper", code=1)
    fleet.run("delete", "idle")
    eventually_sync(lambda: not fleet.json("get", "strategies")["items"], within_s=60, what="deleted")
    fleet.run("delete", "broker/paper")
    eventually_sync(lambda: not fleet.json("get", "brokers")["items"], within_s=60, what="deleted")


def test_an_open_position_is_not_restarted_under_nor_deleted(fleet: Fleet) -> None:
    start(fleet, strategy("eager", EAGER, extra=HOLDS), wait_for="eager")
    eventually_sync(lambda: fleet.json("positions"), within_s=60, what="it holds a position")
    epoch = fleet.status("eager")["epoch"]
    fleet.run("apply", "-f", "-", stdin=strategy("eager", 'rules: {entry: "close > 1"}', extra=HOLDS))

    def has_drift() -> bool:
        conditions = fleet.status("eager")["conditions"]
        return any(condition["type"] == "ConfigDrift" for condition in conditions)

    eventually_sync(has_drift, within_s=60, what="the drift is shown")
    assert fleet.status("eager")["epoch"] == epoch
    assert "open position" in fleet.run("delete", "eager", code=1)


@pytest.mark.parametrize("count", [1, 2])
def test_flatten_sells_and_the_break_of_the_policy_is_visible(fleet: Fleet, count: int) -> None:
    extra = HOLDS + "  onSuspend: Flatten\n"
    start(fleet, strategy("eager", EAGER, positions=count, extra=extra), wait_for="eager")
    eventually_sync(lambda: len(fleet.json("positions")) == count, within_s=60, what="it holds positions")
    fleet.run("suspend", "eager")
    eventually_sync(lambda: fleet.phase("eager") == "Suspended", within_s=90, what="suspended")

    def flattened() -> bool:
        (report,) = fleet.json("stats", "eager")
        return bool(report["open_positions"] == 0 and report["closed_trades"] and report["policy_breaks"])

    eventually_sync(flattened, within_s=60, every_s=0.3, what="all is sold, visibly")
    fleet.run("resume", "eager")
    # Flattening halted it; whoever resumes it wants it to trade.
    eventually_sync(lambda: fleet.json("positions"), within_s=90, every_s=0.3, what="it trades again")


def test_a_killed_runtime_comes_back_and_is_counted(fleet: Fleet) -> None:
    start(fleet, strategy("idle", IDLE), wait_for="idle")
    process = fleet.status("idle")["process"]
    os.kill(process["pid"], signal.SIGKILL)
    eventually_sync(
        lambda: fleet.is_trading("idle") and fleet.status("idle")["process"]["pid"] != process["pid"],
        within_s=60,
        what="it came back",
    )
    assert fleet.status("idle")["process"]["restarts"] == 1


def test_a_crash_loop_is_shown_with_its_reason_and_disturbs_nobody(fleet: Fleet) -> None:
    source = "code: {class: Bad, source: \"raise RuntimeError('boom')\\nclass Bad: pass\\n\"}"
    start(fleet, strategy("idle", IDLE), strategy("bad", source), wait_for="idle")
    eventually_sync(lambda: fleet.phase("bad") == "CrashLoopBackOff", within_s=120, every_s=0.3, what="crash loop")
    assert "boom" in fleet.status("bad")["process"]["message"]
    assert fleet.is_trading("idle")
    failed = [check["name"] for check in fleet.json_of_failing_doctor()]
    assert "runtime/bad" in failed


def test_too_much_memory_ends_a_strategy_not_the_machine(fleet: Fleet) -> None:
    source = 'code: {class: Big, source: "x = bytearray(400 << 20)\\nclass Big: pass\\n"}'
    start(fleet, strategy("idle", IDLE), strategy("big", source), wait_for="idle")
    eventually_sync(lambda: fleet.phase("big") == "OOMKilled", within_s=90, every_s=0.2, what="OOMKilled")
    assert fleet.is_trading("idle")


def test_kill_halts_at_the_gateway_until_it_is_undone(fleet: Fleet) -> None:
    start(fleet, strategy("eager", EAGER), wait_for="eager")
    assert "--yes" in fleet.run("kill", "eager", stdin="", code=2)
    fleet.run("kill", "broker/paper", "--yes")
    eventually_sync(
        lambda: "killed by hand" in str(fleet.status("eager")["conditions"]), within_s=60, what="it says why it waits"
    )
    fleet.run("kill", "broker/paper", "--undo")
    eventually_sync(
        lambda: "killed by hand" not in str(fleet.status("eager")["conditions"]), within_s=60, what="it trades again"
    )


def test_no_fleet_runs(fleet: Fleet) -> None:
    fleet.write("fleet.yaml", BROKER + strategy("idle", IDLE))
    assert "christmas up" in fleet.run("explain", "idle", code=1)
    fleet.run("apply", "-f", str(fleet.manifests))
    assert fleet.json("get", "strategies")["items"][0]["metadata"]["name"] == "idle"
    assert fleet.processes() == []


def test_a_database_that_is_away_does_not_keep_it_from_trading(fleet: Fleet) -> None:
    fleet.environment["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none"
    start(fleet, strategy("eager", EAGER), wait_for="eager")
    eventually_sync(lambda: fleet.json("positions"), within_s=60, what="it holds a position")
