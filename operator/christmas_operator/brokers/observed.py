"""All that is known about one Broker at one moment."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from christmas.resources.broker import BrokerSpec
from christmas_operator.brokers.status import BrokerStatus
from christmas_operator.keys import ObjectName
from christmas_operator.kube.views import Owned, Pod
from christmas_operator.plan import Plan


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    namespace: str
    name: str
    uid: str
    generation: int
    deleted_at: float | None = None
    spec: BrokerSpec | None = None
    """None: it cannot be read, ``findings`` says why."""
    findings: tuple[str, ...] = ()
    status: BrokerStatus = BrokerStatus()
    plan: Plan | None = None
    """None: it cannot be read, or the stores are not there."""
    owned: Mapping[ObjectName, Owned] = {}
    expected: Mapping[ObjectName, str | None] = {}
    """Digest of the fields that are ours after an apply, by object; None: not learnt yet."""
    repairable: frozenset[ObjectName] = frozenset()
    """Objects whose drift may be repaired now."""
    pod: Pod | None = None
    strategies: int = 0
    address: str = ""
    has_key: bool = False
    blocked: str = ""
    """Why its gateway takes no orders, as it tells itself."""
    feed_silent: str = ""
    """Why it takes no entries, as it tells itself: no prices come."""
    failure: str = ""
    """Why the last apply did not succeed."""
