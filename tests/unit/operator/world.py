"""A cluster in a few lines: carries out what is decided about one Strategy, and does what controllers would do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from christmas.brokers.admin import HOLD_LASTS_S
from christmas.resources.strategy import Strategy
from christmas_operator.actions import (
    Action,
    AddFinalizer,
    Apply,
    AtGateway,
    Decision,
    ReleaseFinalizer,
    Remove,
    StopPod,
    Tell,
    WriteStatus,
)
from christmas_operator.keys import Key, ObjectName
from christmas_operator.kube.views import Owned, Pod
from christmas_operator.manifests.strategy import strategy_objects
from christmas_operator.plan import plan
from christmas_operator.rolls import Turn
from christmas_operator.strategies.decide import PERMIT_LASTS_S, decide
from christmas_operator.strategies.observed import Dependency, GatewayWord, Observed
from christmas_operator.strategies.situation import course_of
from christmas_operator.strategies.status import StrategyStatus
from tests.unit.operator.built import context, owner, strategy

NOW = 1_800_000_000.0
STATEFUL_SET = ObjectName("StatefulSet", "strategy-scalper")
SECRET = ObjectName("Secret", "strategy-scalper")
FIELDS = "as applied"


class World:
    def __init__(self, **changes: Any) -> None:
        self.changes: dict[str, Any] = {"metadata.name": "scalper", **changes}
        self.generation = 1
        self.status = StrategyStatus()
        self.owned: dict[ObjectName, Owned] = {}
        self.pod: Pod | None = None
        self.has_finalizer = False
        self.deleted_at: float | None = None
        self.missing: Dependency | None = None
        self.reachable = True
        self.flat: bool | None = None
        self.held_until = 0.0
        self.trades = False
        """Whether a position is opened wherever the gateway takes entries."""
        self.turn: Turn = "Granted"
        self.done: set[tuple[str, int]] = set()
        self.answers = True
        self.apply_now = ""
        self.told: list[Tell] = []
        self.commands: list[str] = []
        self.epochs: list[int] = []
        """Of each pod that was made."""
        self.pods = 0
        self.stopped: list[tuple[str, bool | None]] = []
        """For each pod that was told to stop: the wanted state, and whether it was flat."""
        self.now = NOW
        self.findings: tuple[str, ...] = ()
        self.released = False
        self.failing = ""
        self.halted = ""
        """Why its gateway takes no entries of it."""

    @property
    def strategy(self) -> Strategy:
        return strategy(**self.changes)

    def edit(self, **changes: Any) -> None:
        self.changes |= changes
        self.generation += 1

    @property
    def held(self) -> bool:
        return self.now < self.held_until

    def market(self) -> None:
        """What a running Strategy may do at any moment."""
        if self.trades and self.pod is not None and not self.held:
            self.flat = False

    def observed(self) -> Observed:
        model = self.strategy
        made = plan(strategy_objects(model, context(), permit="", owner=owner(model)), salt="key", epochs=True)
        return Observed(
            namespace="trading",
            name="scalper",
            uid="uid",
            generation=self.generation,
            has_finalizer=self.has_finalizer,
            deleted_at=self.deleted_at,
            apply_now=self.apply_now,
            spec=model.spec,
            findings=self.findings,
            status=self.status,
            missing=self.missing,
            can_reach_gateway=self.reachable,
            plan=made,
            owned=dict(self.owned),
            expected=dict.fromkeys(made.objects, FIELDS),
            repairable=frozenset(made.objects),
            pod=self.pod,
            gateway=GatewayWord(
                flat=self.flat if self.answers else None,
                held=self.held and self.answers,
                halted=self.halted if self.answers else "",
                done=frozenset(name for name, epoch in self.done if epoch == self.status.epoch),
                silent="" if self.answers else "the gateway of paper does not answer",
            ),
            turn=self.turn,
            permit_key="key" if self.reachable else "",
        )

    def decide(self) -> Decision:
        return decide(self.observed(), self.now, deletion_deadline_s=120.0)

    def carry_out(self, actions: Sequence[Action]) -> None:  # noqa: PLR0912 (a case for each action)
        before = self.observed()
        for action in actions:
            self.market()
            match action:
                case WriteStatus(status):
                    assert isinstance(status, StrategyStatus)
                    assert status.epoch >= self.status.epoch
                    self.status = status
                case AddFinalizer():
                    self.has_finalizer = True
                case ReleaseFinalizer():
                    self.released = True
                case Apply(names, epoch):
                    assert epoch <= self.status.epoch, "an epoch is written ahead of its use"
                    for name in names:
                        self._apply(before, name, epoch)
                case Remove(names):
                    for name in names:
                        self.owned.pop(name, None)
                case StopPod(uid):
                    if self.pod is not None and self.pod.uid == uid:
                        # The user's own suspension stops it with whatever it has, also when it is taken back at once.
                        state = "Suspended" if course_of(before) == "Resume" else self.strategy.spec.state
                        self.stopped.append((state, self.flat))
                        self.pod = msgspec.structs.replace(
                            self.pod, deleting=True, ready=False, reason="PodTerminating"
                        )
                case AtGateway("hold" | "release" as command):
                    if self.answers:
                        self.commands.append(command)
                        self.held_until = self.now + HOLD_LASTS_S if command == "hold" else 0.0
                case AtGateway(command, epoch):
                    if self.answers:
                        self.commands.append(command)
                        self.done.add((command, epoch))
                        self.halted = "" if command == "resume" else self.halted
                case Tell():
                    self.told.append(action)
                case _:
                    pass

    def _apply(self, observed: Observed, name: ObjectName, epoch: int) -> None:
        assert observed.plan is not None
        wanted = observed.plan.objects[name]
        template = wanted.manifest["spec"]["template"] if name.kind == "StatefulSet" else None
        self.owned[name] = Owned(
            kind=name.kind,
            namespace="trading",
            name=name.name,
            uid=f"{name}",
            version=1,
            owner="uid",
            about=Key("Strategy", "trading", "scalper"),
            input_hash=wanted.digest,
            fields=FIELDS,
            epoch=epoch,
            permit_expires=int(self.now) + PERMIT_LASTS_S if name.kind == "Secret" else 0,
            deleting=False,
            replicas=wanted.manifest["spec"]["replicas"] if template is not None else None,
            roll_hash=template["metadata"]["annotations"]["christmas.dev/input-hash"] if template is not None else "",
        )

    def controllers(self) -> None:
        """One turn of the StatefulSet's controller and of the kubelet."""
        workload = self.owned.get(STATEFUL_SET)
        if self.pod is not None and self.pod.deleting:
            self.pod = None
            return
        if workload is None or workload.replicas == 0:
            if self.pod is not None:
                self.pod = msgspec.structs.replace(self.pod, deleting=True, ready=False, reason="PodTerminating")
            return
        if self.pod is None:
            self.pods += 1
            self.epochs.append(workload.epoch)
            self.pod = Pod(
                namespace="trading",
                name="strategy-scalper-0",
                uid=f"pod-{self.pods}",
                version=1,
                about=None,
                input_hash=workload.roll_hash,
                epoch=workload.epoch,
                deleting=False,
                ready=not self.failing,
                reason=self.failing,
                message="",
                restarts=0,
                node="node1",
                started=True,
            )

    def settle(self, rounds: int = 12) -> None:
        """Until nothing is left to do; fails when that never comes."""
        for _ in range(rounds):
            decision = self.decide()
            before = (self.status, dict(self.owned), self.pod, set(self.done), self.held)
            self.carry_out(decision.actions)
            self.controllers()
            if self.released or before == (self.status, self.owned, self.pod, self.done, self.held):
                return
        raise AssertionError(f"it does not come to rest: {self.decide()}")

    def reason(self, condition: str) -> str:
        return self.status.reason_of(condition)
