"""What the watches have shown: views by name, and who owns what. No I/O."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Set
from typing import Final

import msgspec

from christmas_operator.keys import Key, ObjectName, ResourceKind
from christmas_operator.kube.views import Owned, Pod, Resource

_GONE_REMEMBERED: Final = 4096
"""Far more than can be deleted while the answer to one write is on its way."""

Place = tuple[str, str]
"""Namespace and name."""
View = Resource | Owned | Pod


class Cache:
    """Views replace each other only by newer ones: an answer to a write and its echo in a watch may cross.

    So may the answer to a write and the news that the object is gone, which that very write may have brought about
    (the last finalizer): what is gone never comes back, another of its name has another uid.
    """

    def __init__(self) -> None:
        self._views: dict[str, dict[Place, View]] = defaultdict(dict)
        self._by_owner: dict[str, set[ObjectName]] = defaultdict(set)
        self._by_broker: dict[Place, set[str]] = defaultdict(set)
        self._gone: set[str] = set()
        self._gone_in_turn: deque[str] = deque()

    def put(self, kind: str, view: View) -> bool:
        """Whether anything is otherwise than it was, besides the version."""
        if view.uid in self._gone:
            return False
        place = (view.namespace, view.name)
        known = self._views[kind].get(place)
        if known is not None and known.uid == view.uid and known.version >= view.version:
            return False
        if known is not None:
            self._unlink(kind, known)
        self._views[kind][place] = view
        self._link(kind, view)
        return known is None or msgspec.structs.replace(known, version=view.version) != view

    def get(self, kind: str, place: Place) -> View | None:
        return self._views[kind].get(place)

    def drop(self, kind: str, place: Place, uid: str = "") -> View | None:
        """Forget it; with ``uid`` only that very object, and for good."""
        if uid:
            self._bury(uid)
        known = self._views[kind].get(place)
        if known is None or (uid and known.uid != uid):
            return None
        del self._views[kind][place]
        self._unlink(kind, known)
        return known

    def is_gone(self, uid: str) -> bool:
        """A watch has told, not long ago, that this object is deleted."""
        return uid in self._gone

    def resource(self, key: Key) -> Resource | None:
        found = self._views[key.kind].get((key.namespace, key.name))
        return found if isinstance(found, Resource) else None

    def pod(self, namespace: str, name: str) -> Pod | None:
        found = self._views["Pod"].get((namespace, name))
        return found if isinstance(found, Pod) else None

    def owned(self, kind: str, namespace: str, name: str) -> Owned | None:
        found = self._views[kind].get((namespace, name))
        return found if isinstance(found, Owned) else None

    def owned_by(self, namespace: str, uid: str) -> dict[ObjectName, Owned]:
        found = {name: self.owned(name.kind, namespace, name.name) for name in self._by_owner.get(uid, ())}
        return {name: view for name, view in found.items() if view is not None}

    def strategies_of(self, namespace: str, broker: str) -> tuple[str, ...]:
        return tuple(self._by_broker.get((namespace, broker), ()))

    def keys(self, kind: ResourceKind) -> Iterator[Key]:
        for namespace, name in list(self._views[kind]):
            yield Key(kind, namespace, name)

    def count(self, kind: str) -> int:
        return len(self._views[kind])

    def missing_from(self, kind: str, namespace: str | None, uids: Set[str], version: int) -> list[View]:
        """Views that a complete list of ``version`` did not show although they are no younger than it."""
        return [
            view
            for view in self._views[kind].values()
            if view.uid not in uids and view.version <= version and namespace in {None, view.namespace}
        ]

    def _bury(self, uid: str) -> None:
        if uid in self._gone:
            return
        self._gone.add(uid)
        self._gone_in_turn.append(uid)
        if len(self._gone_in_turn) > _GONE_REMEMBERED:
            self._gone.discard(self._gone_in_turn.popleft())

    def _link(self, kind: str, view: View) -> None:
        if isinstance(view, Owned) and view.owner:
            self._by_owner[view.owner].add(ObjectName(kind, view.name))
        elif isinstance(view, Resource) and view.broker:
            self._by_broker[view.namespace, view.broker].add(view.name)

    def _unlink(self, kind: str, view: View) -> None:
        if isinstance(view, Owned) and view.owner:
            names = self._by_owner[view.owner]
            names.discard(ObjectName(kind, view.name))
            if not names:
                del self._by_owner[view.owner]
        elif isinstance(view, Resource) and view.broker:
            strategies = self._by_broker[view.namespace, view.broker]
            strategies.discard(view.name)
            if not strategies:
                del self._by_broker[view.namespace, view.broker]
