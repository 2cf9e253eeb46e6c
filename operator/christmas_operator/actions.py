"""What `decide` may ask for. Data; `apply` carries it out."""

from __future__ import annotations

from typing import Literal, NamedTuple

from christmas.brokers.admin import CommandName
from christmas_operator.keys import ObjectName
from christmas_operator.rolls import Claim


class AddFinalizer(NamedTuple):
    pass


class ReleaseFinalizer(NamedTuple):
    pass


class WriteStatus(NamedTuple):
    """Before everything else that is decided with it: the epoch in it is written ahead of its use."""

    status: object
    """A `StrategyStatus` or a `BrokerStatus`."""


class Apply(NamedTuple):
    """Server-side apply of these wanted objects, in this order."""

    names: tuple[ObjectName, ...]
    epoch: int
    repairs: frozenset[ObjectName] = frozenset()
    """Those of them that somebody has changed: the first difference is told in an event."""


class CreatePermitKey(NamedTuple):
    """Only if there is none: nothing ever replaces a key."""


class StopPod(NamedTuple):
    """This very pod, gracefully; its StatefulSet makes the next one when it is gone."""

    uid: str


class Remove(NamedTuple):
    """Objects of ours that nothing needs any more."""

    names: tuple[ObjectName, ...]


class AtGateway(NamedTuple):
    """Without waiting for the answer: it is looked at again when the gateway has answered."""

    command: CommandName
    epoch: int
    reason: str


class AskExposure(NamedTuple):
    """Keep asking the gateway who is flat and who is halted, until this is not asked for any more."""


class Tell(NamedTuple):
    """An event on the object."""

    severity: Literal["Normal", "Warning"]
    reason: str
    message: str


Action = (
    AddFinalizer
    | ReleaseFinalizer
    | WriteStatus
    | Apply
    | CreatePermitKey
    | StopPod
    | Remove
    | AtGateway
    | AskExposure
    | Tell
)


class Decision(NamedTuple):
    actions: tuple[Action, ...]
    look_again_s: float | None = None
    """Nothing will happen that would make us look before, and something is due then."""
    phase: str = ""
    update_waits: bool = False
    """It runs with another configuration than is wanted."""
    claim: Claim = "None"
    """On its Broker's order of restarts."""
