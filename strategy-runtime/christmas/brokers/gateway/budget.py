"""Waiting for a turn in the account's request budget."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from christmas.brokers.gateway import metrics
from christmas.brokers.gateway.rate import FairBudget, Priority, Ticket


class RequestBudget:
    """`FairBudget` with waiters. ``now_s`` is the wall's monotonic clock, or the market's in lock-step:
    there nobody sleeps, and whoever advances the clock calls `pump`.
    """

    def __init__(self, per_minute: int, now_s: Callable[[], float], *, self_driven: bool) -> None:
        self._now_s = now_s
        self._self_driven = self_driven
        self._budget = FairBudget(per_minute, now_s())
        self.on_granted: Callable[[], None] = lambda: None
        """Called at once for every request that had to wait and is served now."""
        self._waiters: dict[Ticket, asyncio.Future[None]] = {}
        self._tickets: dict[asyncio.Future[None], Ticket] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        return self._budget.waiting

    def take(self, strategy: str, priority: Priority) -> asyncio.Future[None] | None:
        """None: it is this request's turn. Else a future to await, and to `leave` in any case."""
        ticket = self._budget.request(strategy, priority)
        self.pump()
        if ticket.granted:
            return None
        future = asyncio.get_running_loop().create_future()
        self._waiters[ticket] = future
        self._tickets[future] = ticket
        return future

    def leave(self, turn: asyncio.Future[None]) -> None:
        """Done waiting, served or not."""
        ticket = self._tickets.pop(turn)
        self._waiters.pop(ticket, None)
        self._budget.withdraw(ticket)

    def pause(self, seconds: float) -> None:
        """The venue said 429."""
        self._budget.pause(self._now_s() + seconds)

    def next_grant_us(self) -> int | None:
        """In lock-step: the market time at which the next waiter is served."""
        at_s = self._budget.next_grant_s(self._now_s())
        return None if at_s is None else int(at_s * 1e6) + 1

    def pump(self) -> None:
        for ticket in self._budget.grants(self._now_s()):
            future = self._waiters.get(ticket)
            if future is not None and not future.done():
                future.set_result(None)
                self.on_granted()
        metrics.BUDGET_WAITING.set(self._budget.waiting)
        if not self._self_driven:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at_s = self._budget.next_grant_s(self._now_s())
        if at_s is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.001, at_s - self._now_s()), self.pump)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
