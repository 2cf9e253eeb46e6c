"""The account's request budget, shared fairly among its strategies.

One token bucket holds what the venue allows. Who waits is served by priority first (cancels, queries
and exits before entries), then by start-time fair queueing (Goyal, Vin, Cheng 1996): a strategy's
next request starts where its last one ended in virtual time, so one that floods the account waits
behind its own requests and not in front of the others'. A part of the bucket is kept for what
reduces risk. Pure: time comes in as an argument.
"""

from __future__ import annotations

import heapq
from enum import IntEnum
from typing import Final

_BURST: Final = 0.25
_RESERVED: Final = 0.2
_HAIR: Final = 1e-9
"""Of a token: what a refill is short of by rounding must not cost another turn."""


class Priority(IntEnum):
    REDUCES_RISK = 0
    """Cancels, exits, and queries that clear up what is unknown."""
    ENTRY = 1


class Ticket:
    """One request that waits for its turn."""

    __slots__ = ("granted", "priority", "strategy", "withdrawn")

    def __init__(self, strategy: str, priority: Priority) -> None:
        self.strategy = strategy
        self.priority = priority
        self.granted = False
        self.withdrawn = False


class FairBudget:
    """At most ``per_minute`` requests in any 60 seconds (burst + refill of a minute)."""

    def __init__(self, per_minute: int, now_s: float) -> None:
        self.capacity = max(1.0, per_minute * _BURST)
        # A budget of one a minute has no whole token left for the refill: half of one keeps it alive.
        self.rate = max(per_minute - self.capacity, per_minute * 0.5) / 60.0
        # What entries must leave for exits; nothing when the whole bucket is that small.
        self.reserved = self.capacity * _RESERVED if self.capacity >= 5 else 0.0
        self._tokens = self.capacity
        self._at_s = now_s
        self._paused_until_s = now_s
        self._queue: list[tuple[int, float, int, Ticket]] = []
        self._ends: dict[str, float] = {}
        self._virtual = 0.0
        self._arrivals = 0
        self._waiting = 0

    @property
    def waiting(self) -> int:
        return self._waiting

    def request(self, strategy: str, priority: Priority, *, weight: float = 1.0) -> Ticket:
        """Stand in the queue; `grants` tells when it is served."""
        start = max(self._virtual, self._ends.get(strategy, 0.0))
        self._ends[strategy] = start + 1.0 / weight
        ticket = Ticket(strategy, priority)
        self._arrivals += 1
        self._waiting += 1
        heapq.heappush(self._queue, (int(priority), start, self._arrivals, ticket))
        return ticket

    def withdraw(self, ticket: Ticket) -> None:
        """The request is not wanted any more."""
        if not ticket.granted and not ticket.withdrawn:
            ticket.withdrawn = True
            self._waiting -= 1

    def pause(self, until_s: float) -> None:
        """The venue said 429: nobody is served before ``until_s``."""
        self._paused_until_s = max(self._paused_until_s, until_s)

    def grants(self, now_s: float) -> list[Ticket]:
        """Those whose turn it is now, in order."""
        self._refill(now_s)
        served: list[Ticket] = []
        while self._queue:
            priority, start, _, ticket = self._queue[0]
            if ticket.withdrawn:
                heapq.heappop(self._queue)
                continue
            if now_s < self._paused_until_s or self._tokens < self._needed(priority) - _HAIR:
                break
            heapq.heappop(self._queue)
            self._tokens -= 1.0
            self._virtual = max(self._virtual, start)
            self._waiting -= 1
            ticket.granted = True
            served.append(ticket)
        if not self._queue:
            self._ends.clear()
            self._virtual = 0.0
        return served

    def next_grant_s(self, now_s: float) -> float | None:
        """When to ask again; None when nobody waits."""
        while self._queue and self._queue[0][3].withdrawn:
            heapq.heappop(self._queue)
        if not self._queue:
            return None
        short = self._needed(self._queue[0][0]) - self._tokens
        return max(self._paused_until_s, now_s, self._at_s + max(0.0, short) / self.rate)

    def _needed(self, priority: int) -> float:
        return 1.0 + (self.reserved if priority == Priority.ENTRY else 0.0)

    def _refill(self, now_s: float) -> None:
        if now_s > self._at_s:
            self._tokens = min(self.capacity, self._tokens + (now_s - self._at_s) * self.rate)
            self._at_s = now_s
