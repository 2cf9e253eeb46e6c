"""What is decided about Strategies, in a cluster of a few lines that carries it out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from christmas_operator import reasons
from christmas_operator.actions import AddFinalizer, Apply, AskExposure, AtGateway, Remove, StopPod, WriteStatus
from christmas_operator.strategies.decide import PERMIT_LASTS_S
from christmas_operator.strategies.describe import status_of
from christmas_operator.strategies.hold import FLAT_WITHIN_S, PAUSE_S
from christmas_operator.strategies.observed import Dependency, GatewayWord
from christmas_operator.strategies.status import StrategyStatus
from tests.unit.operator.world import SECRET, STATEFUL_SET, World


def running(**changes: Any) -> World:
    world = World(**changes)
    world.settle()
    assert world.status.phase == "Running"
    return world


def kinds(world: World) -> list[type]:
    return [type(action) for action in world.decide().actions]


def test_a_start_writes_the_epoch_before_it_is_used() -> None:
    world = World()
    actions = world.decide().actions
    assert [type(action) for action in actions][:3] == [AddFinalizer, WriteStatus, Apply]
    apply = actions[2]
    assert isinstance(apply, Apply)
    assert apply.epoch == 1
    assert apply.names[-1] == STATEFUL_SET


def test_what_runs_as_wanted_is_left_alone() -> None:
    world = running()
    assert world.decide().actions == ()
    assert (world.status.epoch, world.epochs) == (1, [1])
    assert [condition.observed_generation for condition in world.status.conditions] == [1] * 5
    assert world.reason("Ready") == reasons.READY


@pytest.mark.parametrize("policy", ["WhenFlat", "Immediate", "Manual"])
def test_an_update_waits_as_its_policy_says(policy: str) -> None:
    world = running(**{"spec.updatePolicy": policy})
    world.flat = False
    world.edit(**{"spec.capital.perTrade": "101"})
    world.settle()
    if policy == "Immediate":
        assert (world.epochs, world.reason("ConfigDrift")) == ([1, 2], "")
        return
    assert world.epochs == [1]
    assert world.status.phase == "Running"
    expected = {"WhenFlat": reasons.WAITS_FOR_FLAT, "Manual": reasons.WAITS_FOR_COMMAND}[policy]
    drift = next(condition for condition in world.status.conditions if condition.type == "ConfigDrift")
    assert (drift.reason, drift.observed_generation) == (expected, 2)
    assert "kubectl annotate strategy scalper -n trading --overwrite christmas.dev/apply-now=2" in drift.message
    assert (AskExposure in kinds(world)) is (policy == "WhenFlat")
    world.flat = True
    world.settle()
    assert world.epochs == ([1, 2] if policy == "WhenFlat" else [1])
    world.apply_now = "2"
    world.settle()
    assert world.epochs == [1, 2]
    assert world.reason("ConfigDrift") == ""


def test_an_old_command_does_not_apply_a_later_change() -> None:
    world = running(**{"spec.updatePolicy": "Manual"})
    world.apply_now = "2"
    world.edit(**{"spec.capital.perTrade": "101"})
    world.settle()
    world.edit(**{"spec.capital.perTrade": "102"})
    world.settle()
    assert world.epochs == [1, 2]
    assert world.reason("ConfigDrift") == reasons.WAITS_FOR_COMMAND


def test_an_update_mends_a_pod_that_has_failed_without_waiting() -> None:
    world = World(**{"spec.updatePolicy": "Manual"})
    world.failing = reasons.CRASH_LOOP
    world.settle()
    assert world.status.phase == "Failed"
    world.failing = ""
    world.edit(**{"spec.capital.perTrade": "101"})
    world.settle()
    assert (world.status.phase, world.epochs) == ("Running", [1, 2])


def test_the_old_pod_is_gone_before_the_new_one_comes() -> None:
    world = running(**{"spec.updatePolicy": "Immediate"})
    old = world.pod
    world.edit(**{"spec.capital.perTrade": "101"})
    decision = world.decide()
    assert [type(action) for action in decision.actions][:3] == [WriteStatus, Apply, StopPod]
    world.carry_out(decision.actions)
    assert world.pod is not None
    assert old is not None
    assert (world.pod.uid, world.pod.deleting) == (old.uid, True)
    world.carry_out(world.decide().actions)
    assert world.reason("PodReady") == reasons.POD_TERMINATING
    assert "--force" in next(c for c in world.status.conditions if c.type == "PodReady").message


@pytest.mark.parametrize(
    ("policy", "commands"), [("CancelOrders", ["cancel_orders"]), ("KeepOrders", []), ("Flatten", ["flatten"])]
)
def test_suspending_stops_first_and_deals_with_orders_once(policy: str, commands: list[str]) -> None:
    world = running(**{"spec.onSuspend": policy})
    world.edit(**{"spec.state": "Suspended"})
    world.carry_out(world.decide().actions)
    assert world.commands == []
    assert world.status.phase == "Suspending"
    world.settle()
    assert (world.commands, world.status.phase, world.pod) == (commands, "Suspended", None)
    world.done.clear()
    assert world.decide().actions == ()


def test_a_silent_gateway_keeps_it_suspending_and_says_so() -> None:
    world = running()
    world.answers = False
    world.edit(**{"spec.state": "Suspended"})
    world.settle()
    trading = next(condition for condition in world.status.conditions if condition.type == "TradingEnabled")
    assert (world.status.phase, trading.reason) == ("Suspending", reasons.SUSPENDING)
    assert "does not answer" in trading.message
    world.answers = True
    world.settle()
    assert world.status.phase == "Suspended"


def test_resuming_is_a_new_epoch_and_lifts_what_flattening_halted() -> None:
    world = running(**{"spec.onSuspend": "Flatten"})
    for round_, epoch in enumerate((2, 3), start=1):
        world.edit(**{"spec.state": "Suspended"})
        world.settle()
        world.edit(**{"spec.state": "Running"})
        world.settle()
        assert world.commands == ["flatten", "resume"] * round_
        assert (world.status.phase, world.epochs[-1]) == ("Running", epoch)


@pytest.mark.parametrize(("reason", "commands"), [("deleted", ["resume"]), ("suspended", ["resume"]), ("by hand", [])])
def test_what_flattening_another_of_its_name_has_left_halted_is_lifted_and_nothing_else(
    reason: str, commands: list[str]
) -> None:
    world = World()
    world.halted = reason
    world.settle()
    assert world.commands == commands


def test_a_resume_that_the_operators_end_cut_off_is_told_the_gateway_again() -> None:
    world = running(**{"spec.onSuspend": "Flatten"})
    world.edit(**{"spec.state": "Suspended"})
    world.settle()
    world.answers = False
    world.edit(**{"spec.state": "Running"})
    world.settle()
    assert world.reason("TradingEnabled") == reasons.RESUMING
    world.done.clear()
    world.answers = True
    world.settle()
    assert (world.commands[-1], world.reason("TradingEnabled")) == ("resume", reasons.TRADING)


@pytest.mark.parametrize(
    ("account", "mend"),
    [
        (False, "lift it with `christmas kill scalper --undo -n trading`"),
        (True, "lift it with `christmas kill broker/paper --undo -n trading`"),
    ],
)
def test_a_halt_names_the_command_that_lifts_it(account: bool, mend: str) -> None:
    observed = running().observed()
    assert observed.pod is not None
    waits = msgspec.structs.replace(observed.pod, ready=False, reason=reasons.POD_NOT_READY)
    word = GatewayWord(halted="drill", account_halted=account)
    status = status_of(msgspec.structs.replace(observed, pod=waits, gateway=word), "Keep", epoch=1, now=0.0)
    trading = next(condition for condition in status.conditions if condition.type == "TradingEnabled")
    assert (trading.status, trading.reason) == ("False", reasons.HALTED)
    assert trading.message == f"its gateway takes no entries: drill; {mend}"


def test_what_is_missing_blocks_a_start_and_leaves_what_runs() -> None:
    world = World()
    world.missing = Dependency(reason=reasons.BROKER_MISSING, message="there is no Broker paper")
    world.settle()
    assert (world.status.phase, world.owned, world.has_finalizer) == ("Pending", {}, False)
    world.missing = None
    world.settle()
    world.missing = Dependency(reason=reasons.BROKER_MISSING, message="there is no Broker paper")
    world.settle()
    assert world.pod is not None
    assert world.reason("Ready") == reasons.BROKER_MISSING


def test_an_invalid_change_leaves_the_running_pod_untouched() -> None:
    world = running(**{"spec.updatePolicy": "Immediate"})
    world.edit(**{"spec.capital.perTrade": "101"})
    world.findings = ("spec.rules.entry: unknown name foo",)
    world.settle()
    assert world.epochs == [1]
    assert world.reason("Accepted") == reasons.INVALID
    assert [tell.reason for tell in world.told if tell.severity == "Warning"] == [reasons.INVALID]


def test_a_permit_is_renewed_when_less_than_half_of_it_is_left() -> None:
    world = running()
    world.now += PERMIT_LASTS_S / 2 - 10
    assert world.decide().actions == ()
    world.now += 20
    [action] = world.decide().actions
    assert isinstance(action, Apply)
    assert (action.names, action.epoch, action.repairs) == ((SECRET,), 1, frozenset())


def test_drift_is_repaired_and_named_but_not_while_an_update_waits() -> None:
    world = running()
    world.owned[STATEFUL_SET] = msgspec.structs.replace(world.owned[STATEFUL_SET], fields="changed by hand")
    [action] = world.decide().actions
    assert isinstance(action, Apply)
    assert (action.names, action.repairs) == ((STATEFUL_SET,), frozenset({STATEFUL_SET}))
    world.edit(**{"spec.capital.perTrade": "101", "spec.updatePolicy": "Manual"})
    world.settle()
    assert world.owned[STATEFUL_SET].fields == "changed by hand"


def test_what_a_waiting_update_is_made_of_was_never_there_and_is_no_drift() -> None:
    world = running(**{"spec.updatePolicy": "Manual"})
    world.edit(**{"spec.capital.perTrade": "101"})
    world.settle()
    world.edit(**{"spec.state": "Suspended"})
    repairs = [action.repairs for action in world.decide().actions if isinstance(action, Apply)]
    assert repairs == [frozenset()]


def test_what_is_gone_is_made_again() -> None:
    world = running()
    for name in list(world.owned):
        lost = world.owned.pop(name)
        world.settle()
        assert world.owned[name].input_hash == lost.input_hash
    # A workload that was removed is a new start; everything else comes back under the running pod.
    assert world.status.epoch == 2


def test_what_earlier_versions_were_made_of_goes_when_the_present_one_is_up() -> None:
    world = running(**{"spec.updatePolicy": "Immediate"})
    world.edit(**{"spec.capital.perTrade": "101"})
    world.settle()
    assert len([name for name in world.owned if name.kind == "ConfigMap"]) == 1


def test_what_earlier_versions_were_made_of_goes_while_it_is_suspended_too() -> None:
    world = running()
    world.edit(**{"spec.state": "Suspended"})
    world.settle()
    for amount in ("101", "102", "103"):
        world.edit(**{"spec.capital.perTrade": amount})
        world.settle()
        assert len([name for name in world.owned if name.kind == "ConfigMap"]) == 1
    world.edit(**{"spec.state": "Running"})
    world.settle()
    assert world.status.phase == "Running"


def deleting(**changes: Any) -> World:
    world = running(**changes)
    world.deleted_at = world.now
    return world


def test_deletion_stops_then_cancels_then_lets_go() -> None:
    world = deleting()
    actions = world.decide().actions
    assert [type(action) for action in actions] == [WriteStatus, Remove, StopPod]
    world.settle()
    assert (world.commands, world.released) == (["cancel_orders"], True)
    assert world.status.phase == "Terminating"


def test_a_dead_gateway_does_not_block_deletion_for_ever() -> None:
    world = deleting()
    world.answers = False
    world.settle()
    assert not world.released
    world.now += 119
    world.settle()
    assert not world.released
    again = world.decide().look_again_s
    assert again is not None
    world.now += again + 1
    world.settle()
    assert world.released
    assert [tell.reason for tell in world.told if tell.severity == "Warning"] == [reasons.ORDERS_LEFT]


def test_a_pod_on_a_lost_node_does_not_keep_its_orders_from_being_cancelled() -> None:
    world = deleting()
    world.carry_out(world.decide().actions)
    assert AtGateway not in kinds(world)
    world.now += 61
    assert AtGateway in kinds(world)


def test_without_a_gateway_deletion_waits_only_for_the_pod() -> None:
    world = deleting()
    world.reachable = False
    world.settle()
    assert world.released
    assert world.told[-1].reason == reasons.ORDERS_LEFT


def test_what_was_suspended_is_deleted_without_its_gateway() -> None:
    world = running()
    world.edit(**{"spec.state": "Suspended"})
    world.settle()
    world.deleted_at, world.answers = world.now, False
    world.done.clear()
    world.settle()
    assert world.released
    assert reasons.ORDERS_LEFT not in [tell.reason for tell in world.told]


EDITS = st.sampled_from(
    [
        {"spec.capital.perTrade": "101"},
        {"spec.capital.perTrade": "102"},
        {"spec.state": "Suspended"},
        {"spec.state": "Running"},
        {"spec.onSuspend": "Flatten"},
        {"spec.onSuspend": "CancelOrders"},
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(EDITS, st.integers(0, 6)), max_size=6))
@example(
    [
        ({"spec.capital.perTrade": "101"}, 3),
        ({"spec.capital.perTrade": "102"}, 1),
        ({"spec.capital.perTrade": "101"}, 0),
    ]
)
def test_an_operator_that_dies_anywhere_goes_on_where_it_stopped(steps: list[tuple[dict[str, str], int]]) -> None:
    world = World(**{"spec.updatePolicy": "Immediate"})
    for edit, survived in steps:
        world.edit(**edit)
        world.carry_out(world.decide().actions[:survived])
        world.done.clear()
        world.controllers()
    world.settle(20)
    suspended = world.strategy.spec.state == "Suspended"
    assert world.status.phase == ("Suspended" if suspended else "Running")
    assert world.epochs == sorted(world.epochs)
    if not suspended:
        assert world.pod is not None
        assert world.pod.epoch == world.owned[SECRET].epoch
        # One that was written ahead, for an update that was taken back, is the next one's.
        assert world.status.epoch - world.pod.epoch in {0, 1}


def waiting(**changes: Any) -> World:
    """An update waits for being flat."""
    world = running(**{"spec.updatePolicy": "WhenFlat", **changes})
    world.flat = False
    world.edit(**{"spec.capital.perTrade": "101"})
    world.settle()
    assert world.reason("ConfigDrift") == reasons.WAITS_FOR_FLAT
    return world


def test_entries_are_held_before_an_update_and_taken_again_after_it() -> None:
    world = waiting()
    world.flat = True
    world.trades = True
    actions = world.decide().actions
    intention, told = actions[0], actions[1]
    assert isinstance(intention, WriteStatus)
    assert isinstance(intention.status, StrategyStatus)
    assert intention.status.reason_of("EntriesHeld") == reasons.HELD_FOR_UPDATE
    assert isinstance(told, AtGateway)
    assert (told.command, world.status.reason_of("EntriesHeld")) == ("hold", "")
    world.carry_out(actions[:1])
    # It opened a position before it was held: it goes on trading, and is not restarted.
    world.settle()
    assert (world.commands, world.stopped, world.held) == (["hold"], [], True)
    world.now += FLAT_WITHIN_S
    world.settle()
    assert (world.reason("EntriesHeld"), world.held, world.epochs) == (reasons.NOT_FLAT_IN_TIME, False, [1])
    assert world.reason("ConfigDrift") == reasons.WAITS_FOR_FLAT
    world.trades, world.flat = False, True
    world.settle()
    assert world.commands == ["hold", "release"]
    world.now += PAUSE_S
    world.settle()
    assert world.commands == ["hold", "release", "hold", "release"]
    assert (world.epochs, world.stopped, world.held) == ([1, 2], [("Running", True)], False)
    assert (world.reason("EntriesHeld"), world.status.phase) == ("", "Running")


def test_a_silent_gateway_ends_the_attempt_and_nothing_is_restarted() -> None:
    world = waiting()
    world.flat = True
    world.carry_out(world.decide().actions)
    world.answers = False
    world.now += FLAT_WITHIN_S
    world.settle()
    held = next(condition for condition in world.status.conditions if condition.type == "EntriesHeld")
    assert (held.status, held.reason, world.epochs) == ("False", reasons.NOT_FLAT_IN_TIME, [1])
    assert "does not answer" in held.message


def test_a_hold_without_an_intention_is_lifted() -> None:
    world = running()
    world.flat, world.held_until = True, world.now + 100
    world.settle()
    assert (world.commands, world.held) == (["release"], False)


@pytest.mark.parametrize("policy", ["WhenFlat", "Immediate"])
def test_an_update_waits_for_its_turn_and_says_so(policy: str) -> None:
    world = running(**{"spec.updatePolicy": policy})
    world.flat, world.turn = True, "None"
    world.edit(**{"spec.capital.perTrade": "101"})
    assert world.decide().claim == "Wants"
    world.turn = "InLine"
    world.settle()
    assert (world.epochs, world.commands, world.reason("ConfigDrift")) == ([1], [], reasons.WAITS_FOR_TURN)
    assert world.decide().claim == "Keeps"
    assert AskExposure not in kinds(world)
    world.turn = "Granted"
    world.settle()
    assert (world.epochs, world.reason("ConfigDrift"), world.decide().claim) == ([1, 2], "", "None")


def test_the_users_command_and_a_failed_pod_need_no_turn() -> None:
    world = running(**{"spec.updatePolicy": "Immediate"})
    world.turn = "InLine"
    world.edit(**{"spec.capital.perTrade": "101"})
    world.apply_now = "2"
    world.settle()
    assert world.epochs == [1, 2]


MOVES = st.sampled_from(
    ["enters", "exits", "silent", "answers", "later", "much later", "edit", "revert", "stop", "run"]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(MOVES, st.integers(0, 5)), max_size=14))
def test_an_update_that_waits_for_flat_never_stops_an_open_position(steps: list[tuple[str, int]]) -> None:
    """The operator dies after some of its actions, and the market moves between any two of them."""
    world = running(**{"spec.updatePolicy": "WhenFlat"})
    world.flat = True
    for move, survived in steps:
        match move:
            case "enters" | "exits":
                world.trades = move == "enters"
                if move == "exits":
                    world.flat = True
            case "silent" | "answers":
                world.answers = move == "answers"
            case "later" | "much later":
                world.now += 20.0 if move == "later" else 150.0
            case "edit" | "revert":
                world.edit(**{"spec.capital.perTrade": "101" if move == "edit" else "100"})
            case _:
                world.edit(**{"spec.state": "Running" if move == "run" else "Suspended"})
        world.market()
        world.carry_out(world.decide().actions[:survived])
        world.done.clear()
        if survived % 2:
            world.controllers()
    world.answers, world.trades, world.flat = True, False, True
    world.edit(**{"spec.state": "Running"})
    for _ in range(40):
        decision = world.decide()
        world.carry_out(decision.actions)
        world.controllers()
        world.now += 10.0
    assert [flat for state, flat in world.stopped if state == "Running"].count(False) == 0
    assert (world.held, world.reason("EntriesHeld"), world.status.phase) == (False, "", "Running")
    assert world.decide().actions == ()
