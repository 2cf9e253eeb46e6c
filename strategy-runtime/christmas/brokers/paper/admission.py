"""Why the paper venue refuses an order: each function gives the venue's words, or None."""

from __future__ import annotations

from collections.abc import Iterable

from christmas.brokers.paper.account import Account
from christmas.brokers.paper.matching import PaperOrder, Quotes, is_marketable
from christmas.execution.order import OrderIntent
from christmas.market.instrument import Instrument


def refusal_on_sight(intent: OrderIntent, instrument: Instrument | None, effective_us: int) -> str | None:
    """Faults that show without looking at the account or the market."""
    if instrument is None:
        return f"unknown symbol {intent.symbol}"
    if intent.lots < instrument.minimum_lots:
        return f"{intent.lots} lots are below the minimum of {instrument.minimum_lots}"
    if instrument.maximum_lots is not None and intent.lots > instrument.maximum_lots:
        return f"{intent.lots} lots are above the maximum of {instrument.maximum_lots}"
    if intent.type == "market":
        if intent.price is not None:
            return "a market order has no price"
        if intent.time_in_force == "PostOnly":
            return "a market order cannot be PostOnly"
    else:
        if intent.price is None or intent.price <= 0:
            return "a limit order needs a price above zero"
        if not instrument.is_on_increment(intent.price):
            return f"price {intent.price} is not a multiple of {instrument.price_increment}"
        notional = instrument.notional(intent.price, intent.lots)
        if notional < instrument.minimum_notional:
            return f"notional {notional} is below the minimum of {instrument.minimum_notional}"
    if instrument.trading_hours is not None and not instrument.trading_hours.is_open(effective_us):
        return "the market is closed"
    return None


def refusal_on_arrival(
    order: PaperOrder, instrument: Instrument, account: Account, others: Iterable[PaperOrder], quotes: Quotes
) -> str | None:
    """Faults that depend on the account and the market at the moment the order reaches the venue."""
    intent = order.intent
    if intent.time_in_force == "PostOnly" and is_marketable(intent, quotes):
        return "PostOnly: it would take"
    if intent.side == "sell":
        free = account.free_lots(intent.symbol, others)
        if free < intent.lots:
            return f"insufficient position: {free} lots are free"
    price = intent.price if intent.price is not None else order.reserved_price
    if price is None:
        return None
    notional = instrument.notional(price, intent.lots)
    if notional < instrument.minimum_notional:
        return f"notional {notional} is below the minimum of {instrument.minimum_notional}"
    if intent.side == "buy":
        free_cash = account.free_cash(others)
        if account.cost(intent.symbol, price, intent.lots) > free_cash:
            return f"insufficient cash: {free_cash} is free"
    return None
