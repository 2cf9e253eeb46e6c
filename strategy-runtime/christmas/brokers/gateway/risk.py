"""The risk gate: a pure decision about one intent, outside the strategy's reach.

Limits that keep a strategy from taking risk (halts, capital, daily loss, stale data, open orders)
bind entries only. An exit is held back by nothing but what could not be executed or would sell what
is not there, and by an allowance of its own against an engine that has gone mad.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from christmas.brokers.permit import Limits
from christmas.execution.order import OrderIntent
from christmas.market.instrument import Instrument

_ZERO = Decimal(0)

DenialCode = Literal[
    "AccountDailyLoss",
    "AccountNotional",
    "AccountOpenOrders",
    "Capital",
    "DailyLoss",
    "ExitsPerMinute",
    "Flattening",
    "Halted",
    "LongOnly",
    "Lots",
    "MarketClosed",
    "MaxPositions",
    "MinimumNotional",
    "NotReconciled",
    "OpenOrders",
    "OrdersPerMinute",
    "Oversell",
    "PerTrade",
    "Price",
    "PriceCollar",
    "StaleMarketData",
    "UnknownPosition",
    "UnknownSymbol",
]
"""Why an order is denied; the metric's label."""


class Denial(msgspec.Struct, frozen=True):
    code: DenialCode
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy, or an account, has at stake; amounts in quote currency."""

    locked: Decimal = _ZERO
    """Capital in open positions and in entry orders that may still be filled."""
    open_orders: int = 0
    open_positions: int = 0
    """Positions that are not closed, those whose entry still waits included."""
    entries_last_minute: int = 0
    exits_last_minute: int = 0
    daily_pnl: Decimal = _ZERO
    """Realised today (UTC) and unrealised on positions that were opened today."""


class PositionView(msgspec.Struct, frozen=True, kw_only=True):
    """The position that an intent names."""

    symbol: str
    lots: int
    live_exit_lots: int
    """Already offered by exit orders that may still be filled."""


class AccountBounds(msgspec.Struct, frozen=True, kw_only=True):
    max_notional: Decimal | None = None
    max_open_orders: int
    max_daily_loss: Decimal | None = None


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """All that the decision depends on."""

    now_us: int
    """Market time."""
    instrument: Instrument | None
    last_price: Decimal | None
    last_tick_us: int
    limits: Limits
    bounds: AccountBounds
    strategy: Exposure
    account: Exposure
    position: PositionView | None
    """None: the intent opens a position."""
    blocked: str | None = None
    """Why nothing at all is sent (not reconciled)."""
    halted: str | None = None
    """Why no entry is taken."""
    feed_silent: str | None = None
    """Why the last price is nothing to go by, however young the market's clock makes it."""


def evaluate(intent: OrderIntent, at: Situation) -> Denial | None:
    """None: send it."""
    if at.blocked is not None:
        return Denial("NotReconciled", at.blocked)
    if at.instrument is None or intent.symbol not in at.limits.symbols:
        return Denial("UnknownSymbol", f"{intent.symbol} is not among {', '.join(at.limits.symbols)}")
    if (intent.purpose == "entry") is not (intent.side == "buy"):
        return Denial("LongOnly", f"an {intent.purpose} cannot {intent.side}")
    denial = _form(intent, at.instrument, at.last_price) or _hours(at.instrument, at.now_us)
    if denial is not None:
        return denial
    return _entry(intent, at, at.instrument) if intent.purpose == "entry" else _exit(intent, at)


def _form(intent: OrderIntent, instrument: Instrument, last: Decimal | None) -> Denial | None:
    if intent.lots < instrument.minimum_lots:
        return Denial("Lots", f"{intent.lots} lots, at least {instrument.minimum_lots}")
    if instrument.maximum_lots is not None and intent.lots > instrument.maximum_lots:
        return Denial("Lots", f"{intent.lots} lots, at most {instrument.maximum_lots}")
    if intent.type == "limit":
        if intent.price is None or intent.price <= 0:
            return Denial("Price", "a limit order needs a price above zero")
        if not instrument.is_on_increment(intent.price):
            return Denial("Price", f"{intent.price} is not a multiple of {instrument.price_increment}")
    elif intent.price is not None:
        return Denial("Price", "a market order has no price")
    price = intent.price if intent.price is not None else last
    if price is not None and instrument.notional(price, intent.lots) < instrument.minimum_notional:
        return Denial(
            "MinimumNotional",
            f"{instrument.notional(price, intent.lots)} {instrument.quote}, at least {instrument.minimum_notional}",
        )
    return None


def _hours(instrument: Instrument, now_us: int) -> Denial | None:
    if instrument.trading_hours is None or instrument.trading_hours.is_open(now_us):
        return None
    return Denial("MarketClosed", f"{instrument.symbol} does not trade now")


def _entry(intent: OrderIntent, at: Situation, instrument: Instrument) -> Denial | None:
    limits, mine = at.limits, at.strategy
    if at.halted is not None:
        return Denial("Halted", at.halted)
    if at.feed_silent is not None:
        return Denial("StaleMarketData", at.feed_silent)
    if at.last_price is None or at.now_us - at.last_tick_us > limits.stale_after_us:
        age = "no tick yet" if at.last_price is None else f"last tick {(at.now_us - at.last_tick_us) / 1e6:.1f} s old"
        return Denial("StaleMarketData", age)
    if at.position is not None and at.position.symbol != intent.symbol:
        return Denial("UnknownPosition", f"the position {intent.position_id} is one of {at.position.symbol}")
    reference = intent.price if intent.price is not None else at.last_price
    if abs(reference - at.last_price) > limits.price_collar * at.last_price:
        return Denial("PriceCollar", f"{reference} is too far from the last price {at.last_price}")
    # A market order's price is not known before; the collar is what it may differ by.
    slack = Decimal(1) if intent.price is not None else 1 + limits.price_collar
    notional = instrument.notional(reference, intent.lots)
    if notional > limits.per_trade * slack:
        return Denial("PerTrade", f"{notional} {instrument.quote}, at most {limits.per_trade} a trade")
    if mine.locked + notional > limits.amount:
        return Denial(
            "Capital", f"{mine.locked} of {limits.amount} {instrument.quote} are taken, {notional} more asked"
        )
    if at.position is None and mine.open_positions >= limits.max_positions:
        return Denial("MaxPositions", f"{mine.open_positions} positions are open, at most {limits.max_positions}")
    if mine.open_orders >= limits.max_open_orders:
        return Denial("OpenOrders", f"{mine.open_orders} orders are open, at most {limits.max_open_orders}")
    if mine.entries_last_minute >= limits.max_orders_per_minute:
        return Denial("OrdersPerMinute", f"{mine.entries_last_minute} entries in the last minute")
    if limits.max_daily_loss is not None and -mine.daily_pnl >= limits.max_daily_loss:
        return Denial("DailyLoss", f"{mine.daily_pnl} {instrument.quote} today, at most -{limits.max_daily_loss}")
    return _account(at, notional)


def _account(at: Situation, notional: Decimal) -> Denial | None:
    bounds, whole = at.bounds, at.account
    if bounds.max_notional is not None and whole.locked + notional > bounds.max_notional:
        return Denial("AccountNotional", f"{whole.locked} of {bounds.max_notional} are taken, {notional} more asked")
    if whole.open_orders >= bounds.max_open_orders:
        return Denial("AccountOpenOrders", f"{whole.open_orders} orders are open on the account")
    if bounds.max_daily_loss is not None and -whole.daily_pnl >= bounds.max_daily_loss:
        return Denial("AccountDailyLoss", f"{whole.daily_pnl} today on the account, at most -{bounds.max_daily_loss}")
    return None


def _exit(intent: OrderIntent, at: Situation) -> Denial | None:
    if at.position is None or at.position.symbol != intent.symbol:
        return Denial("UnknownPosition", f"there is no position {intent.position_id} of {intent.symbol}")
    free = at.position.lots - at.position.live_exit_lots
    if intent.lots > free:
        return Denial("Oversell", f"{intent.lots} lots, {free} of the position are held and not yet offered")
    if at.strategy.exits_last_minute >= at.limits.max_orders_per_minute:
        return Denial("ExitsPerMinute", f"{at.strategy.exits_last_minute} exits in the last minute")
    # Far above the market is where NoLoss rests its exits; only a price that gives away is checked.
    if (
        intent.price is not None
        and at.last_price is not None
        and intent.price < at.last_price * (1 - at.limits.price_collar)
    ):
        return Denial("PriceCollar", f"{intent.price} is too far below the last price {at.last_price}")
    return None
