from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from christmas.fleet.decide import (
    Action,
    Forget,
    Key,
    Seen,
    Start,
    Stop,
    Want,
    WindDown,
    decide,
    drifted,
    phase,
)

REDIS, GATEWAY, RUNTIME = Key("store", "valkey"), Key("gateway", "paper"), Key("runtime", "scalper")
NOW = 100.0
READY = Seen(state="Running", digest="1", ready=True, was_ready=True)


def want(**changes: object) -> Want:
    return msgspec.structs.replace(
        Want(key=RUNTIME, digest="1", needs=(GATEWAY,), update="WhenFlat", on_stop="CancelOrders"), **changes
    )


def decided(wanted: Want, found: Seen | None, *, gateway: Seen = READY) -> list[Action]:
    seen = {GATEWAY: gateway}
    if found is not None:
        seen[RUNTIME] = found
    return decide([Want(key=GATEWAY, digest="1"), wanted], seen, NOW)


def test_a_runtime_starts_when_its_gateway_is_ready() -> None:
    assert decided(want(), None, gateway=Seen(state="Running", digest="1")) == []
    assert decided(want(), None) == [Start(RUNTIME)]


def test_what_runs_as_wanted_is_left_alone() -> None:
    assert decided(want(), READY) == []


def test_what_runs_is_left_alone_when_its_gateway_goes() -> None:
    assert decided(want(), READY, gateway=Seen(state="Exited", retry_at=NOW + 1)) == []


def test_what_failed_is_started_again_after_its_wait() -> None:
    failed = Seen(state="Exited", digest="1", failures=1, retry_at=NOW + 1)
    assert decided(want(), failed) == []
    assert decided(want(), msgspec.structs.replace(failed, retry_at=NOW)) == [Start(RUNTIME)]


@pytest.mark.parametrize(
    ("policy", "flat", "stops"),
    [
        ("WhenFlat", True, True),
        ("WhenFlat", False, False),
        ("WhenFlat", None, False),
        ("Immediate", False, True),
        ("Manual", True, False),
    ],
)
def test_a_changed_manifest_restarts_only_as_its_policy_says(policy: str, flat: bool | None, stops: bool) -> None:
    changed, found = want(digest="2", update=policy), msgspec.structs.replace(READY, flat=flat)
    assert decided(changed, found) == ([Stop(RUNTIME, "its manifest changed")] if stops else [])
    assert drifted(changed, found)


def test_a_manual_update_is_taken_when_it_was_down_anyway() -> None:
    assert decided(want(digest="2", update="Manual"), Seen(state="Exited", digest="1")) == [Start(RUNTIME)]


def test_what_ended_stays_down_until_its_manifest_changes() -> None:
    ended = Seen(state="Ended", digest="1")
    assert decided(want(), ended) == []
    assert decided(want(digest="2"), ended) == [Start(RUNTIME)]


@pytest.mark.parametrize(("on_stop", "action"), [("CancelOrders", "cancel_orders"), ("Flatten", "flatten")])
def test_a_suspension_stops_first_and_then_deals_with_orders_once(on_stop: str, action: str) -> None:
    suspended = want(run=False, on_stop=on_stop)
    assert decided(suspended, READY) == [Stop(RUNTIME, "suspended")]
    assert decided(suspended, Seen(state="Stopping")) == []
    assert decided(suspended, Seen(state="Exited")) == [(RUNTIME, action)]
    assert decided(suspended, Seen(state="Exited", wound_down=True)) == []


def test_a_suspension_that_keeps_orders_only_stops() -> None:
    assert decided(want(run=False, on_stop="KeepOrders"), Seen(state="Exited")) == []


def test_winding_down_waits_for_the_gateway() -> None:
    assert decided(want(run=False), Seen(state="Exited"), gateway=Seen(state="Exited", retry_at=NOW + 1)) == []


def test_what_is_deleted_is_forgotten_only_when_it_is_wound_down() -> None:
    deleted = want(run=False, forget=True)
    assert decided(deleted, READY) == [Stop(RUNTIME, "deleted")]
    assert decided(deleted, Seen(state="Exited")) == [WindDown(RUNTIME, "cancel_orders")]
    assert decided(deleted, Seen(state="Exited", wound_down=True)) == [Forget(RUNTIME)]


def test_what_no_manifest_asks_for_is_stopped() -> None:
    assert decide([], {GATEWAY: READY}, NOW) == [Stop(GATEWAY, "no manifest asks for it")]


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        (want(), Seen(), "Pending"),
        (want(), Seen(state="Running"), "Starting"),
        (want(), Seen(state="Running", was_ready=True), "Running"),
        (want(), Seen(state="Running", failures=3), "CrashLoopBackOff"),
        (want(), Seen(state="Running", failures=3, was_ready=True), "Running"),
        (want(), Seen(state="Exited", failures=1), "Error"),
        (want(), Seen(state="Exited", failures=3), "CrashLoopBackOff"),
        (want(), Seen(state="Exited", failures=1, oom=True), "OOMKilled"),
        (want(), Seen(state="Ended"), "Ended"),
        (want(run=False), Seen(state="Stopping"), "Suspending"),
        (want(run=False), Seen(state="Exited"), "Suspending"),
        (want(run=False), Seen(state="Exited", wound_down=True), "Suspended"),
        (want(run=False, forget=True), Seen(state="Exited"), "Deleting"),
    ],
)
def test_phases(wanted: Want, found: Seen, expected: str) -> None:
    assert phase(wanted, found) == expected


# --- whatever the manifests and wherever it starts, what runs becomes what is wanted -------------------

wants = st.builds(
    want,
    run=st.booleans(),
    digest=st.sampled_from("12"),
    update=st.sampled_from(["WhenFlat", "Immediate", "Manual"]),
    on_stop=st.sampled_from(["CancelOrders", "KeepOrders", "Flatten"]),
    forget=st.booleans(),
).map(lambda made: msgspec.structs.replace(made, forget=made.forget and not made.run))
observations = st.builds(
    Seen,
    state=st.sampled_from(["Absent", "Running", "Stopping", "Exited"]),
    digest=st.sampled_from("12"),
    ready=st.booleans(),
    flat=st.sampled_from([True, False, None]),
    failures=st.integers(0, 5),
    retry_at=st.floats(0, 200),
    wound_down=st.booleans(),
)


def carry_out(actions: Sequence[Action], seen: dict[Key, Seen], wanted: dict[Key, Want]) -> None:
    """A machine on which everything works: by the next look what starts is ready, and what stops is gone."""
    for key, found in list(seen.items()):
        if found.state == "Running":
            seen[key] = msgspec.structs.replace(found, ready=True)
        if found.state == "Stopping":
            seen[key] = Seen(state="Exited", wound_down=False)
    for action in actions:
        match action:
            case Start(key):
                seen[key] = Seen(state="Running", digest=wanted[key].digest, ready=True, was_ready=True, flat=True)
            case Stop(key, _):
                seen[key] = msgspec.structs.replace(seen[key], state="Stopping", ready=False)
            case WindDown(key, _):
                seen[key] = msgspec.structs.replace(seen[key], wound_down=True)
            case Forget(key):
                del seen[key]
                del wanted[key]


@settings(max_examples=200)
@given(wants, observations, observations)
def test_it_comes_to_rest_as_wanted(runtime: Want, found: Seen, gateway: Seen) -> None:
    wanted = {GATEWAY: Want(key=GATEWAY, digest="1"), RUNTIME: runtime}
    seen, now = {RUNTIME: found, GATEWAY: gateway}, NOW
    actions: list[Action] = []
    for _ in range(12):
        now += 50
        actions = decide(list(wanted.values()), seen, now)
        keys = [action.key for action in actions]
        assert len(keys) == len(set(keys)), "two actions on one process"
        carry_out(actions, seen, wanted)
    assert actions == []
    if runtime.forget:
        assert RUNTIME not in wanted
    elif runtime.run:
        assert seen[RUNTIME].state == "Running"
        held = runtime.update == "Manual" or (runtime.update == "WhenFlat" and seen[RUNTIME].flat is not True)
        assert seen[RUNTIME].digest == runtime.digest or held
    else:
        assert seen[RUNTIME].state in {"Absent", "Exited"}
        assert seen[RUNTIME].wound_down or runtime.on_stop == "KeepOrders"
