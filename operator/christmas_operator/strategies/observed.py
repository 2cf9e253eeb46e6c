"""All that is known about one Strategy at one moment."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from christmas.resources.strategy import StrategySpec
from christmas_operator.keys import ObjectName
from christmas_operator.kube.views import Owned, Pod
from christmas_operator.plan import Plan
from christmas_operator.rolls import Turn
from christmas_operator.strategies.status import StrategyStatus


class GatewayWord(msgspec.Struct, frozen=True, kw_only=True):
    """What the Strategy's gateway has told about it."""

    flat: bool | None = None
    """No position and no order; None: not told lately."""
    held: bool = False
    """It takes no entries of this Strategy for the sake of an update; told in one breath with ``flat``."""
    halted: str = ""
    """Why it takes no entries of this Strategy; empty: it takes them."""
    account_halted: bool = False
    """It takes none of anybody: ``halted`` says why."""
    blocked: str = ""
    """Why it takes no orders of anybody."""
    feed_silent: str = ""
    """Why it takes no entries of anybody: it is told no prices."""
    silent: str = ""
    """Why the last command was not answered."""
    done: frozenset[str] = frozenset()
    """Commands that it has carried out for the present epoch."""


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """What a Strategy needs and does not have: the first thing to mend."""

    reason: str
    message: str
    blocks: bool = True
    """Nothing can be started without it; otherwise the pod waits for it by itself."""


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    namespace: str
    name: str
    uid: str
    generation: int
    has_finalizer: bool
    deleted_at: float | None = None
    apply_now: str = ""
    spec: StrategySpec | None = None
    """None: it cannot be read, ``findings`` says why."""
    findings: tuple[str, ...] = ()
    status: StrategyStatus = StrategyStatus()
    missing: Dependency | None = None
    can_reach_gateway: bool = True
    """There is a gateway, and a key for it."""
    plan: Plan | None = None
    """None: nothing can be built without what is missing."""
    owned: Mapping[ObjectName, Owned] = {}
    expected: Mapping[ObjectName, str | None] = {}
    """Digest of the fields that are ours after an apply, by object; None: not learnt yet."""
    repairable: frozenset[ObjectName] = frozenset()
    """Objects whose drift may be repaired now: one that is changed again and again has to wait longer and longer."""
    pod: Pod | None = None
    gateway: GatewayWord = GatewayWord()
    failure: str = ""
    """Why the last apply did not succeed."""
    turn: Turn = "None"
    """Whether it may restart its pod now, see `Rolls`."""
    rolls_at_once: int = 5
    """For the words about those that have to wait."""
    permit_key: str = ""
    """Which key its permit is to be signed with; empty: there is none."""
