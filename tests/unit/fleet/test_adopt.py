from __future__ import annotations

import msgspec

from christmas.fleet.adopt import adopt, with_state
from christmas.fleet.session import Session
from christmas.fleet.wants import DATABASE, RECORDER, REDIS, gateway, runtime, strategy_digest, wants_of
from tests.unit.resources.test_validate import BROKER, STRATEGY, with_spec


def test_a_new_manifest_gets_an_identity() -> None:
    kept, change = adopt(STRATEGY, None, uid="u1", now="2026-01-01T00:00:00+00:00")
    assert change == "created"
    assert (kept.metadata.uid, kept.metadata.generation) == ("u1", 1)


def test_the_same_again_changes_nothing_not_even_a_suspension_by_hand() -> None:
    kept, _ = adopt(STRATEGY, None, uid="u1", now="now")
    suspended = with_state(kept, "Suspended")
    again, change = adopt(STRATEGY, suspended, uid="u2", now="later")
    assert change == "unchanged"
    assert again.spec.state == "Suspended"


def test_a_changed_manifest_keeps_its_identity_and_says_what_runs() -> None:
    kept, _ = adopt(STRATEGY, None, uid="u1", now="now")
    changed, change = adopt(with_spec(timeframe="1s"), with_state(kept, "Suspended"), uid="u2", now="later")
    assert change == "configured"
    assert (changed.metadata.uid, changed.metadata.generation) == ("u1", 3)
    assert changed.metadata.creation_timestamp == "now"
    assert changed.spec.state == "Running"


def test_how_it_is_stopped_is_no_reason_to_restart_it() -> None:
    same = with_spec(state="Suspended", update_policy="Manual", on_suspend="Flatten")
    assert strategy_digest(same) == strategy_digest(STRATEGY)
    assert strategy_digest(with_spec(timeframe="1s")) != strategy_digest(STRATEGY)


def test_processes_that_manifests_ask_for() -> None:
    wants = {want.key: want for want in wants_of([STRATEGY], [BROKER], stores=[REDIS, DATABASE])}
    assert set(wants) == {REDIS, DATABASE, RECORDER, gateway("paper"), runtime("scalper")}
    # Trading waits for no database: only the recorder does.
    assert wants[gateway("paper")].needs == (REDIS,)
    assert wants[runtime("scalper")].needs == (gateway("paper"),)
    assert DATABASE in wants[RECORDER].needs


def test_a_strategy_without_its_broker_does_not_wait_to_be_wound_down() -> None:
    (want,) = (w for w in wants_of([STRATEGY], [], stores=[], deleting=frozenset({"scalper"})) if w.forget)
    assert want.on_stop == "KeepOrders"


def test_a_replays_identities_are_functions_of_it() -> None:
    session = Session(redis_url="", database_url="", session_id="replay-1", replay_id="1")
    other = msgspec.structs.replace(session, replay_id="2")
    assert session.market("paper") == "paper.1"
    assert session.fixed_uid("a") == other.fixed_uid("a"), "a market cut short is another replay, with the same ids"
    assert session.fixed_uid("a") != session.fixed_uid("b")
    live = Session(redis_url="", database_url="", session_id="local-1")
    assert (live.market("paper"), live.fixed_uid("a")) == ("paper", None)
