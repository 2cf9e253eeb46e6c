"""Events and lists as kopf hands them out, lost ones included."""

from __future__ import annotations

from typing import Any, cast

import pytest

from christmas_operator.actions import ReleaseFinalizer
from christmas_operator.cache import Cache
from christmas_operator.execute import Executor, Work
from christmas_operator.gateways import Gateways
from christmas_operator.informer.canary import DEAD_AFTER_S, Canary
from christmas_operator.informer.intake import Intake
from christmas_operator.informer.listings import Listing, watched_collection
from christmas_operator.keys import Key
from christmas_operator.kube.kinds import BROKER, CONFIG_MAP, POD, SECRET, STATEFUL_SET, STRATEGY, Kind
from christmas_operator.observe import FINALIZER

SCALPER, PAPER = Key("Strategy", "trading", "scalper"), Key("Broker", "trading", "paper")


def body(name: str, version: int = 1, uid: str = "", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "trading", "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": {**metadata, **more.pop("metadata", {})}, **more}


def strategy(version: int = 1, **more: Any) -> dict[str, Any]:
    return body("scalper", version, metadata={"generation": 1}, spec={"brokerRef": {"name": "paper"}}, **more)


def made_for(labels: dict[str, str], name: str, version: int = 1, **more: Any) -> dict[str, Any]:
    return body(name, version, metadata={"labels": labels}, **more)


RUNTIME = {"christmas.dev/strategy": "scalper", "christmas.dev/broker": "paper"}
GATEWAY = {"christmas.dev/broker": "paper"}
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Setup:
    def __init__(self, *kinds: Kind) -> None:
        self.cache = Cache()
        self.clock = Clock()
        self.canary = Canary(self.clock)
        self.woken: list[Key] = []
        self.intake = Intake(self.cache, self.canary, self._wake, [(kind.kind, None) for kind in kinds])

    def _wake(self, key: Key, _lane: str) -> None:
        self.woken.append(key)

    def take_woken(self) -> list[Key]:
        woken, self.woken = self.woken, []
        return woken


def listing(kind: Kind, *names: str, version: int = 100) -> Listing:
    return Listing(kind, None, frozenset(f"uid-{name}" for name in names), version)


def test_it_is_synced_when_all_that_was_listed_has_arrived() -> None:
    setup = Setup(STRATEGY, CONFIG_MAP)
    setup.intake.listed(listing(CONFIG_MAP))
    setup.intake.listed(listing(STRATEGY, "scalper"))
    assert not setup.intake.synced
    assert setup.intake.waits_for == "reading Strategy"
    setup.intake.event(STRATEGY, None, strategy())
    assert setup.intake.synced


def test_what_a_later_list_lacks_is_gone_but_not_what_is_younger_than_it() -> None:
    setup = Setup(STRATEGY, CONFIG_MAP)
    setup.intake.event(CONFIG_MAP, None, made_for(RUNTIME, "old", 5))
    setup.intake.event(CONFIG_MAP, "ADDED", made_for(RUNTIME, "young", 150))
    setup.take_woken()
    setup.intake.listed(listing(CONFIG_MAP, version=100))
    assert setup.cache.owned("ConfigMap", "trading", "old") is None
    assert setup.cache.owned("ConfigMap", "trading", "young") is not None
    assert setup.take_woken() == [SCALPER]


def test_an_echo_of_our_own_write_and_a_stale_event_wake_nobody() -> None:
    setup = Setup()
    setup.intake.event(SECRET, "ADDED", made_for(RUNTIME, "strategy-scalper", 7))
    assert setup.take_woken() == [SCALPER]
    setup.intake.event(SECRET, "MODIFIED", made_for(RUNTIME, "strategy-scalper", 7))
    setup.intake.event(SECRET, "MODIFIED", made_for(RUNTIME, "strategy-scalper", 6))
    setup.intake.event(STATEFUL_SET, "ADDED", made_for(RUNTIME, "strategy-scalper", 8))
    setup.take_woken()
    # The StatefulSet's controller writes its status: nothing that we look at.
    setup.intake.event(
        STATEFUL_SET, "MODIFIED", made_for(RUNTIME, "strategy-scalper", 9, status={"observedGeneration": 1})
    )
    assert setup.take_woken() == []


def test_strategies_hear_of_their_broker_what_matters_to_them_and_no_more() -> None:
    setup = Setup()
    setup.intake.event(BROKER, "ADDED", body("paper", 1, metadata={"generation": 1}))
    setup.intake.event(STRATEGY, "ADDED", strategy())
    setup.take_woken()
    setup.intake.event(BROKER, "MODIFIED", body("paper", 2, metadata={"generation": 1}, status={"strategies": 1}))
    assert setup.take_woken() == [PAPER]
    setup.intake.event(BROKER, "MODIFIED", body("paper", 3, metadata={"generation": 2}))
    assert setup.take_woken() == [PAPER, SCALPER]
    setup.intake.event(POD, "ADDED", made_for(GATEWAY, "gateway-paper-0", 4))
    setup.take_woken()
    setup.intake.event(POD, "MODIFIED", made_for(GATEWAY, "gateway-paper-0", 5, spec={"nodeName": "node1"}))
    assert setup.take_woken() == [PAPER]
    setup.intake.event(POD, "MODIFIED", made_for(GATEWAY, "gateway-paper-0", 6, status=READY))
    assert setup.take_woken() == [PAPER, SCALPER]
    setup.intake.event(SECRET, "ADDED", made_for(GATEWAY, "gateway-paper-permit-key", 7))
    assert setup.take_woken() == [PAPER, SCALPER]


def test_a_namesake_is_another_object() -> None:
    setup = Setup()
    setup.intake.event(STRATEGY, "ADDED", strategy(5, uid="first"))
    setup.intake.event(STRATEGY, "ADDED", strategy(9, uid="second"))
    setup.intake.event(STRATEGY, "DELETED", strategy(8, uid="first"))
    found = setup.cache.resource(SCALPER)
    assert found is not None
    assert found.uid == "second"


async def test_an_answer_that_comes_after_the_deletion_it_brought_about_brings_nothing_back() -> None:
    setup = Setup()
    last = {"finalizers": [FINALIZER], "deletionTimestamp": "2026-11-23T05:00:00Z", "generation": 2}
    setup.intake.event(STRATEGY, "MODIFIED", body("scalper", 5, metadata=last, spec={"brokerRef": {"name": "paper"}}))
    resource = setup.cache.resource(SCALPER)
    assert resource is not None

    class FasterWatch:
        async def patch(self, *_: object) -> dict[str, Any]:
            gone = body("scalper", 9, metadata={**last, "finalizers": []}, spec={"brokerRef": {"name": "paper"}})
            setup.intake.event(STRATEGY, "DELETED", gone)
            return gone

    others: dict[str, Any] = dict.fromkeys(("drift", "events", "permit_keys"))
    executor = Executor(
        api=cast(Any, FasterWatch()),
        cache=setup.cache,
        canary=setup.canary,
        gateways=Gateways(cast(Any, None), lambda _key: None),
        **others,
    )
    work = Work(key=SCALPER, resource=resource, broker=PAPER, plan=None, context=None)
    await executor.carry_out([ReleaseFinalizer()], work)
    assert setup.cache.resource(SCALPER) is None
    assert not setup.cache.strategies_of("trading", "paper")
    setup.clock.now += DEAD_AFTER_S + 1
    assert setup.canary.trouble is None


def test_a_write_that_no_watch_shows_is_a_dead_watch() -> None:
    setup = Setup()
    setup.canary.wrote("Strategy", "uid-scalper", 9, 5)
    setup.intake.event(STRATEGY, "MODIFIED", strategy(8))
    setup.clock.now += DEAD_AFTER_S + 1
    assert setup.canary.trouble is not None
    assert "Strategy" in setup.canary.trouble
    setup.intake.event(STRATEGY, "MODIFIED", strategy(9))
    assert setup.canary.lag_s == 0.0
    setup.canary.wrote("Strategy", "uid-scalper", 10, 9)
    setup.intake.event(STRATEGY, "DELETED", strategy(11))
    setup.clock.now += DEAD_AFTER_S + 1
    assert setup.canary.trouble is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/namespaces/trading/secrets", (SECRET, "trading")),
        ("/api/v1/pods", (POD, None)),
        ("/apis/christmas.dev/v1alpha1/strategies", (STRATEGY, None)),
        ("/apis/apps/v1/namespaces/trading/statefulsets", (STATEFUL_SET, "trading")),
        ("/api/v1/namespaces/trading/secrets/one", None),
        ("/apis/christmas.dev/v1alpha1/namespaces/trading/strategies/one/status", None),
        ("/api/v1/namespaces", None),
        ("/apis", None),
    ],
)
def test_collections_are_told_by_their_paths(path: str, expected: object) -> None:
    assert watched_collection(path) == expected
