"""The manifests of the installation: what was applied, what is to be wound down, all of it on disk."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

from christmas.fleet.adopt import adopt, with_state
from christmas.fleet.errors import FleetError
from christmas.fleet.manifests import check
from christmas.fleet.session import Session
from christmas.fleet.state import StateFolder
from christmas.resources.broker import Broker
from christmas.resources.load import identity
from christmas.resources.strategy import Strategy
from christmas.resources.validate import Resource


class Catalogue:
    """In memory what is in the state folder; every change is on disk before it takes effect."""

    def __init__(self, state: StateFolder, session: Session) -> None:
        """Raises FleetError when a stored manifest cannot be read."""
        self._state = state
        self._session = session
        self.strategies: dict[str, Strategy] = {}
        self.brokers: dict[str, Broker] = {}
        self.deleting: set[str] = set()
        """Names of strategies that are wound down before their manifests go."""
        for resource in state.stored():
            self._keep(resource)

    def apply(self, resources: Iterable[Resource]) -> list[str]:
        """Take manifests in, all or none; a line for each. Raises FleetError with what is wrong."""
        given = list(resources)
        check(given, known=[*self.strategies.values(), *self.brokers.values()])
        lines = []
        for resource in given:
            kind, name = identity(resource)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            uid = self._session.fixed_uid(name) or uuid.uuid4().hex
            kept: Resource
            if isinstance(resource, Broker):
                kept, change = adopt(resource, self.brokers.get(name), uid=uid, now=now)
            else:
                kept, change = adopt(resource, self.strategies.get(name), uid=uid, now=now)
                self.deleting.discard(name)
            if change != "unchanged":
                self._state.store(kept)
                self._keep(kept)
            lines.append(f"{kind.lower()}/{name} {change}")
        return lines

    def set_state(self, name: str, state: Literal["Running", "Suspended"]) -> str:
        strategy = self.strategy(name)
        changed = with_state(strategy, state)
        if changed is strategy:
            return f"strategy/{name} is {state.lower()} already"
        self._state.store(changed)
        self._keep(changed)
        return f"strategy/{name} {'suspended' if state == 'Suspended' else 'resumed'}"

    def delete_strategy(self, name: str, *, open_positions: int, force: bool) -> str:
        """Start winding it down; `forget` ends it. Refused when positions would stay open with nobody to close them."""
        strategy = self.strategy(name)
        if open_positions and strategy.spec.on_suspend != "Flatten" and not force:
            positions = f"{open_positions} open position{'s' if open_positions > 1 else ''}"
            raise FleetError(
                f"{name} holds {positions}, nobody would close them",
                "wait until it is flat, or set onSuspend: Flatten, or leave them with --force",
            )
        self.deleting.add(name)
        return f"strategy/{name} deleted"

    def delete_broker(self, name: str) -> str:
        if name not in self.brokers:
            raise FleetError(f"there is no Broker {name}", "see `christmas get brokers`")
        users = [strategy.metadata.name for strategy in self.of_broker(name)]
        if users:
            raise FleetError(f"Broker {name} is used by {', '.join(users)}", "delete them first")
        self._state.forget("Broker", name)
        del self.brokers[name]
        return f"broker/{name} deleted"

    def forget(self, name: str) -> None:
        """A strategy that is wound down."""
        self._state.forget("Strategy", name)
        self.deleting.discard(name)
        self.strategies.pop(name, None)

    def strategy(self, name: str) -> Strategy:
        try:
            return self.strategies[name]
        except KeyError:
            raise FleetError(f"there is no Strategy {name}", "see `christmas get strategies`") from None

    def of_broker(self, name: str) -> list[Strategy]:
        return [strategy for strategy in self.strategies.values() if strategy.spec.broker_ref.name == name]

    def _keep(self, resource: Resource) -> None:
        if isinstance(resource, Broker):
            self.brokers[resource.metadata.name] = resource
        else:
            self.strategies[resource.metadata.name] = resource
