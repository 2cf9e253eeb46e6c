"""At which pass of each crash point a replay of the spot recording is killed, and which of them go into one replay.

A process counts its passes from its start, so the deaths of one process in one replay come one after the other.
"""

from __future__ import annotations

from typing import Final

from christmas.telemetry.crash import POINTS

_RARE: Final = {
    "gateway.fence": 3,
    "gateway.welcome": 2,
    "gateway.goodbye": 2,
    "gateway.end": 1,
    "gateway.reconcile": 1,
    "gateway.acknowledged": 5,
    "gateway.outbox": 10,
    "gateway.submit": 15,
    "gateway.cancel": 3,
    "gateway.report": 25,
    "gateway.trim": 1,
    "runtime.hello": 1,
    "runtime.welcome": 1,
    "runtime.goodbye": 1,
    "runtime.submit": 5,
    "runtime.cancel": 1,
    "runtime.note": 8,
    "runtime.report": 8,
    "runtime.status": 2,
    "recorder.ticks": 4,
    "recorder.watermark": 3,
    "recorder.journal": 3,
    "recorder.quarantine": 1,
}
"""By the first two words. All others are passed in every window."""
_OFTEN: Final = 40
_OF_BARS: Final = frozenset({"gateway.trim.remove", "gateway.trim.removed"})
"""Only a market of hours is trimmed."""


def spec(name: str) -> str:
    """As in CHRISTMAS_CRASH_AT."""
    return f"{name}:{_RARE.get(name.rpartition('.')[0], _OFTEN)}"


def groups(count: int) -> list[list[str]]:
    """The points that a replay of trades passes, in ``count`` groups with about as many deaths of each process."""
    names = sorted(POINTS - _OF_BARS)
    return [names[start::count] for start in range(count)]


TRIMMING: Final = sorted(_OF_BARS)
