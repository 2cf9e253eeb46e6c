"""What the journal amounts to: orders, positions, fences, halts. Changed only by its entries.

The same `apply` builds it at start from the file and keeps it up to date afterwards, so what is
recovered is what was there.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from christmas.brokers.gateway.fence import Fence
from christmas.brokers.gateway.orders import Order
from christmas.brokers.gateway.positions import Position
from christmas.brokers.gateway.risk import Exposure, PositionView
from christmas.execution.journal import (
    CancelWritten,
    FillRecorded,
    JournalEntry,
    OrderChanged,
    OrderWritten,
    SessionChanged,
    TradingChanged,
)

FINISHED_MAXIMUM: Final = 1_000
"""Closed positions of one strategy whose orders stay in memory, for late fills."""
FINISHED_MAXIMUM_OF_ALL: Final = 3_000
"""The same of the whole account, however many strategies there have been on it."""
_DAY_US: Final = 86_400_000_000
_MINUTE_US: Final = 60_000_000
_ZERO: Final = Decimal(0)


class _Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a closed position brought, and on which day (UTC)."""

    day: int
    pnl: Decimal
    fees: Decimal


class StrategyBook:
    """One strategy's orders, positions and results."""

    def __init__(self, uid: str, name: str) -> None:
        self.uid = uid
        self.name = name
        self.positions: dict[str, Position] = {}
        self.finished: OrderedDict[str, Position] = OrderedDict()
        self.live: dict[str, None] = {}
        """Ids of orders that are not final, oldest first."""
        self.reports = 0
        """The sequence of the last report."""
        self.realised = _ZERO
        """Of closed positions, like the three that follow."""
        self.fees_paid = _ZERO
        self.closed_trades = 0
        self.winning_trades = 0
        self._booked: dict[str, _Result] = {}
        self._by_day: dict[int, Decimal] = {}
        self._entries: deque[int] = deque(maxlen=10_000)
        self._exits: deque[int] = deque(maxlen=10_000)

    def wrote(self, order: Order) -> None:
        intent = order.intent
        (self._entries if intent.purpose == "entry" else self._exits).append(order.written_us)
        self.live[order.id] = None
        position = self.position(intent.position_id)
        if position is None and intent.purpose == "entry":
            position = self.positions[intent.position_id] = Position(
                position_id=intent.position_id,
                symbol=intent.symbol,
                lot_size=order.lot_size,
                opened_us=order.written_us,
            )
        if position is not None:
            position.orders.add(order.id)
            position.live_orders.add(order.id)
            self._settle(position)

    def changed(self, order: Order) -> None:
        self.reports += 1
        if not order.status.is_final:
            return
        self.live.pop(order.id, None)
        position = self.position(order.intent.position_id)
        if position is not None:
            position.live_orders.discard(order.id)
            self._settle(position)

    def filled(self, entry: FillRecorded) -> None:
        position = self.position(entry.position_id)
        if position is not None:
            position.add(entry.fill)
            self._settle(position)

    def position(self, position_id: str) -> Position | None:
        return self.positions.get(position_id) or self.finished.get(position_id)

    def _settle(self, position: Position) -> None:
        """Put a position where it belongs, and its result into the totals: a late fill may reopen one."""
        key = position.position_id
        if position.is_closed:
            self.positions.pop(key, None)
            self.finished[key] = position
        else:
            self.finished.pop(key, None)
            self.positions[key] = position
        before = self._booked.pop(key, None)
        if before is not None:
            self._count(before, -1)
        if position.is_closed and position.entry_lots:
            day = position.changed_us // _DAY_US
            now = self._booked[key] = _Result(day=day, pnl=position.realised, fees=position.fees)
            self._count(now, 1)

    def _count(self, result: _Result, sign: int) -> None:
        self._by_day[result.day] = self._by_day.get(result.day, _ZERO) + sign * result.pnl
        self.realised += sign * result.pnl
        self.fees_paid += sign * result.fees
        self.closed_trades += sign
        self.winning_trades += sign * (result.pnl > 0)

    def forget(self) -> Iterator[str]:
        """Drop the oldest closed positions beyond the bound; the ids of their orders."""
        while len(self.finished) > FINISHED_MAXIMUM:
            yield from self.forget_oldest()
        for day in sorted(self._by_day)[:-3]:
            del self._by_day[day]

    def forget_oldest(self) -> set[str]:
        """Drop the oldest closed position, of which there must be one; the ids of its orders."""
        key, position = self.finished.popitem(last=False)
        self._booked.pop(key, None)
        return position.orders

    @property
    def is_idle(self) -> bool:
        """Nothing is at stake."""
        return not self.live and not self.positions

    def daily_pnl(self, now_us: int, prices: dict[str, Decimal]) -> Decimal:
        """Realised today (UTC), and unrealised on positions opened today."""
        today = now_us // _DAY_US
        total = self._by_day.get(today, _ZERO)
        for position in self.positions.values():
            if position.opened_us // _DAY_US == today:
                total += position.unrealised(prices.get(position.symbol))
        return total

    def last_minute(self, now_us: int) -> tuple[int, int]:
        """Entries and exits of the last 60 seconds of market time."""
        return _count_since(self._entries, now_us - _MINUTE_US), _count_since(self._exits, now_us - _MINUTE_US)


class Hold(NamedTuple):
    """No entries of a strategy while an update is about to restart it."""

    reason: str
    until_us: int
    """Wall time at which it is over by itself."""


class Book:
    """The whole account."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.strategies: dict[str, StrategyBook] = {}
        """By uid."""
        self.fences: dict[str, Fence] = {}
        self.joined: dict[str, int] = {}
        """By strategy uid: the last report when its present instance first came."""
        self.halts: dict[str, str] = {}
        """Reasons by strategy name; the account's own under the empty name."""
        self.holds: dict[str, Hold] = {}
        """By strategy name. Never the user's, so that lifting one lifts no halt."""
        self.last_fill_us = 0
        self.forgotten = 0
        """Final orders that are in the journal and no longer here."""

    def strategy(self, uid: str, name: str) -> StrategyBook:
        found = self.strategies.get(uid)
        if found is None:
            found = self.strategies[uid] = StrategyBook(uid, name)
        return found

    def apply(self, entry: JournalEntry) -> None:
        match entry:
            case OrderWritten():
                order = Order(
                    intent=entry.intent,
                    strategy=entry.strategy,
                    strategy_uid=entry.strategy_uid,
                    epoch=entry.epoch,
                    lot_size=entry.lot_size,
                    written_us=entry.time_us,
                )
                self.orders[order.id] = order
                self.strategy(entry.strategy_uid, entry.strategy).wrote(order)
            case FillRecorded():
                self._filled(entry)
            case OrderChanged():
                self._changed(entry)
            case CancelWritten():
                self._replace(
                    entry.intent.client_order_id, cancel_requested=True, cancel_decided_us=entry.intent.decided_us
                )
            case SessionChanged():
                self._session(entry)
            case TradingChanged(hold_until_us=int(until_us)):
                if entry.enabled:
                    self.holds.pop(entry.strategy, None)
                else:
                    self.holds[entry.strategy] = Hold(entry.reason, until_us)
            case TradingChanged():
                if entry.enabled:
                    self.halts.pop(entry.strategy, None)
                else:
                    self.halts[entry.strategy] = entry.reason
            case _:
                pass

    def claim(self, order: Order) -> None:
        """Remember what the venue claims of an order; claims are not journaled, they are asked for again."""
        self._replace(order.id, claimed_lots=order.claimed_lots, claimed_end=order.claimed_end)

    def open_orders(self) -> list[Order]:
        return [self.orders[key] for book in self.strategies.values() for key in book.live]

    def halted(self, strategy: str) -> str | None:
        hold = self.holds.get(strategy)
        return self.halts.get("") or self.halts.get(strategy) or (hold.reason if hold is not None else None)

    def held_lots(self) -> dict[str, int]:
        """Lots by symbol in all open positions."""
        held: dict[str, int] = {}
        for book in self.strategies.values():
            for position in book.positions.values():
                if position.lots:
                    held[position.symbol] = held.get(position.symbol, 0) + position.lots
        return held

    def exposure(self, book: StrategyBook, now_us: int, prices: dict[str, Decimal]) -> Exposure:
        locked = sum((position.locked for position in book.positions.values()), _ZERO)
        for key in book.live:
            order = self.orders[key]
            if order.intent.purpose == "entry":
                price = order.intent.price if order.intent.price is not None else prices.get(order.intent.symbol, _ZERO)
                locked += price * order.lot_size * order.leaves_lots
        entries, exits = book.last_minute(now_us)
        return Exposure(
            locked=locked,
            open_orders=len(book.live),
            open_positions=len(book.positions),
            entries_last_minute=entries,
            exits_last_minute=exits,
            daily_pnl=book.daily_pnl(now_us, prices),
        )

    def account_exposure(self, now_us: int, prices: dict[str, Decimal]) -> Exposure:
        books = self.strategies.values()
        # Most strategies that ever were here are idle, and this is asked for each order.
        parts = [self.exposure(book, now_us, prices) for book in books if not book.is_idle]
        idle = sum((book.daily_pnl(now_us, prices) for book in books if book.is_idle), _ZERO)
        return Exposure(
            locked=sum((part.locked for part in parts), _ZERO),
            open_orders=sum(part.open_orders for part in parts),
            daily_pnl=sum((part.daily_pnl for part in parts), idle),
        )

    def position_view(self, book: StrategyBook, position_id: str) -> PositionView | None:
        position = book.positions.get(position_id)
        if position is None:
            return None
        offered = sum(
            self.orders[key].leaves_lots for key in position.live_orders if self.orders[key].intent.purpose == "exit"
        )
        return PositionView(symbol=position.symbol, lots=position.lots, live_exit_lots=offered)

    def _filled(self, entry: FillRecorded) -> None:
        order = self.orders.get(entry.fill.client_order_id)
        self.last_fill_us = max(self.last_fill_us, entry.fill.time_us)
        if order is None:
            return
        self.orders[order.id] = msgspec.structs.replace(
            order, fills=(*order.fills, entry.fill), filled_lots=order.filled_lots + entry.fill.lots
        )
        self.strategies[order.strategy_uid].filled(entry)

    def _changed(self, entry: OrderChanged) -> None:
        self._replace(entry.client_order_id, status=entry.status, venue_order_id=entry.venue_order_id)
        order = self.orders.get(entry.client_order_id)
        if order is None:
            return
        book = self.strategies[order.strategy_uid]
        book.changed(order)
        if order.status.is_final and book.position(order.intent.position_id) is None:
            # An exit of a position that never was: nothing will ever ask for it by its position.
            del self.orders[order.id]
            self.forgotten += 1
        for key in self._forget(book):
            if self.orders.pop(key, None) is not None:
                self.forgotten += 1

    def _forget(self, book: StrategyBook) -> Iterator[str]:
        """Closed positions beyond the bounds, after a change in ``book``: of all, who has most gives first."""
        yield from book.forget()
        while sum(len(one.finished) for one in self.strategies.values()) > FINISHED_MAXIMUM_OF_ALL:
            yield from max(self.strategies.values(), key=lambda one: len(one.finished)).forget_oldest()

    def _session(self, entry: SessionChanged) -> None:
        fence = self.fences.get(entry.strategy_uid, Fence())
        if entry.state == "opened":
            if fence.instance != entry.instance:
                self.joined[entry.strategy_uid] = self.strategy(entry.strategy_uid, entry.strategy).reports
            fence = msgspec.structs.replace(fence, epoch=entry.epoch, instance=entry.instance)
        elif entry.state == "superseded":
            fence = msgspec.structs.replace(fence, superseded=fence.superseded | {entry.instance})
        else:
            return
        self.fences[entry.strategy_uid] = fence

    def _replace(self, client_order_id: str, **changes: object) -> None:
        order = self.orders.get(client_order_id)
        if order is not None:
            self.orders[client_order_id] = msgspec.structs.replace(order, **changes)


def _count_since(times: deque[int], since_us: int) -> int:
    while times and times[0] <= since_us:
        times.popleft()
    return len(times)
