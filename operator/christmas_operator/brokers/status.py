"""The status of a Broker."""

from __future__ import annotations

from typing import Literal

import msgspec

from christmas_operator.conditions import Condition, by_type

Phase = Literal["Pending", "Starting", "Running", "Waiting", "Failed", "Terminating"]


class BrokerStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    observed_generation: int = 0
    phase: str = ""
    strategies: int = 0
    """That name it, suspended ones included."""
    gateway: str = ""
    """Where runtimes reach it."""
    pod: str = ""
    node: str = ""
    restarts: int = 0
    last_transition_time: str = ""
    """Of the phase."""
    conditions: tuple[Condition, ...] = ()

    def reason_of(self, condition: str) -> str:
        found = by_type(self.conditions).get(condition)
        return found.reason if found is not None else ""


def read_status(raw: bytes) -> BrokerStatus:
    """What is there; of one that cannot be read, nothing."""
    try:
        return msgspec.json.decode(raw, type=BrokerStatus)
    except msgspec.MsgspecError:
        return BrokerStatus()
