"""The hold before an update that waits for being flat: what is flat must stay so until its pod has stopped.

The gateway takes no entries of a held Strategy (exits it takes), beside any halt of the user's. The intention is the
condition EntriesHeld, written before the gateway is told, and taken back after the gateway no longer holds: whichever
operator comes next goes on from there. A hold that everybody forgets ends by itself (`HOLD_LASTS_S`). Pure.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from christmas.brokers.admin import HOLD_LASTS_S
from christmas_operator import reasons
from christmas_operator.conditions import Condition, by_type, condition
from christmas_operator.kube.views import seconds
from christmas_operator.strategies.observed import Observed
from christmas_operator.strategies.situation import Course, is_current, is_held

FLAT_WITHIN_S: Final = 30.0
"""Who is flat when it is held has no more than its last orders to lose; who is not by then trades on."""
PAUSE_S: Final = 60.0
"""Between two attempts: entries of a Strategy must not be held most of the time."""
OVER_AFTER_S: Final = FLAT_WITHIN_S + HOLD_LASTS_S + 15.0
"""Whatever the gateway does not tell: a hold that was told by the deadline is over by then."""
LOOK_AGAIN_S: Final = 2.0


class Hold(NamedTuple):
    """What becomes of the intention, and what the gateway is to be told."""

    condition: Condition | None = None
    command: Literal["hold", "release"] | None = None
    look_again_s: float | None = None


def hold_of(observed: Observed, course: Course, now: float) -> Hold:
    """``now``: UTC seconds."""
    known = by_type(observed.status.conditions).get("EntriesHeld")
    waits = course == "Wait" and observed.spec is not None and observed.spec.update_policy == "WhenFlat"
    if known is None:
        return _without(observed, waits=waits)
    # A time that nobody can read is as good as long ago: the hold is lifted.
    age_s = now - (seconds(known.last_transition_time) or 0.0)
    if known.status != "True":
        return _paused(observed, known, age_s, waits=waits)
    if waits:
        return _waiting(observed, age_s)
    return _after(observed, course, age_s)


def _without(observed: Observed, *, waits: bool) -> Hold:
    if waits:
        return _begin() if _may_begin(observed) else Hold()
    # One that was told late, or for a Strategy of this name that exists no longer.
    return Hold(None, "release") if observed.gateway.held else Hold()


def _paused(observed: Observed, known: Condition, age_s: float, *, waits: bool) -> Hold:
    command: Literal["release"] | None = "release" if observed.gateway.held else None
    if not waits:
        over = age_s >= OVER_AFTER_S or (observed.gateway.flat is not None and not observed.gateway.held)
        return Hold() if over else Hold(known, "release", LOOK_AGAIN_S)
    if age_s >= PAUSE_S and _may_begin(observed):
        return _begin()
    return Hold(known, command, max(LOOK_AGAIN_S, PAUSE_S - age_s))


def _waiting(observed: Observed, age_s: float) -> Hold:
    if age_s < FLAT_WITHIN_S:
        command: Literal["hold"] | None = None if observed.gateway.held else "hold"
        return Hold(_held(reasons.HELD_FOR_UPDATE), command, LOOK_AGAIN_S)
    why = observed.gateway.silent or "it was not flat"
    message = f"not updated within {FLAT_WITHIN_S:.0f} s ({why}); it trades on, and is tried again when it is flat"
    return Hold(condition("EntriesHeld", False, reasons.NOT_FLAT_IN_TIME, message), "release", LOOK_AGAIN_S)


def _after(observed: Observed, course: Course, age_s: float) -> Hold:
    if age_s >= OVER_AFTER_S:
        return Hold()
    if course in {"Roll", "Replace"} or (course == "Keep" and not is_current(observed)):
        return Hold(_held(reasons.HELD_FOR_UPDATE), None, LOOK_AGAIN_S)
    if observed.gateway.flat is not None and not observed.gateway.held:
        return Hold()
    return Hold(_held(reasons.LIFTING_HOLD), "release", LOOK_AGAIN_S)


def _may_begin(observed: Observed) -> bool:
    return observed.gateway.flat is True and observed.turn == "Granted" and not is_held(observed)


def _begin() -> Hold:
    return Hold(_held(reasons.HELD_FOR_UPDATE), "hold", LOOK_AGAIN_S)


def _held(reason: str) -> Condition:
    words = {
        reasons.HELD_FOR_UPDATE: "its gateway takes no entries until its pod is another, at most two minutes",
        reasons.LIFTING_HOLD: "its gateway is asked to take entries again",
    }
    return condition("EntriesHeld", True, reason, words[reason])
