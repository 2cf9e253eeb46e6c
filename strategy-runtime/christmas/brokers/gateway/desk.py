"""From an intent to an order at the venue, whatever the venue answers or does not.

Judged and written down at once and in order of arrival; sent when the journal has it on disk and the
budget allows. An order's id makes every step repeatable: the same intent is the same order, and what
is unknown is asked for before anything else is done with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from itertools import count
from typing import Any, Final

from christmas.brokers.gateway import metrics
from christmas.brokers.gateway.budget import RequestBudget
from christmas.brokers.gateway.ledger import Ledger, Owner
from christmas.brokers.gateway.moments import UNKNOWN, Moments
from christmas.brokers.gateway.orders import Order
from christmas.brokers.gateway.quotes import Quotes
from christmas.brokers.gateway.rate import Priority
from christmas.brokers.gateway.risk import AccountBounds, Denial, Situation, evaluate
from christmas.brokers.gateway.timing import Timing
from christmas.brokers.gateway.unmatched import Unmatched
from christmas.brokers.permit import Limits
from christmas.brokers.port import (
    Venue,
    VenueError,
    VenueOrder,
    VenueRateLimited,
    VenueRejected,
    VenueReport,
)
from christmas.execution.order import CancelIntent, OrderIntent, OrderStatus
from christmas.market.instrument import Instrument
from christmas.telemetry import crash
from christmas.telemetry.cancelling import end
from christmas.telemetry.events import AlertEvent, Event, Severity

logger = logging.getLogger(__name__)

_LOG_LEVELS: Final[Mapping[Severity, int]] = {
    "info": logging.INFO,
    "warning": logging.WARNING,
    "critical": logging.ERROR,
}
_FILLS_MARGIN_US: Final = 60_000_000
_SURE_AFTER: Final = 2
"""How often a venue must say that it has never had an order before we believe it."""
_TROUBLE_AFTER: Final = 3
"""Requests without an answer, one after the other, after which everything is reconciled again."""


class Desk:
    def __init__(
        self,
        *,
        ledger: Ledger,
        venue: Venue,
        quotes: Quotes,
        budget: RequestBudget,
        timing: Timing,
        bounds: AccountBounds,
        broker: str,
        publish: Callable[[Event], None],
    ) -> None:
        self._ledger = ledger
        self._book = ledger.book
        self._venue = venue
        self._quotes = quotes
        self._budget = budget
        # Who is granted a turn is at work from that moment, not only when its task runs: `settled` must not
        # return in between.
        budget.on_granted = self._work
        self._timing = timing
        self._bounds = bounds
        self._broker = broker
        self._publish = publish
        self.instruments: dict[str, Instrument] = {}
        self.blocked: str | None = "not yet reconciled with the venue"
        """Why nothing is sent."""
        self.journal_waits: str | None = None
        """Why nothing can be written down; what cannot be written down is not sent either."""
        self.feed_silent: str | None = None
        """Why no entry is taken: the feed tells no prices. Exits go on."""
        self.flattening: set[str] = set()
        """Uids of strategies whose positions the gateway is closing itself."""
        self.on_trouble: Callable[[str], None] = lambda _reason: None
        """Called when the venue has stopped answering."""
        self.unmatched = Unmatched(ledger.journal, self.alert)
        self._placing: set[str] = set()
        self._fetching: set[str] = set()
        self._limits: dict[str, Limits] = {}
        self._cancels_decided: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._working = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._unanswered = 0

    # --- from strategies -----------------------------------------------------------------------

    def submit(
        self,
        intent: OrderIntent,
        owner: Owner,
        limits: Limits,
        *,
        moments: Moments = UNKNOWN,
    ) -> None:
        """Judge an intent, write it down, and see to it. The same one again changes nothing."""
        metrics.INTENTS.labels("submit").inc()
        if self._is_repeated(intent, owner):
            return
        self._limits[owner.uid] = limits
        time_us = self._quotes.decided_us(intent.decided_us)
        instrument = self.instruments.get(intent.symbol)
        lot_size = instrument.lot_size if instrument is not None else Decimal(1)
        denial = self._judge(intent, owner, limits, instrument, time_us)
        if denial is not None:
            metrics.DENIED.labels(denial.code).inc()
            logger.info(
                "denied", extra={"strategy": owner.strategy, "order": intent.client_order_id, "why": str(denial)}
            )
            self._ledger.denied_order(
                intent,
                owner,
                lot_size=lot_size,
                time_us=time_us,
                reason=str(denial),
                effective_us=self.known_from(time_us),
            )
            return
        self.place(intent, owner, lot_size=lot_size, time_us=time_us, moments=moments)

    def place(
        self,
        intent: OrderIntent,
        owner: Owner,
        *,
        lot_size: Decimal,
        time_us: int,
        moments: Moments = UNKNOWN,
    ) -> None:
        """Write an order down that has been judged, and send it when it is on disk."""
        key = intent.client_order_id
        self._placing.add(key)
        written = asyncio.get_running_loop().create_future()
        self._ledger.new_order(intent, owner, lot_size=lot_size, time_us=time_us, then=lambda: _resolve(written))
        self._spawn(self._place(key, written, moments))

    def cancel(self, intent: CancelIntent, owner: Owner) -> None:
        """Withdraw an order of this owner; one that is over, or being withdrawn already, stays as it is."""
        metrics.INTENTS.labels("cancel").inc()
        order = self._book.orders.get(intent.client_order_id)
        if order is None or order.strategy_uid != owner.uid or order.status.is_final or order.cancel_requested:
            metrics.REPEATED.inc()
            return
        written = asyncio.get_running_loop().create_future()
        self._ledger.cancel_requested(intent, owner, lambda: _resolve(written))
        if intent.client_order_id in self._placing:
            # It is withdrawn by the task that places it.
            self._cancels_decided[intent.client_order_id] = intent.decided_us
        else:
            self._spawn(self._withdraw(intent.client_order_id, intent.decided_us, written))

    # --- from the venue ------------------------------------------------------------------------

    def on_report(self, report: VenueReport) -> None:
        """The venue tells something of its own accord."""
        order = self._ledger.observe(
            report.order, report.fill, time_us=report.time_us, effective_us=report.effective_us
        )
        if order is None:
            if report.fill is None:
                self.unmatched.order(report.order.client_order_id)
            else:
                self.unmatched.fill(report.fill)
        else:
            self._after(order)

    def alert(self, severity: Severity, reason: str, message: str, strategy: str = "") -> None:
        logger.log(_LOG_LEVELS[severity], message, extra={"reason": reason})
        self._publish(
            AlertEvent(
                time_us=self._quotes.clock_us,
                strategy=strategy,
                broker=self._broker,
                severity=severity,
                reason=reason,
                message=message,
            )
        )

    # --- upkeep --------------------------------------------------------------------------------

    def is_placing(self, client_order_id: str) -> bool:
        return client_order_id in self._placing

    def resume(self, order: Order) -> None:
        """After a restart: see to an open order that was to be withdrawn or lacks fills."""
        if order.cancel_requested and not order.status.is_final:
            self._spawn(self._withdraw(order.id, order.cancel_decided_us, None))
        self._after(order)

    async def settled(self) -> None:
        """Return when nothing is under way but what waits for its turn in the budget, and all is reported."""
        while self._working:
            await self._idle.wait()
        await self._ledger.all_told()

    @contextmanager
    def working(self) -> Iterator[None]:
        """For work on orders outside the desk's own tasks: `settled` waits for it too."""
        self._work()
        try:
            yield
        finally:
            self._rest()

    async def close(self) -> None:
        """Stop seeing to orders; the journal knows what was under way."""
        await end(*self._tasks)

    async def request(
        self, name: str, strategy: str, priority: Priority, call: Callable[[], Coroutine[Any, Any, Any]]
    ) -> Any:
        """One request within the budget and its deadline; only from work that `settled` waits for.

        Raises VenueRejected and VenueError (TimeoutError included as such); waits out VenueRateLimited.
        """
        while True:
            await self._turn(strategy, priority)
            started = time.perf_counter()
            try:
                async with asyncio.timeout(self._timing.request_s):
                    answer = await call()
            except VenueRateLimited as error:
                metrics.VENUE_ERRORS.labels("rate_limited").inc()
                self._budget.pause(error.retry_after_s)
                continue
            except VenueRejected:
                self._unanswered = 0
                raise
            except TimeoutError as error:
                self._no_answer("timeout")
                raise VenueError(f"no answer to {name} within {self._timing.request_s} s") from error
            except (VenueError, OSError) as error:
                self._no_answer("ambiguous")
                raise VenueError(str(error) or type(error).__name__) from error
            self._unanswered = 0
            metrics.VENUE_CALL.labels(name).observe(time.perf_counter() - started)
            return answer

    # --- inside --------------------------------------------------------------------------------

    def _is_repeated(self, intent: OrderIntent, owner: Owner) -> bool:
        known = self._book.orders.get(intent.client_order_id)
        if known is None and not (self._book.forgotten and self._ledger.journal.has_order(intent.client_order_id)):
            return False
        if known is not None and (known.strategy_uid != owner.uid or known.intent != intent):
            metrics.CONFLICTING.inc()
            self.alert(
                "critical",
                "OrderIdConflict",
                f"two different intents have the order id {intent.client_order_id}; the first one stands",
                owner.strategy,
            )
        else:
            metrics.REPEATED.inc()
        return True

    def _judge(
        self, intent: OrderIntent, owner: Owner, limits: Limits, instrument: Instrument | None, now_us: int
    ) -> Denial | None:
        if owner.uid in self.flattening:
            return Denial("Flattening", "the gateway is closing this strategy's positions")
        book, quotes = self._book, self._quotes
        mine = book.strategy(owner.uid, owner.strategy)
        return evaluate(
            intent,
            Situation(
                now_us=now_us,
                instrument=instrument,
                last_price=quotes.prices.get(intent.symbol),
                last_tick_us=quotes.tick_us.get(intent.symbol, 0),
                limits=limits,
                bounds=self._bounds,
                strategy=book.exposure(mine, now_us, quotes.prices),
                account=book.account_exposure(now_us, quotes.prices),
                position=book.position_view(mine, intent.position_id),
                blocked=self.blocked or self.journal_waits,
                halted=book.halted(owner.strategy),
                feed_silent=self.feed_silent,
            ),
        )

    async def _place(self, key: str, written: asyncio.Future[None] | None, moments: Moments) -> None:
        try:
            if written is not None:
                await written
            for attempt in range(self._timing.placings):
                certain = await self._send(key, moments, is_first=attempt == 0)
                if certain or await self._clear_up(key):
                    break
            else:
                self._ledger.end(
                    key,
                    OrderStatus.REJECTED,
                    f"sent {self._timing.placings} times, and the venue is sure not to have it",
                    effective_us=self.known_from(self._quotes.clock_us),
                )
        finally:
            self._placing.discard(key)
            cancel_decided_us = self._cancels_decided.pop(key, 0)
        order = self._book.orders.get(key)
        if order is not None and order.cancel_requested and not order.status.is_final:
            await self._withdraw(key, cancel_decided_us, None)

    async def _send(self, key: str, moments: Moments, *, is_first: bool) -> bool:
        """Send an order once; whether its fate is certain now."""
        order = self._book.orders[key]
        intent = order.intent

        async def submit() -> VenueOrder | None:
            if (reason := self._obsolete(key)) is not None and is_first:
                self._ledger.end(
                    key, OrderStatus.CANCELLED, reason, effective_us=self.known_from(self._quotes.clock_us)
                )
                return None
            metrics.ORDERS_SENT.inc()
            moments.sent()
            crash.point("gateway.submit.send")
            answer = await self._venue.submit(intent)
            crash.point("gateway.submit.answered")
            return answer

        priority = Priority.ENTRY if intent.purpose == "entry" else Priority.REDUCES_RISK
        try:
            seen = await self.request("submit", order.strategy, priority, submit)
        except VenueRejected as error:
            self._ledger.end(key, OrderStatus.REJECTED, str(error), effective_us=self.known_from(intent.decided_us))
            return True
        except VenueError as error:
            self._ledger.unknown(key, str(error), effective_us=self.known_from(self._quotes.clock_us))
            return False
        if seen is not None:
            self._observe(seen, intent.decided_us)
        return True

    def _obsolete(self, key: str) -> str | None:
        """Why an order that has waited for its turn is not sent any more."""
        order = self._book.orders.get(key)
        if order is None or order.status.is_final:
            return "it is over"
        if order.cancel_requested:
            return "withdrawn before it was sent"
        if order.intent.purpose == "exit":
            return None
        limits = self._limits.get(order.strategy_uid)
        waited_us = self._quotes.clock_us - order.written_us
        if limits is not None and waited_us > limits.stale_after_us:
            return f"waited {waited_us / 1e6:.1f} s for the request budget"
        return self.feed_silent or self._book.halted(order.strategy)

    async def _clear_up(self, key: str) -> bool:
        """Ask until it is certain whether the venue has an order."""
        denials = 0
        for attempt in count(1):
            await self._timing.pause(attempt)
            order = self._book.orders.get(key)
            if order is None or order.status not in {OrderStatus.UNKNOWN, OrderStatus.PENDING}:
                return True
            try:
                seen = await self._query(order)
            except VenueError:
                continue
            if seen is not None:
                self._observe(seen, 0)
                return True
            denials += 1
            if denials >= _SURE_AFTER:
                return False
        return False

    async def _withdraw(self, key: str, decided_us: int, written: asyncio.Future[None] | None) -> None:
        if written is not None:
            await written
        for attempt in count(1):
            order = self._book.orders.get(key)
            if order is None or order.status.is_final:
                return
            try:
                crash.point("gateway.cancel.send")
                seen = await self.request(
                    "cancel", order.strategy, Priority.REDUCES_RISK, lambda: self._venue.cancel(key, decided_us)
                )
                crash.point("gateway.cancel.answered")
                self._observe(seen, decided_us)
                return
            except VenueRejected as error:
                if await self._is_gone(order, str(error)):
                    return
            except VenueError as error:
                logger.warning("a cancel was not answered", extra={"order": key, "error": str(error)})
            await self._timing.pause(attempt)

    async def _is_gone(self, order: Order, reason: str) -> bool:
        """The venue would not cancel: what is there? True when nothing is left to withdraw."""
        try:
            seen = await self._query(order)
        except VenueError:
            return False
        if seen is None:
            self._ledger.end(
                order.id, OrderStatus.CANCELLED, reason, effective_us=self.known_from(self._quotes.clock_us)
            )
            return True
        self._observe(seen, 0)
        return seen.status.is_final

    async def _query(self, order: Order) -> VenueOrder | None:
        seen: VenueOrder | None = await self.request(
            "query", order.strategy, Priority.REDUCES_RISK, lambda: self._venue.query(order.id)
        )
        return seen

    def _observe(self, seen: VenueOrder, decided_us: int) -> None:
        order = self._ledger.observe(seen, effective_us=self.known_from(decided_us or self._quotes.clock_us))
        if order is not None:
            self._after(order)

    def _after(self, order: Order) -> None:
        if order.missing_lots and order.id not in self._fetching:
            self._fetching.add(order.id)
            self._spawn(self._fetch_fills(order.id))

    async def _fetch_fills(self, key: str) -> None:
        """Ask for the fills that the venue's totals speak of and nobody has told us."""
        try:
            for attempt in count(1):
                await self._timing.pause(attempt)
                order = self._book.orders.get(key)
                if order is None or not order.missing_lots:
                    return
                since_us = order.written_us - _FILLS_MARGIN_US
                try:
                    fills = await self.request(
                        "fills",
                        order.strategy,
                        Priority.REDUCES_RISK,
                        lambda: self._venue.fills(since_us),  # noqa: B023
                    )
                except VenueError:
                    continue
                for fill in fills:
                    if fill.client_order_id == key:
                        self._ledger.observe(
                            as_seen(order), fill, time_us=fill.time_us, effective_us=self.fill_known_from(fill.time_us)
                        )
        finally:
            self._fetching.discard(key)

    def known_from(self, time_us: int) -> int:
        """When a strategy learns of our answer to what was decided at ``time_us``; 0: at once."""
        latency = self._timing.answer_latency_us
        return time_us + latency if latency else 0

    def fill_known_from(self, time_us: int) -> int:
        """When a strategy learns of a fill at ``time_us``; 0: at once."""
        latency = self._timing.report_latency_us
        return time_us + latency if latency else 0

    def send_again(self, order: Order) -> None:
        """After a restart: an order that was written down and that the venue never had."""
        self._placing.add(order.id)
        self._spawn(self._place(order.id, None, UNKNOWN))

    def _no_answer(self, kind: metrics.VenueErrorKind) -> None:
        metrics.VENUE_ERRORS.labels(kind).inc()
        self._unanswered += 1
        if self._unanswered == _TROUBLE_AFTER:
            self.on_trouble(f"{self._unanswered} requests without an answer")

    async def _turn(self, strategy: str, priority: Priority) -> None:
        turn = self._budget.take(strategy, priority)
        if turn is None:
            return
        self._rest()
        try:
            await turn
        except BaseException:
            if turn.cancelled():
                self._work()
            raise
        finally:
            self._budget.leave(turn)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._work()
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._rest()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("an order's task failed", exc_info=error)

    def _work(self) -> None:
        self._working += 1
        self._idle.clear()

    def _rest(self) -> None:
        self._working -= 1
        if self._working == 0:
            self._idle.set()


def as_seen(order: Order) -> VenueOrder:
    """What we already know of an order, in the venue's words: nothing new but the fill that comes with it."""
    return VenueOrder(
        client_order_id=order.id,
        venue_order_id=order.venue_order_id,
        status=OrderStatus.ACCEPTED,
        filled_lots=0,
        leaves_lots=order.intent.lots,
    )


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
