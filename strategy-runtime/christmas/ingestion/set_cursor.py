"""Reads a sorted set of ticks completely, page by page, and knows when it has.

Ticks are mostly added at the end, but a late one lands anywhere. The gateway counts a symbol's ticks
(``stream:<market>``), and changes set and count in one transaction; whoever reads both in one
transaction too can tell whether the new ticks that it has found are all that were added. If not, it
looks back over the times it remembers exactly, and if that does not settle it, reads the whole set
again. So nothing has to be buffered while the database is away: what is not read stays in Redis.

Pure: `SetCursor.request` says what to ask for, `SetCursor.take` is told the answer.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from enum import Enum, auto
from operator import itemgetter
from typing import Final

import msgspec

_BEGINNING: Final = "-inf"
_END: Final = "+inf"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Members with scores from ``low`` to ``high``, inclusive; ``newest``: the last ``limit`` of them."""

    low: str
    high: str
    limit: int
    """-1: all."""
    newest: bool = False


class _Phase(Enum):
    TAIL = auto()
    """Take the newest members and the count: from there on additions are counted."""
    OLDER = auto()
    """Everything before those."""
    FORWARD = auto()
    LOOK_BACK = auto()
    """The count says that something was added behind us."""


class SetCursor:
    """Where the reading of one symbol's set stands."""

    def __init__(self, *, page: int = 5_000, remembered: int = 20_000) -> None:
        """``page``: how many members to ask for at once; ``remembered``: how many are known one by one."""
        self._page = page
        self._remembered = max(remembered, 2 * page)
        self._limit = page
        self._phase = _Phase.TAIL
        self._base = 0
        self._found = 0
        self._known: dict[bytes, int] = {}
        self._horizon_us: int | None = None
        self._position_us: int | None = None
        self._older_from_us: int | None = None
        self._older_to_us = 0
        self._of_boundary: set[bytes] = set()
        """What the last older page gave of its last moment, with which the next page begins."""
        self._held: list[bytes] = []
        self.full_reads = 0
        """How often the whole set was read, the first time included."""
        self.at_end = False
        """Whether the last answer completed what was in the set."""
        self.settled_us: int | None = None
        """All that was in the set up to this time (inclusive) has been handed out; None: nothing has."""

    def request(self) -> Request:
        match self._phase:
            case _Phase.TAIL:
                return Request(low=_BEGINNING, high=_END, limit=self._page, newest=True)
            case _Phase.OLDER:
                return Request(low=_bound(self._older_from_us), high=str(self._older_to_us), limit=self._limit)
            case _Phase.FORWARD:
                return Request(low=_bound(self._position_us), high=_END, limit=self._limit)
            case _Phase.LOOK_BACK:
                return Request(low=_bound(self._horizon_us), high=_END, limit=-1)

    def take(self, sequence: int, members: Sequence[bytes], times_us: Sequence[int]) -> list[bytes]:
        """The answer to `request`: the symbol's count, and the members with their times, in the set's order.

        Gives the members to record. Some may have been given before, none is left out.
        """
        match self._phase:
            case _Phase.TAIL:
                return self._take_tail(sequence, members, times_us)
            case _Phase.OLDER:
                return self._take_older(members, times_us)
            case _Phase.FORWARD:
                return self._take_forward(sequence, members, times_us)
            case _Phase.LOOK_BACK:
                return self._take_look_back(sequence, members, times_us)

    def _take_tail(self, sequence: int, members: Sequence[bytes], times_us: Sequence[int]) -> list[bytes]:
        self.full_reads += 1
        self._base, self._found = sequence, 0
        self._known = dict(zip(members, times_us, strict=True))
        self._position_us = times_us[-1] if times_us else None
        self._older_from_us = None
        if len(members) < self._page:
            self._horizon_us = None
            self._go_forward()
            self.at_end, self.settled_us = True, self._position_us
            return list(members)
        # Others may share the time of the first of these, so only what is later is known completely.
        self._horizon_us = times_us[0] + 1
        self._older_to_us = times_us[0]
        self._held, self._of_boundary = list(members), set()
        self._phase, self._limit, self.at_end = _Phase.OLDER, self._page, False
        return []

    def _take_older(self, members: Sequence[bytes], times_us: Sequence[int]) -> list[bytes]:
        # Only at both ends of the span can there be members that were given or are held: its bounds are
        # moments that the page before, or the tail, has a part of.
        first = 0 if self._older_from_us is None else bisect_right(times_us, self._older_from_us)
        last = max(first, bisect_left(times_us, self._older_to_us))
        given = [member for member in members[:first] if member not in self._of_boundary and member not in self._known]
        given += members[first:last]
        given += [member for member in members[last:] if member not in self._known]
        if len(members) < self._limit:
            given += self._held
            self._held, self._of_boundary = [], set()
            self._go_forward()
            self.settled_us = self._position_us
            return given
        # The next page begins with the moment this one ends with. When it is all one moment, ask for more.
        self._limit = self._page if times_us[-1] != times_us[0] else 2 * self._limit
        self._older_from_us = times_us[-1]
        self._of_boundary = set(members[bisect_left(times_us, times_us[-1]) :])
        self.settled_us = times_us[-1] - 1
        return given

    def _take_forward(self, sequence: int, members: Sequence[bytes], times_us: Sequence[int]) -> list[bytes]:
        new = self._learn(members, times_us)
        if times_us:
            self._position_us = times_us[-1]
        self.at_end = len(members) < self._limit
        if not self.at_end:
            self._limit = self._page if new else 2 * self._limit
        else:
            self._limit = self._page
            self._settle(sequence, otherwise=_Phase.LOOK_BACK)
        self._forget()
        return new

    def _take_look_back(self, sequence: int, members: Sequence[bytes], times_us: Sequence[int]) -> list[bytes]:
        new = self._learn(members, times_us)
        if times_us:
            self._position_us = times_us[-1]
        self._go_forward()
        self.at_end = True
        self._settle(sequence, otherwise=_Phase.TAIL)
        self._forget()
        return new

    def _settle(self, sequence: int, *, otherwise: _Phase) -> None:
        """Compare what was found with what was added. A count that fell is that of a new stream."""
        if sequence < self._base:
            self._phase, self.at_end = _Phase.TAIL, False
        elif sequence - self._base > self._found:
            self._phase, self.at_end = otherwise, False
        else:
            self._base, self._found = sequence, 0
            self.settled_us = self._position_us

    def _go_forward(self) -> None:
        self._phase, self._limit, self._older_from_us = _Phase.FORWARD, self._page, None

    def _learn(self, members: Sequence[bytes], times_us: Sequence[int]) -> list[bytes]:
        known, horizon_us = self._known, self._horizon_us
        new = [(member, time) for member, time in zip(members, times_us, strict=True) if member not in known]
        known.update(new)
        # What is older than all that is known one by one may have been there before the count began.
        if horizon_us is None or not new or new[0][1] >= horizon_us:
            self._found += len(new)
        else:
            self._found += sum(time >= horizon_us for _, time in new)
        return [member for member, _ in new]

    def _forget(self) -> None:
        surplus = len(self._known) - self._remembered
        if surplus <= 0:
            return
        oldest = sorted(self._known.items(), key=itemgetter(1))[: surplus + self._remembered // 4]
        for member, _ in oldest:
            del self._known[member]
        forgotten_us = oldest[-1][1] + 1
        self._horizon_us = forgotten_us if self._horizon_us is None else max(self._horizon_us, forgotten_us)


def _bound(time_us: int | None) -> str:
    return _BEGINNING if time_us is None else str(time_us)
