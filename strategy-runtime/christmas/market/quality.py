"""Which prints are let into the market: a pure judgement of each one, before anything trades on it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, InvalidOperation
from enum import StrEnum
from typing import Final

import msgspec

from christmas.market.instrument import Instrument
from christmas.market.raw import FeedTick
from christmas.market.tick import Side, Tick
from christmas.market.trade_order import is_after

TRADE_ID_MAXIMUM: Final = 64
_LOTS_MAXIMUM: Final = 2**63 - 1
_TIME_MAXIMUM_US: Final = 2**53
"""Scores are binary floats, exact up to here (the year 2255)."""
_CONFIRMATIONS: Final = 3
_ABSURD_REMEMBERED: Final = 64
_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)
_SIDES: Final[dict[str | None, Side | None]] = {"buy": "buy", "sell": "sell"}


class Reason(StrEnum):
    """Why a print is quarantined."""

    UNKNOWN_SYMBOL = "UnknownSymbol"
    BAD_TRADE_ID = "BadTradeId"
    BAD_PRICE = "BadPrice"
    BAD_QUANTITY = "BadQuantity"
    OFF_INCREMENT = "OffIncrement"
    NOT_WHOLE_LOTS = "NotWholeLots"
    INCONSISTENT_BAR = "InconsistentBar"
    ABSURD_MOVE = "AbsurdMove"
    TIME_IN_FUTURE = "TimeInFuture"
    TIME_TOO_OLD = "TimeTooOld"
    TRADE_ID_CONFLICT = "TradeIdConflict"


class QualityLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What is absurd."""

    max_tick_move: Decimal = Decimal("0.2")
    """As a fraction of the last price: a print further away waits for others to confirm it."""
    future_tolerance_us: int = 10_000_000
    """How far ahead of the estimated market time a print may be."""
    horizon_us: int = 600_000_000
    """How far behind the newest print one may be. Trade ids are remembered for as long."""
    remembered_ids: int = 20_000
    """At most so many trade ids a symbol; when it is reached the horizon is nearer."""


class Refusal(msgspec.Struct, frozen=True):
    reason: Reason
    detail: str


class Duplicate(msgspec.Struct, frozen=True):
    """The very print has been accepted before."""


Verdict = Tick | Refusal | Duplicate
_DUPLICATE: Final = Duplicate()


class SymbolJudge:
    """Judges the prints of one symbol in the order of their arrival, and remembers what it needs to."""

    def __init__(
        self, instrument: Instrument, limits: QualityLimits, known: Iterable[Tick] = (), known_from_us: int = 0
    ) -> None:
        """``known``: ticks accepted in an earlier life, oldest first; all of those from ``known_from_us`` on."""
        self._symbol = instrument.symbol
        self._increment = instrument.price_increment
        exponent = instrument.price_increment.as_tuple().exponent
        # The exponent a price is written with: as many decimals as the increment has, none for 10 or 1E+1.
        self._scale = Decimal((0, (1,), min(exponent, 0) if isinstance(exponent, int) else 0))
        self._lot_size = instrument.lot_size
        self._limits = limits
        self._accepted: dict[str, Tick] = {}
        self._order: deque[Tick] = deque()
        self._last: Tick | None = None
        self._newest_us = 0
        self._oldest_us = known_from_us
        """Nothing before it is taken: it could be a duplicate that is no longer known."""
        self._horizon_us = 0
        self._lowest, self._highest = _ONE, _ZERO
        """Between them a price is surely no absurd move; nothing is, to begin with."""
        self._level: _NewLevel | None = None
        self._confirmed: Decimal | None = None
        self._absurd_ids: deque[str] = deque(maxlen=_ABSURD_REMEMBERED)
        for tick in known:
            self._remember(tick)
        self._inherited = set(self._accepted)
        """What an earlier life accepted, until the feed is past it."""

    @property
    def last_price(self) -> Decimal | None:
        """Of the newest accepted print, or the new level that others have confirmed."""
        return self._confirmed if self._confirmed is not None or self._last is None else self._last.price

    def judge(self, raw: FeedTick, clock_us: int, now_us: int | None) -> Verdict:
        """The print as a tick, or why it is none.

        ``clock_us`` is the market's clock: a print before it is late. ``now_us`` is the estimated market
        time; None (a replay, where no wall clock means anything) lets any time pass that is not too old.
        """
        latest_us = _TIME_MAXIMUM_US if now_us is None else now_us + self._limits.future_tolerance_us
        tick = self._form(raw, clock_us, latest_us)
        return self._admit(tick) if isinstance(tick, Tick) else tick

    def pass_over(self, raw: FeedTick) -> None:
        """A print that was refused in an earlier life comes again: it is no more let in now than then.

        It speaks for a new level as it did, so that what comes next is judged as if there had been one life.
        """
        tick = self._form(raw, 0, _TIME_MAXIMUM_US)
        if not isinstance(tick, Tick) or tick.trade_id in self._accepted or tick.trade_id in self._absurd_ids:
            return
        if self._absurd_move(tick) is not None:
            self._absurd_ids.append(tick.trade_id)

    def _form(self, raw: FeedTick, clock_us: int, latest_us: int) -> Tick | Refusal:
        """The print in increments and whole lots, whatever came before it."""
        is_bar = raw.open is not None or raw.high is not None or raw.low is not None
        if is_bar:
            raw = _on_grid(raw, self._increment, self._lot_size)
        trade_id, time_us = raw.trade_id, raw.time_us
        if not 0 < len(trade_id) <= TRADE_ID_MAXIMUM:
            return Refusal(Reason.BAD_TRADE_ID, f"a trade id of {len(trade_id)} characters")
        if time_us > latest_us:
            return Refusal(Reason.TIME_IN_FUTURE, f"{time_us - latest_us} µs later than the latest that can be")
        # NaN leaves NaN, which is true; an infinity, or more digits than are exact, raises.
        try:
            if raw.price % self._increment:
                return _bad_price(raw.price, self._increment)
            price = raw.price.quantize(self._scale)
        except InvalidOperation:
            return _bad_price(raw.price, self._increment)
        try:
            whole, remainder = divmod(raw.quantity, self._lot_size)
            if remainder:
                return _bad_quantity(raw.quantity, self._lot_size)
            lots = int(whole)
        except InvalidOperation:
            return _bad_quantity(raw.quantity, self._lot_size)
        if price <= _ZERO:
            return _bad_price(raw.price, self._increment)
        if not (0 if is_bar else 1) <= lots <= _LOTS_MAXIMUM:
            return _bad_quantity(raw.quantity, self._lot_size)
        tick = Tick(
            time_us=time_us,
            symbol=self._symbol,
            trade_id=trade_id,
            price=price,
            lots=lots,
            taker_side=_SIDES.get(raw.taker_side),
            late=time_us < clock_us,
        )
        return self._span(raw, tick) if is_bar else tick

    def _admit(self, tick: Tick) -> Verdict:
        """The tick, if what came before it lets it in."""
        known = self._accepted.get(tick.trade_id)
        if known is not None:
            if tick.trade_id in self._inherited:
                # It came between those that are refused around it, which then are not in a row.
                self._level = None
            return _DUPLICATE if _same_content(known, tick) else _conflict(known, tick)
        if tick.time_us < self._oldest_us or tick.time_us < self._horizon_us or tick.time_us <= 0:
            return Refusal(Reason.TIME_TOO_OLD, f"{self._newest_us - tick.time_us} µs behind the newest print")
        if self._absurd_ids and tick.trade_id in self._absurd_ids:
            return Refusal(Reason.ABSURD_MOVE, "refused before; delivered again")
        is_near = self._lowest <= tick.price <= self._highest
        absurd = None if is_near else self._absurd_move(tick)
        if absurd is not None:
            self._absurd_ids.append(tick.trade_id)
            return absurd
        self._level = None
        if self._inherited:
            self._inherited = set()
        self._remember(tick)
        if not is_near:
            self._centre(self.last_price or tick.price)
        return tick

    def _span(self, raw: FeedTick, tick: Tick) -> Tick | Refusal:
        """The tick of a bar replay, with the prices of its whole interval."""
        prices: list[Decimal] = []
        for price in (raw.open, raw.high, raw.low):
            if price is None or not price.is_finite() or price <= 0:
                return Refusal(Reason.INCONSISTENT_BAR, "open, high and low must all be there and positive")
            try:
                if price % self._increment:
                    return Refusal(Reason.OFF_INCREMENT, f"price {price} is no multiple of {self._increment}")
                prices.append(price.quantize(self._scale))
            except InvalidOperation:
                return Refusal(Reason.BAD_PRICE, f"price {price} is too large to be exact")
        opened, high, low = prices
        if not low <= min(opened, tick.price) <= max(opened, tick.price) <= high:
            return Refusal(Reason.INCONSISTENT_BAR, f"open {opened}, high {high}, low {low}, close {tick.price}")
        return msgspec.structs.replace(tick, open=opened, high=high, low=low)

    def _absurd_move(self, tick: Tick) -> Refusal | None:
        """Too far from the last price, until three prints in a row with ids of their own say otherwise.

        The three stay quarantined: only what comes after the level is confirmed is traded on.
        """
        last, limit = self.last_price, self._limits.max_tick_move
        if last is None or abs(tick.price - last) <= last * limit:
            return None
        level = self._level
        if level is None or abs(tick.price - level.price) > level.price * limit:
            level = self._level = _NewLevel()
        level.price = tick.price
        level.prints += 1
        if level.prints >= _CONFIRMATIONS:
            self._confirmed = tick.price
            self._level = None
            self._centre(tick.price)
        return Refusal(
            Reason.ABSURD_MOVE, f"price {tick.price} after {last}: {level.prints} of {_CONFIRMATIONS} confirm it"
        )

    def _centre(self, price: Decimal) -> None:
        """Prices between which no move is too far, so that most prints need no more than two comparisons.

        ``price`` is the last, and as long as what is accepted lies between, so does the last. From
        ``price (1 - m/3)`` to ``price (1 + m/3)`` a move is at most ``2/3 m price``, and ``m`` times the
        lower end is not less than that for any ``m`` up to 1.
        """
        reach = price * min(self._limits.max_tick_move, _ONE) / 3
        self._lowest, self._highest = price - reach, price + reach

    def _remember(self, tick: Tick) -> None:
        time_us = tick.time_us
        if not tick.late and (self._last is None or is_after(tick, self._last)):
            self._last = tick
            self._confirmed = None
        self._accepted[tick.trade_id] = tick
        order = self._order
        order.append(tick)
        if time_us > self._newest_us:
            self._newest_us = time_us
            self._horizon_us = time_us - self._limits.horizon_us
        while len(order) > self._limits.remembered_ids or order[0].time_us < self._horizon_us:
            forgotten = order.popleft()
            self._accepted.pop(forgotten.trade_id, None)
            # What is no longer known could be a duplicate, so nothing as old is taken any more.
            self._oldest_us = max(self._oldest_us, forgotten.time_us + 1)


class _NewLevel:
    """Prints far away from the last price that agree with each other."""

    __slots__ = ("price", "prints")

    def __init__(self) -> None:
        self.price = Decimal(0)
        self.prints = 0


def _on_grid(raw: FeedTick, increment: Decimal, lot_size: Decimal) -> FeedTick:
    """A bar in whole increments and lots: it sums up trades, and whoever summed them may have kept more digits.

    High and low are rounded outwards and the volume down. A bar in which nothing was traded has no lots. What
    cannot be rounded (NaN, an infinity) stays as it is, to be refused.
    """
    try:
        return msgspec.structs.replace(
            raw,
            price=_multiple(raw.price, increment, ROUND_HALF_EVEN),
            open=None if raw.open is None else _multiple(raw.open, increment, ROUND_HALF_EVEN),
            high=None if raw.high is None else _multiple(raw.high, increment, ROUND_CEILING),
            low=None if raw.low is None else _multiple(raw.low, increment, ROUND_FLOOR),
            quantity=_multiple(raw.quantity, lot_size, ROUND_FLOOR),
        )
    except InvalidOperation:
        return raw


def _multiple(amount: Decimal, step: Decimal, rounding: str) -> Decimal:
    return (amount / step).quantize(_ONE, rounding) * step if amount % step else amount


def _bad_price(price: Decimal, increment: Decimal) -> Refusal:
    if not price.is_finite() or price <= 0:
        return Refusal(Reason.BAD_PRICE, f"price {price}")
    try:
        if price % increment:
            return Refusal(Reason.OFF_INCREMENT, f"price {price} is no multiple of {increment}")
    except InvalidOperation:
        pass
    return Refusal(Reason.BAD_PRICE, f"price {price} is too large to be exact")


def _bad_quantity(quantity: Decimal, lot_size: Decimal) -> Refusal:
    if not quantity.is_finite() or quantity <= 0:
        return Refusal(Reason.BAD_QUANTITY, f"quantity {quantity}")
    try:
        if quantity % lot_size:
            return Refusal(Reason.NOT_WHOLE_LOTS, f"quantity {quantity} is not in lots of {lot_size}")
    except InvalidOperation:
        pass
    return Refusal(Reason.BAD_QUANTITY, f"quantity {quantity} is too large")


def _same_content(known: Tick, tick: Tick) -> bool:
    return known.time_us == tick.time_us and known.price == tick.price and known.lots == tick.lots


def _conflict(known: Tick, tick: Tick) -> Refusal:
    return Refusal(
        Reason.TRADE_ID_CONFLICT,
        f"trade {tick.trade_id} was {known.lots} lots at {known.price} ({known.time_us}), "
        f"now {tick.lots} at {tick.price} ({tick.time_us})",
    )
