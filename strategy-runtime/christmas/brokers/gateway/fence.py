"""At most one: which process may speak for a strategy. Pure; the journal keeps what is decided."""

from __future__ import annotations

from typing import Literal

import msgspec


class Fence(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway remembers of a strategy's sessions, for good."""

    epoch: int = 0
    instance: str = ""
    superseded: frozenset[str] = frozenset()
    """Instances that another has taken over from."""


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """A new session's fate: ``refusal``, or the fence from now on."""

    fence: Fence
    refusal: Literal["EpochSuperseded", "InstanceSuperseded"] | None = None
    supersedes: Literal["EpochSuperseded", "InstanceSuperseded"] | None = None
    """Why the instance before it is refused from now on; None when it is the same one again."""


def admit(fence: Fence, *, epoch: int, instance: str) -> Admission:
    """Newer epochs and newer instances win; what has lost once stays refused."""
    if instance in fence.superseded:
        code: Literal["EpochSuperseded", "InstanceSuperseded"] = (
            "EpochSuperseded" if epoch < fence.epoch else "InstanceSuperseded"
        )
        return Admission(fence=fence, refusal=code)
    if epoch < fence.epoch:
        return Admission(fence=fence, refusal="EpochSuperseded")
    if not fence.instance or instance == fence.instance:
        return Admission(fence=Fence(epoch=epoch, instance=instance, superseded=fence.superseded))
    return Admission(
        fence=Fence(epoch=epoch, instance=instance, superseded=fence.superseded | {fence.instance}),
        supersedes="EpochSuperseded" if epoch > fence.epoch else "InstanceSuperseded",
    )
