"""Conditions as the Kubernetes API conventions want them: true to a generation, dated by their last turn. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from christmas_operator.reasons import ConditionType

Truth = Literal["True", "False", "Unknown"]
_MESSAGE_MAXIMUM: Final = 1024


class Condition(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    type: str
    status: Truth
    reason: str
    message: str = ""
    observed_generation: int = 0
    last_transition_time: str = ""


def condition(kind: ConditionType, holds: bool | None, reason: str, message: str = "") -> Condition:
    """``holds`` None: nobody knows."""
    status: Truth = "Unknown" if holds is None else ("True" if holds else "False")
    if len(message) > _MESSAGE_MAXIMUM:
        message = message[: _MESSAGE_MAXIMUM - 1] + "…"
    return Condition(type=kind, status=status, reason=reason, message=message)


def stamp(seconds: float) -> str:
    """A Kubernetes time of UTC seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def turned(
    wanted: Iterable[Condition], before: Mapping[str, Condition], *, generation: int, now: float
) -> tuple[Condition, ...]:
    """``wanted`` with the times of ``before`` where their status has not changed."""
    time = stamp(now)
    dated = []
    for new in wanted:
        old = before.get(new.type)
        since = old.last_transition_time if old is not None and old.status == new.status else time
        dated.append(msgspec.structs.replace(new, observed_generation=generation, last_transition_time=since or time))
    return tuple(dated)


def by_type(conditions: Iterable[Condition]) -> dict[str, Condition]:
    return {item.type: item for item in conditions}


def first_false(conditions: Iterable[Condition]) -> Condition | None:
    """What is to be mended first."""
    return next((item for item in conditions if item.status != "True"), None)
