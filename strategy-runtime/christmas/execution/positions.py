"""The orders and positions of one strategy, kept from the gateway's reports: late, twice or out of order.

What counts is what never lies backwards: fills (each once, by order and fill id), the highest total that a
report has claimed, and an order's end. Lots may be offered for sale only when they are bought for sure and no
exit order could still sell them, so overselling is impossible whatever the order of reports.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from christmas.execution.accounting import EXACT, RoundTrip, notional, total
from christmas.execution.exits import ExitDecision, Offer
from christmas.execution.order import Fill, OrderIntent, OrderReport, OrderStatus
from christmas.execution.protocol import KnownOrder
from christmas.execution.strategies.positions import PositionView
from christmas.market.instrument import Instrument

CLOSED_MAXIMUM: Final = 256
"""Closed positions that stay in memory, for late and repeated reports."""
_FAILED_EXITS_KEPT: Final = 16
_ZERO: Final = Decimal(0)


class TrackedOrder(msgspec.Struct, kw_only=True):
    """An order that the engine decided on, as far as reports have told."""

    intent: OrderIntent
    status: OrderStatus = OrderStatus.PENDING
    sequence: int = 0
    """Of the newest report about it."""
    fill_ids: set[str] = msgspec.field(default_factory=set)
    seen_lots: int = 0
    """In fills that have come."""
    claimed_lots: int = 0
    """The highest total that a report has claimed; above ``seen_lots`` while fills are on their way."""
    cancel_asked_us: int | None = None
    reason: str = ""

    @property
    def is_live(self) -> bool:
        """Whether more of it may be filled, or a fill of it has not come yet."""
        return not self.status.is_final or self.claimed_lots > self.seen_lots

    @property
    def open_lots(self) -> int:
        """What may still come as fills."""
        if self.status.is_final:
            return self.claimed_lots - self.seen_lots
        return max(0, self.intent.lots - self.seen_lots)

    @property
    def has_failed(self) -> bool:
        """Ended with nothing filled, and not because the engine asked for it."""
        return (
            self.status.is_final
            and self.status is not OrderStatus.FILLED
            and not self.claimed_lots
            and self.cancel_asked_us is None
        )

    def observe(self, report: OrderReport) -> Fill | None:
        """Take a report in, however late; the fill if it is new."""
        fresh = report.fill if report.fill is not None and report.fill.fill_id not in self.fill_ids else None
        if fresh is not None:
            self.fill_ids.add(fresh.fill_id)
            self.seen_lots += fresh.lots
        self.claimed_lots = max(self.claimed_lots, report.filled_lots, self.seen_lots)
        is_newer = report.sequence >= self.sequence
        if not self.status.is_final and (is_newer or report.status.is_final):
            self.status = report.status
            self.reason = report.reason
        if self.status is OrderStatus.FILLED:
            self.claimed_lots = max(self.claimed_lots, self.intent.lots)
        self.sequence = max(self.sequence, report.sequence)
        return fresh


class TrackedPosition(msgspec.Struct, kw_only=True):
    """One round trip: its entry order, its exit orders, and what has been decided about it."""

    trip: RoundTrip
    entry: TrackedOrder
    exits: list[TrackedOrder] = []
    best_price: Decimal | None = None
    """The highest print since the first fill."""
    rule_reason: str | None = None
    """Set when the exit rule fired."""
    decided: ExitDecision | None = None
    """A market exit stands until the position is closed."""
    note: str = ""
    """Why an exit that is wanted is not at the venue; empty when it is."""

    @property
    def is_over(self) -> bool:
        """Nothing is held and no order can change that."""
        return self.trip.lots <= 0 and not self.entry.is_live and not any(order.is_live for order in self.exits)

    @property
    def live_exits(self) -> list[TrackedOrder]:
        return [order for order in self.exits if order.is_live]

    @property
    def sellable_lots(self) -> int:
        """Held, and in no exit order that could still sell them."""
        return max(0, self.trip.lots - sum(order.open_lots for order in self.exits))

    @property
    def offers(self) -> list[Offer]:
        """What open limit exits may still bring."""
        return [
            Offer(order.intent.price, order.open_lots)
            for order in self.exits
            if order.intent.price is not None and order.open_lots
        ]

    @property
    def failures(self) -> int:
        """Exit orders in a row, the newest included, that ended with nothing sold."""
        count = 0
        for order in reversed(self.exits):
            if not order.has_failed:
                break
            count += 1
        return count

    def forget_old_failures(self) -> list[TrackedOrder]:
        """Keep the list of exits short while a venue refuses them again and again; the orders that were dropped."""
        dropped = [order for order in self.exits if order.has_failed][:-_FAILED_EXITS_KEPT]
        if dropped:
            self.exits = [order for order in self.exits if order not in dropped]
        return dropped

    def view(self) -> PositionView:
        trip = self.trip
        return PositionView(
            position_id=trip.position_id,
            symbol=trip.symbol,
            lots=trip.lots,
            quantity=trip.lot_size * trip.lots,
            average_price=trip.average_price,
            opened_us=self.entry.intent.decided_us,
            entry_notional=trip.entry_notional,
            cash_flow=trip.cash_flow,
            is_closing=any(order.is_live for order in self.exits),
        )


class Applied(msgspec.Struct, frozen=True):
    """What a report changed: a position, and the fill if it was new."""

    position: TrackedPosition
    fill: Fill | None


class PositionBook:
    """All positions of one strategy that are not over, the last ones that are, and the totals of the rest."""

    def __init__(self, instruments: dict[str, Instrument]) -> None:
        self._instruments = instruments
        self.open: dict[str, TrackedPosition] = {}
        """By position id, the oldest first; those whose entry still waits included."""
        self._over: OrderedDict[str, TrackedPosition] = OrderedDict()
        self._position_of: dict[str, str] = {}
        self._foreign: dict[str, TrackedForeign] = {}
        self._forgotten_sequence = 0
        self._realised_base = _ZERO
        self._fees_base = _ZERO
        self._closed_base = 0
        self._winning_base = 0

    # --- changing ----------------------------------------------------------------------------------

    def restore(
        self,
        orders: Sequence[KnownOrder],
        *,
        clock_us: int,
        realised_pnl: Decimal,
        closed_trades: int,
        winning_trades: int,
        fees: Decimal,
        last_report_sequence: int,
    ) -> None:
        """Begin with what the journal holds. ``realised_pnl`` and the counts are of all closed positions, those
        among ``orders`` included; ``fees`` too."""
        self._forgotten_sequence = last_report_sequence
        for known in sorted(orders, key=lambda known: (known.intent.purpose != "entry", known.intent.decided_us)):
            self._restore_order(known, clock_us)
        for position in list(self.open.values()):
            self.settle(position)
        closed = [position.trip for position in self._over.values() if position.trip.is_closed]
        self._realised_base = EXACT.subtract(realised_pnl, total(trip.cash_flow for trip in closed))
        self._closed_base = max(0, closed_trades - len(closed))
        self._winning_base = max(0, winning_trades - sum(trip.cash_flow > 0 for trip in closed))
        self._fees_base = max(_ZERO, EXACT.subtract(fees, total(trip.fees for trip in closed)))

    def _restore_order(self, known: KnownOrder, clock_us: int) -> None:
        intent = known.intent
        order = TrackedOrder(
            intent=intent,
            status=known.status,
            cancel_asked_us=clock_us if known.cancel_requested else None,
        )
        if intent.purpose == "entry":
            position = self.add_entry(order)
        else:
            found = self.open.get(intent.position_id)
            if found is None:
                return
            position = found
            self.add_exit(position, order)
            if intent.type == "market" and intent.breaks_policy != "flatten":
                position.decided = ExitDecision(
                    action="market", reason=intent.reason, breaks_policy=intent.breaks_policy
                )
        for fill in known.fills:
            if fill.fill_id not in order.fill_ids:
                order.fill_ids.add(fill.fill_id)
                order.seen_lots += fill.lots
                position.trip.add(intent.purpose, fill)
        order.claimed_lots = max(order.seen_lots, intent.lots if known.status is OrderStatus.FILLED else 0)

    def add_entry(self, order: TrackedOrder) -> TrackedPosition:
        """A position begins when its entry is decided."""
        intent = order.intent
        trip = RoundTrip(
            position_id=intent.position_id,
            symbol=intent.symbol,
            lot_size=self._instruments[intent.symbol].lot_size,
        )
        position = self.open[intent.position_id] = TrackedPosition(trip=trip, entry=order, exits=[])
        self._position_of[intent.client_order_id] = intent.position_id
        return position

    def add_exit(self, position: TrackedPosition, order: TrackedOrder) -> None:
        position.exits.append(order)
        self._position_of[order.intent.client_order_id] = position.trip.position_id
        for dropped in position.forget_old_failures():
            self._forget_order(dropped)

    def adopt(self, intent: OrderIntent) -> None:
        """Take an exit order in that the gateway placed itself: its lots are spoken for."""
        position = self.open.get(intent.position_id)
        if position is not None and intent.purpose == "exit" and intent.client_order_id not in self._position_of:
            self.add_exit(position, TrackedOrder(intent=intent))

    def apply(self, report: OrderReport) -> list[Applied]:
        """Take a report in; what it changed, nothing when it was known."""
        position_id = self._position_of.get(report.client_order_id)
        if position_id is None:
            return self._apply_foreign(report)
        position = self.open.get(position_id) or self._over[position_id]
        order = position.entry
        if order.intent.client_order_id != report.client_order_id:
            order = next(sold for sold in position.exits if sold.intent.client_order_id == report.client_order_id)
        fill = order.observe(report)
        if fill is not None:
            position.trip.add(order.intent.purpose, fill)
        self.settle(position)
        return [Applied(position, fill)]

    def settle(self, position: TrackedPosition) -> None:
        """Put a position where it belongs: a late fill may open one again."""
        position_id = position.trip.position_id
        if not position.is_over:
            if self._over.pop(position_id, None) is not None:
                self.open[position_id] = position
            return
        self.open.pop(position_id, None)
        self._over[position_id] = position
        while len(self._over) > CLOSED_MAXIMUM:
            self._forget(self._over.popitem(last=False)[1])

    def _forget(self, position: TrackedPosition) -> None:
        for order in (position.entry, *position.exits):
            self._forget_order(order)
        trip = position.trip
        self._fees_base = EXACT.add(self._fees_base, trip.fees)
        if trip.is_closed:
            self._realised_base = EXACT.add(self._realised_base, trip.cash_flow)
            self._closed_base += 1
            self._winning_base += trip.cash_flow > 0

    def _forget_order(self, order: TrackedOrder) -> None:
        self._position_of.pop(order.intent.client_order_id, None)
        self._forgotten_sequence = max(self._forgotten_sequence, order.sequence)

    def _apply_foreign(self, report: OrderReport) -> list[Applied]:
        """An order of which nothing but reports is known: neither decided here nor adopted.

        Its sales come out of the oldest positions of the symbol; the journal knows which ones it meant, and a
        restart takes them from there. While such an order is open no exits are placed beside it. Reports that are
        older than what was forgotten say nothing new.
        """
        if report.sequence <= self._forgotten_sequence:
            return []
        order = self._foreign.setdefault(report.client_order_id, TrackedForeign())
        if len(self._foreign) > CLOSED_MAXIMUM:
            del self._foreign[next(iter(self._foreign))]
        fill = order.observe(report)
        if fill is None or fill.side != "sell":
            # Nothing of ours moved; but when it ended, exits may be placed again.
            return [Applied(position, None) for position in self.open.values()] if not order.is_open else []
        changed, left, fee = [], fill.lots, fill.fee
        for position in list(self.open.values()):
            lots = min(left, position.trip.lots)
            if position.trip.symbol != fill.symbol or lots <= 0:
                continue
            part = msgspec.structs.replace(fill, lots=lots, fee=fee)
            position.trip.add("exit", part)
            changed.append(Applied(position, part))
            left, fee = left - lots, _ZERO
            self.settle(position)
        return changed

    # --- asking ------------------------------------------------------------------------------------

    @property
    def has_foreign_orders(self) -> bool:
        """Whether an order is open that this engine did not decide on."""
        return any(order.is_open for order in self._foreign.values())

    def of_symbol(self, symbol: str) -> Iterator[TrackedPosition]:
        return (position for position in list(self.open.values()) if position.trip.symbol == symbol)

    def views(self, symbol: str) -> tuple[PositionView, ...]:
        return tuple(position.view() for position in self.open.values() if position.trip.symbol == symbol)

    @property
    def locked(self) -> Decimal:
        """Capital in open positions, and in entries that may still be filled (at their limit)."""
        parts = []
        for position in self.open.values():
            parts.append(position.trip.locked)
            intent, lots = position.entry.intent, position.entry.open_lots
            if intent.price is not None and lots:
                parts.append(notional(intent.price, position.trip.lot_size, lots))
        return total(parts)

    def unrealised(self, prices: dict[str, Decimal]) -> Decimal:
        """Of all open positions; those whose symbol has no price yet count at cost."""
        parts = []
        for position in self.open.values():
            trip, price = position.trip, prices.get(position.trip.symbol)
            if trip.entry_lots and price is not None:
                parts.append(trip.unrealised(price))
        return total(parts)

    @property
    def _closed(self) -> list[RoundTrip]:
        return [position.trip for position in self._over.values() if position.trip.is_closed]

    @property
    def realised_pnl(self) -> Decimal:
        return EXACT.add(self._realised_base, total(trip.cash_flow for trip in self._closed))

    @property
    def closed_trades(self) -> int:
        return self._closed_base + len(self._closed)

    @property
    def winning_trades(self) -> int:
        return self._winning_base + sum(trip.cash_flow > 0 for trip in self._closed)

    @property
    def fees(self) -> Decimal:
        tracked = (position.trip.fees for group in (self._over, self.open) for position in group.values())
        return EXACT.add(self._fees_base, total(tracked))

    @property
    def open_orders(self) -> int:
        return sum(order.is_live for position in self.open.values() for order in (position.entry, *position.exits))


class TrackedForeign(msgspec.Struct):
    """An order of somebody else's decision, on this strategy's positions."""

    is_open: bool = True
    fill_ids: set[str] = msgspec.field(default_factory=set)

    def observe(self, report: OrderReport) -> Fill | None:
        if report.status.is_final:
            self.is_open = False
        if report.fill is None or report.fill.fill_id in self.fill_ids:
            return None
        self.fill_ids.add(report.fill.fill_id)
        return report.fill
