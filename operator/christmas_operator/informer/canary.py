"""Whether the watches live: what we write must come back through them.

A watch that died in silence looks like a cluster in which nothing happens. Every write of ours is a question to the
watch of its kind; when nothing is written for long, an object of our own is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

DEAD_AFTER_S: Final = 90.0
"""kopf itself opens a watch anew that has shown nothing for 70 s."""


class Canary:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._awaited: dict[str, tuple[str, int, float]] = {}
        self.heard_at = clock()
        """When a watch last showed a write of ours."""

    def wrote(self, kind: str, uid: str, version: int, seen: int) -> None:
        """An answer to a write; ``seen``: the version that a watch has shown so far."""
        if version <= seen:
            return
        _, _, since = self._awaited.get(uid, (kind, version, self._clock()))
        self._awaited[uid] = (kind, version, since)

    def saw(self, uid: str, version: int) -> None:
        """A watch has shown this."""
        awaited = self._awaited.get(uid)
        if awaited is not None and version >= awaited[1]:
            del self._awaited[uid]
            self.heard_at = self._clock()

    def gone(self, uid: str) -> None:
        self._awaited.pop(uid, None)

    @property
    def lag_s(self) -> float:
        """Age of the oldest write that no watch has shown yet."""
        if not self._awaited:
            return 0.0
        return self._clock() - min(since for _, _, since in self._awaited.values())

    @property
    def trouble(self) -> str | None:
        """Why the watches are taken for dead; None: they live."""
        lag = self.lag_s
        if lag <= DEAD_AFTER_S:
            return None
        kinds = sorted({kind for kind, _, since in self._awaited.values() if self._clock() - since > DEAD_AFTER_S})
        return f"the watch of {', '.join(kinds)} has not shown for {lag:.0f} s what we wrote"
