"""Who may restart its pod now: of each Broker's Strategies only a few at a time, first come, first served. No I/O.

It is kept in memory: an operator that starts finds those that are in the middle of it, and they keep their places.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Literal

from christmas_operator.keys import Key

ROLL_WITHIN_S: Final = 120.0
"""A pod that is not up again by then holds up the others no longer."""

Turn = Literal["None", "InLine", "Granted"]
Claim = Literal["None", "Wants", "Keeps", "Holds"]
"""Of a decision: leave; get in line; stay where it is; be among those that restart, whatever the bound (it does)."""


class Rolls:
    def __init__(self, at_once: int, clock: Callable[[], float] = time.monotonic) -> None:
        """``at_once``: for each Broker."""
        self._at_once = at_once
        self._clock = clock
        self._lines: dict[Key, OrderedDict[Key, float | None]] = {}
        """By Broker, in the order in which they came: when each was granted its turn."""
        self._brokers: dict[Key, Key] = {}

    def turn(self, strategy: Key, broker: Key) -> Turn:
        line = self._lines.get(broker)
        if line is None or strategy not in line:
            return "None"
        return "InLine" if line[strategy] is None else "Granted"

    def claim(self, strategy: Key, broker: Key, claim: Claim) -> list[Key]:
        """Whose turn it is now that it was not before."""
        left = self.forget(strategy) if self._brokers.get(strategy, broker) != broker else []
        if claim == "None":
            return left + self.forget(strategy)
        if claim == "Keeps":
            return left
        line = self._lines.setdefault(broker, OrderedDict())
        self._brokers[strategy] = broker
        if claim == "Holds":
            if line.get(strategy) is None:
                line[strategy] = self._clock()
            return left
        line.setdefault(strategy, None)
        return left + self._grant(broker)

    def forget(self, strategy: Key) -> list[Key]:
        """It restarts no more; whose turn it is now."""
        broker = self._brokers.pop(strategy, None)
        if broker is None:
            return []
        self._lines[broker].pop(strategy, None)
        return self._grant(broker)

    def pass_on(self) -> list[Key]:
        """Take their turns from those that are overdue; whose turn it is now, and who lost it."""
        now, moved = self._clock(), []
        for broker, line in list(self._lines.items()):
            late = [key for key, since in line.items() if since is not None and now - since > ROLL_WITHIN_S]
            for key in late:
                del line[key]
                del self._brokers[key]
            if late:
                moved += late + self._grant(broker)
        return moved

    @property
    def waiting(self) -> int:
        return sum(since is None for line in self._lines.values() for since in line.values())

    def _grant(self, broker: Key) -> list[Key]:
        line = self._lines[broker]
        if not line:
            del self._lines[broker]
            return []
        free = self._at_once - sum(since is not None for since in line.values())
        granted = [key for key, since in line.items() if since is None][: max(0, free)]
        for key in granted:
            line[key] = self._clock()
        return granted
