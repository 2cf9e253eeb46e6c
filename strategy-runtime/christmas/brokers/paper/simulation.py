"""The simulated exchange itself: orders, cancels, prints and the clock in, changes out. No I/O.

What it does depends on the market times of its inputs alone, never on when or in which portions they
came, so the same prints and orders give the same fills live, in a replay and after a restart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from christmas.brokers.paper.account import Account
from christmas.brokers.paper.admission import refusal_on_arrival, refusal_on_sight
from christmas.brokers.paper.matching import Meeting, PaperOrder, Quotes, allowance, is_marketable, meet
from christmas.brokers.paper.metrics import LATE_ARRIVALS, SKIPPED_PRINTS
from christmas.brokers.paper.tape import Tape
from christmas.brokers.paper.terms import Terms
from christmas.execution.order import Fill, OrderIntent, OrderStatus
from christmas.market.tick import MICROSECONDS_PER_SECOND, Tick

NEVER: Final = 1 << 62


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One step in an order's life, as the account holder will hear of it."""

    client_order_id: str
    status: OrderStatus
    filled_lots: int
    leaves_lots: int
    reason: str
    fill: Fill | None
    time_us: int
    effective_us: int


class Simulation:
    """State in memory. ``changes`` and ``touched`` pile up until the venue has written and told them."""

    def __init__(self, terms: Terms, account: Account, tapes: dict[str, Tape]) -> None:
        self._terms = terms
        self.account = account
        self.tapes = tapes
        self.clock_us = 0
        self.orders: dict[str, PaperOrder] = {}
        """Open ones only."""
        self.changes: list[Change] = []
        self.touched: dict[str, PaperOrder] = {}
        """Orders that changed in a way somebody will hear of, final ones too."""
        self._by_symbol: dict[str, list[PaperOrder]] = {symbol: [] for symbol in tapes}
        self._next_us = NEVER

    # --- in ------------------------------------------------------------------------------------

    def restore(self, orders: list[PaperOrder], clock_us: int) -> None:
        """Go on with the open orders and the clock of a ledger."""
        self.clock_us = clock_us
        for order in orders:
            self._add(order)

    def submit(self, intent: OrderIntent) -> PaperOrder:
        """Take an order in. It comes back REJECTED when its faults show on sight."""
        due_us = intent.decided_us + self._terms.order_latency_us
        if due_us < self.clock_us:
            LATE_ARRIVALS.labels("order").inc()
        order = PaperOrder(intent=intent, effective_us=max(due_us, self.clock_us))
        refusal = refusal_on_sight(intent, self._terms.instruments.get(intent.symbol), order.effective_us)
        if refusal is not None:
            return self._refuse(order, refusal)
        self._add(order)
        self.touched[intent.client_order_id] = order
        self._advance(self.clock_us)
        return order

    def refuse(self, intent: OrderIntent, reason: str) -> PaperOrder:
        """Remember an order that is turned away unseen."""
        return self._refuse(PaperOrder(intent=intent, effective_us=self.clock_us), reason)

    def forget_changes(self, client_order_id: str) -> None:
        """Drop what the caller is told in the answer to its own request."""
        self.changes = [change for change in self.changes if change.client_order_id != client_order_id]

    def cancel(self, order: PaperOrder, decided_us: int) -> None:
        """Let a cancel arrive; ``decided_us`` 0: it arrives now. A cancel under way stays as it is."""
        if order.status.is_final or order.cancel_us is not None:
            return
        due_us = decided_us + self._terms.order_latency_us if decided_us else self.clock_us
        if due_us < self.clock_us:
            LATE_ARRIVALS.labels("cancel").inc()
        order.cancel_us = max(due_us, self.clock_us)
        self.touched[order.intent.client_order_id] = order
        self._next_us = min(self._next_us, order.cancel_us)
        self._advance(self.clock_us)

    def on_tick(self, tick: Tick) -> None:
        tape = self.tapes[tick.symbol]
        time_us = tick.time_us
        if tick.late or (time_us <= tape.time_us and not tape.admits(tick)):
            SKIPPED_PRINTS.inc()
            return
        if time_us >= self._next_us:
            self._advance(time_us)
        self.clock_us = max(self.clock_us, time_us)
        orders = self._by_symbol[tick.symbol]
        if orders:
            self._match(tick, orders, tape)
        tape.record(tick)

    def on_clock(self, clock_us: int) -> None:
        """Only whole seconds count: in between it depends on the mode who calls when."""
        whole_us = clock_us - clock_us % MICROSECONDS_PER_SECOND
        if whole_us >= self._next_us:
            self._advance(whole_us)
        self.clock_us = max(self.clock_us, whole_us)

    def next_event_us(self) -> int | None:
        return None if self._next_us == NEVER else self._next_us

    # --- orders and cancels that arrive --------------------------------------------------------

    def _advance(self, to_us: int) -> None:
        """Let everything arrive that is due by ``to_us``, in the order of market time."""
        while True:
            due = min(self._due(), key=lambda each: (each[0], each[1], each[2].priority), default=None)
            self._next_us = NEVER if due is None else due[0]
            if due is None or due[0] > to_us:
                return
            due_us, arrives, order = due
            # The moment of hearing must not depend on which input came first: the next print's or
            # the next whole second's, whichever is earlier, is the same in every mode.
            seen_us = max(due_us, min(to_us, _next_second(due_us)))
            if arrives:
                self._arrive(order, due_us, seen_us)
            else:
                self._end(order, OrderStatus.CANCELLED, "", due_us, seen_us)

    def _due(self) -> Iterator[tuple[int, bool, PaperOrder]]:
        """(when, whether it is an order and not a cancel, order): cancels go first in a moment."""
        for order in self.orders.values():
            if order.cancel_us is not None:
                yield order.cancel_us, False, order
            if order.phase == "pending":
                yield order.effective_us, True, order

    def _arrive(self, order: PaperOrder, due_us: int, seen_us: int) -> None:
        intent = order.intent
        instrument = self._terms.instruments[intent.symbol]
        tape = self.tapes[intent.symbol]
        quotes = _quotes(tape)
        if intent.type == "market":
            order.reserved_price = (quotes.ask if intent.side == "buy" else quotes.bid) or quotes.last
        refusal = refusal_on_arrival(order, instrument, self.account, self._others(order), quotes)
        if refusal is not None:
            self._end(order, OrderStatus.REJECTED, refusal, due_us, seen_us)
            return
        self.touched[intent.client_order_id] = order
        takes = is_marketable(intent, quotes)
        if takes is None:
            # Nothing is known of the market: the dearer fee, unless the order forbids to take.
            takes = intent.time_in_force != "PostOnly"
        if takes or intent.time_in_force in {"IOC", "FOK"}:
            order.phase = "taking"
        else:
            self._rest(order, tape, due_us)

    @staticmethod
    def _rest(order: PaperOrder, tape: Tape, time_us: int) -> None:
        order.phase = "resting"
        order.queue_ahead = 0 if order.intent.price is None else tape.traded_at(order.intent.price, time_us)

    # --- prints --------------------------------------------------------------------------------

    def _match(self, tick: Tick, orders: list[PaperOrder], tape: Tape) -> None:
        allowed = allowance(tick.lots, self._terms.participation)
        quotes = _quotes(tape)
        for order in tuple(orders):
            if order.effective_us > tick.time_us:
                break
            meeting = meet(order, tick, quotes, allowed)
            order.queue_ahead = meeting.queue_ahead
            if meeting.rests:
                self._rest(order, tape, tick.time_us)
                continue
            allowed -= self._fill(order, meeting, tick)
            if order.intent.time_in_force in {"IOC", "FOK"} and not order.status.is_final:
                reason = f"{order.intent.time_in_force}: the print left {order.leaves_lots} lots open"
                self._end(order, OrderStatus.EXPIRED, reason, tick.time_us, tick.time_us)

    def _fill(self, order: PaperOrder, meeting: Meeting, tick: Tick) -> int:
        """Book what a print gives an order; returns the lots."""
        intent, lots = order.intent, meeting.lots
        if lots and intent.type == "market" and intent.side == "buy":
            cash = self.account.free_cash(self._others(order))
            affordable = self.account.affordable_lots(intent.symbol, meeting.price, cash)
            lots = min(lots, affordable) if intent.time_in_force != "FOK" or affordable >= lots else 0
            if not lots:
                self._end(order, OrderStatus.CANCELLED, "insufficient cash", tick.time_us, tick.time_us)
        if not lots:
            return 0
        order.filled_lots += lots
        order.fills += 1
        done = order.filled_lots == intent.lots
        rate = self._terms.fees.maker if meeting.liquidity == "maker" else self._terms.fees.taker
        fill = Fill(
            fill_id=f"{intent.client_order_id}-{order.fills}",
            client_order_id=intent.client_order_id,
            symbol=intent.symbol,
            side=intent.side,
            price=meeting.price,
            lots=lots,
            fee=self._terms.instruments[intent.symbol].notional(meeting.price, lots) * rate,
            liquidity=meeting.liquidity,
            time_us=tick.time_us,
        )
        self.account.apply(fill)
        order.status = OrderStatus.FILLED if done else OrderStatus.PARTIALLY_FILLED
        if done:
            self._remove(order)
        self._tell(order, fill, tick.time_us, tick.time_us)
        return lots

    # --- out -----------------------------------------------------------------------------------

    def _end(self, order: PaperOrder, status: OrderStatus, reason: str, time_us: int, seen_us: int) -> None:
        order.status, order.reason = status, reason
        self._remove(order)
        self._tell(order, None, time_us, seen_us)

    def _refuse(self, order: PaperOrder, reason: str) -> PaperOrder:
        order.status, order.phase, order.reason = OrderStatus.REJECTED, "done", reason
        self.touched[order.intent.client_order_id] = order
        return order

    def _tell(self, order: PaperOrder, fill: Fill | None, time_us: int, seen_us: int) -> None:
        order.told_us = seen_us + self._terms.report_latency_us
        self.touched[order.intent.client_order_id] = order
        self.changes.append(
            Change(
                client_order_id=order.intent.client_order_id,
                status=order.status,
                filled_lots=order.filled_lots,
                leaves_lots=order.leaves_lots,
                reason=order.reason,
                fill=fill,
                time_us=time_us,
                effective_us=order.told_us,
            )
        )

    def _add(self, order: PaperOrder) -> None:
        self.orders[order.intent.client_order_id] = order
        same_symbol = self._by_symbol[order.intent.symbol]
        same_symbol.append(order)
        same_symbol.sort(key=lambda each: each.priority)
        self._next_us = min((due[0] for due in self._due()), default=NEVER)

    def _remove(self, order: PaperOrder) -> None:
        order.phase = "done"
        del self.orders[order.intent.client_order_id]
        self._by_symbol[order.intent.symbol].remove(order)

    def _others(self, order: PaperOrder) -> list[PaperOrder]:
        return [other for other in self.orders.values() if other is not order]


def _quotes(tape: Tape) -> Quotes:
    return Quotes(bid=tape.bid, ask=tape.ask, last=tape.last, time_us=tape.time_us)


def _next_second(time_us: int) -> int:
    """The first whole second at or after ``time_us``."""
    return -(-time_us // MICROSECONDS_PER_SECOND) * MICROSECONDS_PER_SECOND
