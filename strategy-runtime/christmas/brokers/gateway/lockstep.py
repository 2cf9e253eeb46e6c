"""A replay in lock-step: the market goes on only when every strategy has answered for what it was shown.

Prints are matched at the venue first and collected into a window; a window is published, strategies
are told to read up to its end, and what they decided reaches the venue before the next print does.

What a window leads to is carried out when all have answered for it, strategy by strategy in the order of
their names: which process was faster decides nothing, and a window that a process did not survive is
decided anew, as if nobody had been asked.
"""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Final

from christmas.brokers.gateway import metrics
from christmas.brokers.gateway.budget import RequestBudget
from christmas.brokers.gateway.desk import Desk
from christmas.brokers.gateway.ledger import Ledger
from christmas.brokers.gateway.market import Market
from christmas.brokers.gateway.plan import OpenBars, Window, joins_window, market_end, next_boundary
from christmas.brokers.gateway.server import Server
from christmas.brokers.gateway.session import Session
from christmas.brokers.port import Feed, FeedTick, SimulatedVenue
from christmas.execution.order import OrderReport
from christmas.execution.protocol import Advance
from christmas.market.stream import Message, Quarantined
from christmas.telemetry import crash

logger = logging.getLogger(__name__)

_ROUNDS_MAXIMUM: Final = 100
"""In one window: answers of the gateway that strategies know at once (without latency) make them decide again."""


class Lockstep:
    def __init__(
        self,
        market: Market,
        venue: SimulatedVenue,
        *,
        server: Server,
        desk: Desk,
        ledger: Ledger,
        budget: RequestBudget,
        order_latency_us: int,
        answer_latency_us: int,
        expected: frozenset[str],
        skip_until_us: int,
        answered_us: int | None,
        on_waiting: Callable[[str | None], None],
    ) -> None:
        """``answered_us``: the market's time for which strategies have surely answered, as the stream tells it.

        ``on_waiting`` is told for which strategies the market stands still, or None.
        """
        self._market = market
        self._venue = venue
        self._server = server
        self._desk = desk
        self._budget = budget
        self._order_latency_us = order_latency_us
        self._answer_latency_us = answer_latency_us
        self._expected = expected
        self._skip_until_us = skip_until_us
        self._on_waiting = on_waiting
        self._window = Window()
        self._messages: list[Message] = []
        self._quarantined: list[Quarantined] = []
        self._ledger = ledger
        self._bars = OpenBars()
        self._held: list[int] = []
        self._roster: dict[str, Session] = {}
        """By strategy uid the last session of each, open or not: while one is away its market goes on as before."""
        self._answered_us = market.quotes.clock_us if answered_us is None else answered_us
        self._is_news = False
        self._advance: Advance | None = None
        ledger.on_step.append(self._on_step)
        server.on_joined = self._on_joined
        server.shown_us = lambda: self._answered_us

    async def run(self, feed: Feed) -> None:
        """Play the feed to its end, and the market a little on, until nothing is under way any more."""
        await self._all_there()
        await self._resume()
        async for batch in feed.batches():
            for raw in batch:
                if raw.time_us < self._skip_until_us:
                    self._market.counts.received += 1
                else:
                    await self._take(raw)
        await self._close()
        await self._finish()

    # --- prints --------------------------------------------------------------------------------

    async def _take(self, raw: FeedTick) -> None:
        market, clock_us = self._market, self._market.quotes.clock_us
        if self._window.must_close_before(raw.time_us, self._order_latency_us):
            self._tell_boundary(raw.time_us)
            await self._close()
        await self._pass_boundaries(raw.time_us)
        sequenced = market.sequencer.accept((raw,))
        market.counts.add((raw,), sequenced)
        self._quarantined += sequenced.quarantined
        self._show(sequenced.messages)
        if not sequenced.messages or raw.time_us < clock_us - clock_us % 1_000_000:
            return
        sessions = self._roster.values()
        self._bars.add(raw.time_us, {session.timeframe_us for session in sessions})
        self._window.includes(
            raw.time_us,
            acts_on_ticks=any(session.acts_on_ticks for session in sessions),
            wakes_us=chain(self._held, _timers(sessions, clock_us)),
        )

    def _show(self, messages: list[Message]) -> None:
        """Into our own view and to the venue; strategies see them when the window closes."""
        self._market.note(messages, time.perf_counter())
        self._market.match(messages)
        self._messages += messages

    async def _pass_boundaries(self, until_us: int) -> None:
        while True:
            clock_us = self._market.sequencer.clock_us
            boundary_us = next_boundary(self._pending(), clock_us, until_us)
            if boundary_us is None:
                return
            self._show(self._market.sequencer.clock_to(boundary_us))
            await self._close()

    def _tell_boundary(self, until_us: int) -> None:
        """Let a window that closes tell of the next boundary too, when that changes nothing."""
        boundary_us = next_boundary(self._pending(), self._market.sequencer.clock_us, until_us)
        if boundary_us is None or self._budget.waiting:
            return
        if joins_window(boundary_us, self._window.decision_us, self._order_latency_us):
            self._show(self._market.sequencer.clock_to(boundary_us))

    def _pending(self) -> Iterable[int]:
        """Market times at which something may happen without a print."""
        clock_us = self._market.quotes.clock_us
        event_us, grant_us = self._venue.next_event_us(), self._budget.next_grant_us()
        return chain(
            self._bars.ends(clock_us),
            self._held,
            _timers(self._roster.values(), clock_us),
            () if event_us is None else (event_us,),
            () if grant_us is None else (grant_us,),
        )

    # --- windows -------------------------------------------------------------------------------

    async def _close(self) -> None:
        """Publish the window, let every strategy answer, and see to what it decided."""
        metrics.WINDOWS.inc()
        await self._desk.settled()
        market = self._market
        market.writer.answered_us = self._answered_us
        await market.writer.write(self._messages, self._quarantined)
        clock_us = market.quotes.clock_us
        while self._held and self._held[0] <= clock_us:
            heapq.heappop(self._held)
        self._window, self._messages, self._quarantined = Window(), [], []
        await self._ask()

    async def _ask(self) -> None:
        """Let every strategy answer for all that is published, and see to what it decided."""
        for _ in range(_ROUNDS_MAXIMUM):
            self._is_news = False
            await self._round()
            if not self._is_news:
                return
        logger.warning("strategies do not come to rest", extra={"clock_us": self._answered_us})

    async def _round(self) -> None:
        quotes, sessions = self._market.quotes, self._server.sessions
        self._advance = Advance(clock_us=quotes.clock_us, sequences=dict(quotes.sequences))
        crash.point("gateway.advance.send")
        for session in tuple(sessions.values()):
            session.advance(self._advance)
        crash.point("gateway.advance.sent")
        await self._all_answered()
        crash.point("gateway.window.answered")
        self._advance = None
        self._answered_us = quotes.clock_us
        for session in sorted(sessions.values(), key=lambda each: each.owner.strategy):
            self._server.carry_out(session)
        crash.point("gateway.window.carried_out")
        await self._settled()
        self._budget.pump()
        await self._settled()
        crash.point("gateway.window.settled")

    async def _settled(self) -> None:
        await self._desk.settled()
        await self._ledger.journal.flushed()

    async def _all_answered(self) -> None:
        """A session that ends without an answer is waited for when its strategy is expected: it comes back
        and is asked again.
        """
        while True:
            await self._all_there()
            waiting = [session for session in self._server.sessions.values() if not session.has_answered]
            if not waiting:
                return
            await waiting[0].wait_answered()

    async def _all_there(self) -> None:
        await self._server.all_there(self._expected, self._on_waiting)

    def _on_joined(self, session: Session) -> None:
        before = self._roster.get(session.owner.uid)
        if before is not None:
            session.next_wake_us = before.next_wake_us
        self._roster[session.owner.uid] = session
        if self._advance is not None:
            session.advance(self._advance)

    def _on_step(self, _uid: str, report: OrderReport) -> None:
        if report.effective_us > self._market.quotes.clock_us:
            heapq.heappush(self._held, report.effective_us)
        else:
            self._is_news = True

    async def _resume(self) -> None:
        """After a restart the window that was published last may not have been answered, or not been seen to: it
        is asked for again before anything new is shown: also of a process that is new, which goes on where its
        strategy has surely answered. Of bars and reports under way this process knows nothing.
        """
        quotes = self._market.quotes
        if not quotes.clock_us:
            return
        timeframes_us = {session.timeframe_us for session in self._roster.values()}
        for tick_us in quotes.tick_us.values():
            self._bars.add(tick_us, timeframes_us)
        self._held = self._ledger.effective_after(quotes.clock_us)
        await self._settled()
        await self._ask()

    # --- the end -------------------------------------------------------------------------------

    async def _finish(self) -> None:
        """Let the last bars end and what is on its way arrive."""
        end_us = market_end(
            max(self._market.quotes.tick_us.values(), default=0),
            [session.timeframe_us for session in self._roster.values()],
            self._answer_latency_us,
        )
        await self._pass_boundaries(end_us)
        self._show(self._market.sequencer.clock_to(end_us))
        await self._close()


def _timers(sessions: Iterable[Session], clock_us: int) -> list[int]:
    return [session.next_wake_us for session in sessions if session.next_wake_us > clock_us]
