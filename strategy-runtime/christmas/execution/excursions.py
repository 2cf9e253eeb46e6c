"""What happened between the trades: one walk along the prices, in time order, with the fills in between."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from christmas.execution.accounting import EXACT, RecordedFill, RoundTrip, total
from christmas.market.tick import Tick

DAY_US: Final = 86_400_000_000
_ZERO: Final = Decimal(0)


class PricePoint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A print: when, what, and how deep it went (a bar's low, when it stands for one)."""

    time_us: int
    symbol: str
    price: Decimal
    low: Decimal | None = None


def price_points(ticks: Iterable[Tick]) -> Iterator[PricePoint]:
    """The path that ticks tell; late ones are not on it."""
    return (
        PricePoint(time_us=tick.time_us, symbol=tick.symbol, price=tick.price, low=tick.low)
        for tick in ticks
        if not tick.late
    )


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """What the walk found. Amounts in quote currency, exact."""

    trips: tuple[RoundTrip, ...]
    """All positions, in the order in which they were opened."""
    first_prices: dict[str, Decimal]
    last_prices: dict[str, Decimal]
    start_us: int
    end_us: int
    worst_excursion_pnl: Decimal
    """The lowest unrealised PnL that any single position had while it was open; never above zero."""
    worst_excursion: Decimal
    """The lowest quotient of a position's unrealised PnL and its entry notional; never above zero. Rounded."""
    max_drawdown: Decimal
    """The deepest fall of the equity below its peak so far, as a part of that peak. Rounded."""
    locked_integral: Decimal
    """Capital locked in positions, summed over time: quote currency x microseconds."""
    locked_peak: Decimal
    daily_equity: tuple[Decimal, ...]
    """Equity at the last event of each UTC day, the starting capital first."""


class _Walk:
    def __init__(self, capital: Decimal) -> None:
        self._capital = capital
        self.trips: dict[str, RoundTrip] = {}
        self._open: dict[str, RoundTrip] = {}
        self._seen: set[tuple[str, str]] = set()
        self._cash = capital
        self._held: dict[str, Decimal] = {}
        self.first: dict[str, Decimal] = {}
        self.last: dict[str, Decimal] = {}
        self._time_us: int | None = None
        self.start_us = 0
        self.worst_pnl = _ZERO
        self.worst = _ZERO
        self._peak = capital
        self.drawdown = _ZERO
        self._locked = _ZERO
        self.locked_integral = _ZERO
        self.locked_peak = _ZERO
        self.daily = [capital]
        self._equity = capital

    def pass_time(self, time_us: int) -> None:
        if self._time_us is None:
            self.start_us = self._time_us = time_us
        elif time_us > self._time_us:
            if self._locked:
                self.locked_integral = EXACT.add(
                    self.locked_integral, EXACT.multiply(self._locked, Decimal(time_us - self._time_us))
                )
            self.daily += [self._equity] * (time_us // DAY_US - self._time_us // DAY_US)
            self._time_us = time_us

    def fill(self, recorded: RecordedFill) -> None:
        fill = recorded.fill
        key = (fill.client_order_id, fill.fill_id)
        if key in self._seen:
            return
        self._seen.add(key)
        trip = self.trips.get(recorded.position_id)
        if trip is None:
            trip = self.trips[recorded.position_id] = RoundTrip(
                position_id=recorded.position_id, symbol=fill.symbol, lot_size=recorded.lot_size
            )
        before = trip.cash_flow
        trip.add(recorded.purpose, fill)
        if trip.lots > 0:
            self._open[trip.position_id] = trip
        else:
            self._open.pop(trip.position_id, None)
        self._cash = EXACT.add(self._cash, EXACT.subtract(trip.cash_flow, before))
        quantity = EXACT.multiply(recorded.lot_size, Decimal(fill.lots if fill.side == "buy" else -fill.lots))
        self._held[fill.symbol] = EXACT.add(self._held.get(fill.symbol, _ZERO), quantity)
        self.last.setdefault(fill.symbol, fill.price)
        self._locked = total(trip.locked for trip in self._open.values())
        self.locked_peak = max(self.locked_peak, self._locked)
        self._mark(fill.symbol, self.last[fill.symbol])

    def price(self, point: PricePoint) -> None:
        self.first.setdefault(point.symbol, point.price)
        self.last[point.symbol] = point.price
        if point.low is not None and point.low < point.price:
            self._mark(point.symbol, point.low)
        self._mark(point.symbol, point.price)

    def _mark(self, symbol: str, price: Decimal) -> None:
        for trip in self._open.values():
            if trip.symbol != symbol:
                continue
            pnl = trip.unrealised(price)
            if pnl < 0:
                self.worst_pnl = min(self.worst_pnl, pnl)
                self.worst = min(self.worst, pnl / trip.entry_notional)
        equity = self._cash
        for held, quantity in self._held.items():
            if quantity:
                worth = price if held == symbol else self.last[held]
                equity = EXACT.add(equity, EXACT.multiply(quantity, worth))
        self._equity = equity
        if equity > self._peak:
            self._peak = equity
        elif self._peak > 0:
            self.drawdown = max(self.drawdown, (self._peak - equity) / self._peak)

    def finish(self, end_us: int | None) -> Path:
        if end_us is not None:
            self.pass_time(end_us)
        return Path(
            trips=tuple(sorted(self.trips.values(), key=lambda trip: (trip.opened_us, trip.position_id))),
            first_prices=self.first,
            last_prices=self.last,
            start_us=self.start_us,
            end_us=self._time_us or 0,
            worst_excursion_pnl=self.worst_pnl,
            worst_excursion=self.worst,
            max_drawdown=self.drawdown,
            locked_integral=self.locked_integral,
            locked_peak=self.locked_peak,
            daily_equity=(*self.daily, self._equity),
        )


def walk(
    fills: Sequence[RecordedFill],
    path: Iterable[PricePoint],
    *,
    capital: Decimal,
    end_us: int | None = None,
) -> Path:
    """Go along ``path`` (in time order; a generator will do) with ``fills`` (in any order) in between.

    At one moment fills come before prices. The walk ends at ``end_us`` when that is later than both. Money is
    exact; the two quotients are rounded to 28 digits.
    """
    result = _Walk(capital)
    ordered = sorted(fills, key=lambda recorded: (recorded.fill.time_us, recorded.purpose, recorded.fill.fill_id))
    events: Iterator[tuple[int, int, RecordedFill | PricePoint]] = heapq.merge(
        ((recorded.fill.time_us, 0, recorded) for recorded in ordered),
        ((point.time_us, 1, point) for point in path),
        key=lambda event: event[:2],
    )
    for time_us, _, event in events:
        result.pass_time(time_us)
        if isinstance(event, PricePoint):
            result.price(event)
        else:
            result.fill(event)
    return result.finish(end_us)
