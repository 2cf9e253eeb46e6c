"""Names of the things that are reconciled."""

from __future__ import annotations

from typing import Literal, NamedTuple

ResourceKind = Literal["Strategy", "Broker"]


class Key(NamedTuple):
    """One Strategy or one Broker."""

    kind: ResourceKind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


class ObjectName(NamedTuple):
    """One object that the operator made, within a namespace."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"
