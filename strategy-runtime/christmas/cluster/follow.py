"""Following objects: a list, then what changes, for as long as one looks on."""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from christmas.cluster.api import Api
from christmas.cluster.errors import ClusterError, GoneError, RefusedError
from christmas.cluster.resources import Kind, Object, Page, list_objects, path_of, selector
from christmas.resources.meta import API_VERSION

_WATCH_S: Final = 300
_SILENT_S: Final = _WATCH_S + 15.0
_TOGETHER_S: Final = 0.1
"""Changes that come this close after one another are shown as one."""
_RETRY_FIRST_S: Final = 0.5
_RETRY_LAST_S: Final = 15.0

Wanted = tuple[Kind, str | None]
Snapshot = dict[Wanted, dict[str, Object]]
"""By what was asked for, the objects by name."""


def follow(api: Api, wanted: Sequence[Wanted], *, tell: Callable[[str], None]) -> Iterator[Snapshot]:
    """What is there now, and again whenever it has changed, without end.

    Raises ClusterError when the first list fails; later the API server may be away, which ``tell`` is told.
    """
    pages = {target: list_objects(api, *target) for target in dict.fromkeys(wanted)}
    snapshot: Snapshot = {target: dict(page.objects) for target, page in pages.items()}
    yield _copy(snapshot)
    changes: queue.SimpleQueue[Wanted] = queue.SimpleQueue()
    lock = threading.Lock()
    for target, page in pages.items():
        watcher = _Watcher(api, target, snapshot[target], lock=lock, changed=partial(changes.put, target), tell=tell)
        threading.Thread(target=watcher.run, args=(page.version,), name=f"watch {target}", daemon=True).start()
    while True:
        changes.get()
        try:
            while True:
                changes.get(timeout=_TOGETHER_S)
        except queue.Empty:
            pass
        with lock:
            seen = _copy(snapshot)
        yield seen


def _copy(snapshot: Snapshot) -> Snapshot:
    return {target: dict(sorted(objects.items())) for target, objects in snapshot.items()}


class _Watcher:
    """Keeps one list of objects up to date."""

    def __init__(
        self,
        api: Api,
        target: Wanted,
        objects: dict[str, Object],
        *,
        lock: threading.Lock,
        changed: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        self._api = api
        self._kind, self._name = target
        self._objects = objects
        self._lock = lock
        self._changed = changed
        self._tell = tell
        self._pause = threading.Event()

    def run(self, version: str) -> None:
        retry_s = _RETRY_FIRST_S
        while True:
            try:
                if not version:
                    page = list_objects(self._api, self._kind, self._name)
                    version = page.version
                    self._replace(page)
                for seen in self._watch(version):
                    version, retry_s = seen, _RETRY_FIRST_S
            except GoneError:
                version = ""
            except ClusterError as error:
                if retry_s == _RETRY_FIRST_S:
                    self._tell(f"{error.what}; trying again")
                if isinstance(error, RefusedError):
                    version = ""
                self._pause.wait(retry_s * random.uniform(0.5, 1.0))
                retry_s = min(_RETRY_LAST_S, retry_s * 2)

    def _watch(self, version: str) -> Iterator[str]:
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_S),
            **selector(self._name),
        }
        path = path_of(self._kind, self._api.cluster.namespace)
        for line in self._api.lines(path, query, silent_s=_SILENT_S):
            if not line.strip():
                continue
            event: dict[str, Any] = msgspec.json.decode(line)
            obj: Object = event["object"]
            if event["type"] == "ERROR":
                status = int(obj.get("code", 500))
                raise (GoneError if status == 410 else RefusedError)(str(obj.get("message", "")), status=status)
            if event["type"] != "BOOKMARK":
                self._take(event["type"], obj)
            yield str(obj["metadata"]["resourceVersion"])

    def _take(self, change: str, obj: Object) -> None:
        name = obj["metadata"]["name"]
        with self._lock:
            if change == "DELETED":
                self._objects.pop(name, None)
            else:
                self._objects[name] = {"apiVersion": API_VERSION, "kind": self._kind, **obj}
        self._changed()

    def _replace(self, page: Page) -> None:
        with self._lock:
            self._objects.clear()
            self._objects.update(page.objects)
        self._changed()
