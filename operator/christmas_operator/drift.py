"""What is remembered about applies: what our fields look like after one, and how often an object was mended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from christmas_operator.keys import ObjectName
from christmas_operator.plan import Wanted

_FIRST_PAUSE_S: Final = 5.0
_LAST_PAUSE_S: Final = 300.0
_QUIET_AFTER_S: Final = 900.0
"""An object that nobody has touched for so long is mended at once again."""
_SHAPES_MAXIMUM: Final = 4096

Place = tuple[str, ObjectName]
"""A namespace, and an object in it."""


class DriftMemory:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._fields: dict[tuple[str, str], str] = {}
        self._mended: dict[Place, tuple[int, float]] = {}

    def learn(self, wanted: Wanted, name: ObjectName, fields: str) -> None:
        """The answer to an apply."""
        if len(self._fields) >= _SHAPES_MAXIMUM:
            self._fields.clear()
        self._fields[name.kind, wanted.shape] = fields

    def expected(self, wanted: Wanted, name: ObjectName) -> str | None:
        return self._fields.get((name.kind, wanted.shape))

    def mended(self, place: Place) -> None:
        count, at = self._mended.get(place, (0, 0.0))
        now = self._clock()
        self._mended[place] = (count + 1 if now - at < _QUIET_AFTER_S else 1, now)

    def wait_s(self, place: Place) -> float:
        """How long to leave an object as somebody made it: two who mend each other's work must not race."""
        count, at = self._mended.get(place, (0, 0.0))
        if count == 0:
            return 0.0
        pause = min(_LAST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (count - 1)) if count > 1 else 0.0
        return max(0.0, at + pause - self._clock())

    def forget_old(self) -> None:
        now = self._clock()
        for place, (_, at) in list(self._mended.items()):
            if now - at > _QUIET_AFTER_S:
                del self._mended[place]
