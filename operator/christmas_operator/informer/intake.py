"""From watch events to views in the cache and names in the queue. No I/O, no decision."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from christmas_operator import metrics
from christmas_operator.cache import Cache, View
from christmas_operator.informer.canary import Canary
from christmas_operator.informer.listings import Listing
from christmas_operator.keys import Key
from christmas_operator.kube.kinds import BROKER, POD, STRATEGY, Kind
from christmas_operator.kube.views import Owned, Pod, Resource, owned_of, pod_of, resource_of, version_of
from christmas_operator.queue import Lane

logger = logging.getLogger(__name__)

Collection = tuple[str, str | None]
"""A kind, and the namespace it is watched in (None: all)."""
Enqueue = Callable[[Key, Lane], object]
PERMIT_KEY_SUFFIX: Final = "-permit-key"


class Intake:
    """Synced once every list has been read and all that was in it has arrived."""

    def __init__(self, cache: Cache, canary: Canary, enqueue: Enqueue, expected: Iterable[Collection]) -> None:
        """``expected``: what will be listed."""
        self._cache = cache
        self._canary = canary
        self._enqueue = enqueue
        self._unread = set(expected)
        self._awaited: dict[Collection, set[str]] = {}
        self._arrived: set[str] = set()

    @property
    def synced(self) -> bool:
        return not self._unread and not self._awaited

    @property
    def waits_for(self) -> str:
        """For a person: what has not been read yet."""
        return f"reading {', '.join(sorted({kind for kind, _ in (*self._unread, *self._awaited)}))}"

    def event(self, kind: Kind, event_type: str | None, body: Mapping[str, Any]) -> None:
        """One event of kopf's; type None: from a list."""
        metadata = body["metadata"]
        uid = metadata["uid"]
        try:
            if event_type == "DELETED":
                self._canary.gone(uid)
                self._drop(kind.kind, (metadata["namespace"], metadata["name"]), uid)
            else:
                self._canary.saw(uid, version_of(metadata))
                self._put(kind.kind, view_of(kind, body), "changed" if event_type else "resync")
        finally:
            self._arrive(uid)

    def listed(self, listing: Listing) -> None:
        """A list is through. What it does not show any more is gone, although no watch has told."""
        key = (listing.kind.kind, listing.namespace)
        if key in self._unread:
            self._unread.discard(key)
            missing = set(listing.uids) - self._arrived
            if missing:
                self._awaited[key] = missing
        for view in self._cache.missing_from(*key, listing.uids, listing.version):
            metrics.GHOSTS.labels(listing.kind.kind).inc()
            logger.info("gone while no watch was open", extra={"kind": listing.kind.kind, "object": view.name})
            self._canary.gone(view.uid)
            self._drop(listing.kind.kind, (view.namespace, view.name), view.uid)

    def _put(self, kind: str, view: View, lane: Lane) -> None:
        known = self._cache.get(kind, (view.namespace, view.name))
        if self._cache.put(kind, view):
            self._wake(kind, known, view, lane)

    def _drop(self, kind: str, place: tuple[str, str], uid: str) -> None:
        known = self._cache.drop(kind, place, uid)
        if known is not None:
            self._wake(kind, known, None, "changed")

    def _arrive(self, uid: str) -> None:
        if self.synced:
            self._arrived.clear()
            return
        self._arrived.add(uid)
        for key, missing in list(self._awaited.items()):
            missing.discard(uid)
            if not missing:
                del self._awaited[key]

    def _wake(self, kind: str, before: View | None, after: View | None, lane: Lane) -> None:
        """Whoever may have something to do about it."""
        view = after or before
        if view is None:
            return
        if isinstance(view, Resource):
            key = Key("Strategy" if kind == STRATEGY.kind else "Broker", view.namespace, view.name)
            self._enqueue(key, lane)
            if key.kind == "Broker" and _matters_to_strategies(before, after):
                self._wake_strategies(key)
            elif key.kind == "Strategy" and view.broker and (before is None or after is None):
                self._enqueue(Key("Broker", view.namespace, view.broker), "resync")
            return
        about = view.about
        if about is None:
            return
        self._enqueue(about, lane)
        if about.kind == "Broker" and _matters_to_strategies(before, after):
            self._wake_strategies(about)

    def _wake_strategies(self, broker: Key) -> None:
        for name in self._cache.strategies_of(broker.namespace, broker.name):
            self._enqueue(Key("Strategy", broker.namespace, name), "resync")


def view_of(kind: Kind, body: Mapping[str, Any]) -> View:
    if kind in {STRATEGY, BROKER}:
        return resource_of(kind.kind, body)
    return pod_of(body) if kind == POD else owned_of(kind.kind, body)


def _matters_to_strategies(before: View | None, after: View | None) -> bool:
    """What a Strategy asks of its Broker: that it is there and as it is, that its gateway is ready, its key."""
    view = after or before
    if isinstance(view, Owned):
        return view.name.endswith(PERMIT_KEY_SUFFIX)
    if before is None or after is None or before.uid != after.uid:
        return True
    if isinstance(before, Pod) and isinstance(after, Pod):
        return before.ready != after.ready
    if isinstance(before, Resource) and isinstance(after, Resource):
        return before.generation != after.generation or before.deleted_at != after.deleted_at
    return False
