"""How an order meets a print: pure functions, each from what is known to what follows.

There is no book, only prints, so every rule takes the worse of what may have happened
(docs/paper-venue.md gives each with its reason).
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import Final, Literal

import msgspec

from christmas.execution.order import Liquidity, OrderIntent, OrderStatus
from christmas.market.tick import Tick

Phase = Literal["pending", "taking", "resting", "done"]

BAR_ENTRY_PART: Final = 20
"""An order that came in the first 1/20 of a bar meets the whole bar; a later one only its close,
because the bar's high and low may be older than the order."""


class PaperOrder(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An order at the paper venue. Mutable: the simulation moves it on."""

    intent: OrderIntent
    effective_us: int
    """Market time at which it reached the venue: it meets no print before."""
    phase: Phase = "pending"
    status: OrderStatus = OrderStatus.ACCEPTED
    filled_lots: int = 0
    fills: int = 0
    queue_ahead: int = 0
    """Lots that must print at its price before it does (resting)."""
    reserved_price: Decimal | None = None
    """What a market buy was expected to cost, a lot's worth of base currency."""
    cancel_us: int | None = None
    """Market time at which a cancel reaches the venue."""
    reason: str = ""
    told_us: int = 0
    """Market time from which the account holder knows of its last change."""

    @property
    def leaves_lots(self) -> int:
        return 0 if self.status.is_final else self.intent.lots - self.filled_lots

    @property
    def priority(self) -> tuple[int, str]:
        """Time priority. The id breaks ties, so the order of arrival within a moment changes nothing."""
        return self.effective_us, self.intent.client_order_id


class Quotes(msgspec.Struct, frozen=True, kw_only=True):
    """What the prints before this one have shown."""

    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    time_us: int
    """Of the print before."""


class Meeting(msgspec.Struct, frozen=True, kw_only=True):
    """What one print does to one order."""

    lots: int = 0
    price: Decimal = Decimal(0)
    liquidity: Liquidity = "taker"
    queue_ahead: int = 0
    rests: bool = False
    """The market left a taking order behind: from now on it waits at its price (IOC and FOK end)."""


def allowance(lots: int, participation: Decimal) -> int:
    """The lots of a print that all our orders together may take: at least one of any."""
    if lots <= 0:
        return 0
    return max(1, int((lots * participation).to_integral_value(ROUND_FLOOR)))


def is_marketable(intent: OrderIntent, quotes: Quotes) -> bool | None:
    """Whether an order takes on arrival; None when no print has told.

    A limit beyond the last print counts as taking too: the true quote lies between that print and
    the last one of the other side, and the taker's fee is the dearer one.
    """
    limit = intent.price
    if limit is None:
        return True
    if quotes.last is None:
        return None
    if intent.side == "buy":
        return limit > quotes.last or (quotes.ask is not None and limit >= quotes.ask)
    return limit < quotes.last or (quotes.bid is not None and limit <= quotes.bid)


def meet(order: PaperOrder, tick: Tick, quotes: Quotes, allowed: int) -> Meeting:
    """What ``tick`` does to an order that takes or rests; ``allowed``: lots it may have of it."""
    if order.phase == "taking":
        return _take(order, tick, quotes, allowed)
    return _rest(order, tick, quotes, allowed)


def _take(order: PaperOrder, tick: Tick, quotes: Quotes, allowed: int) -> Meeting:
    intent = order.intent
    buys, limit = intent.side == "buy", intent.price
    whole_bar = _sees_whole_bar(order, tick, quotes)
    best, worst = tick.price, tick.price
    if whole_bar and tick.low is not None and tick.high is not None:
        best = tick.low if buys else tick.high
        opened = tick.price if tick.open is None else tick.open
        worst = max(opened, tick.price) if buys else min(opened, tick.price)
    seen = quotes.ask if buys else quotes.bid
    if seen is not None and not whole_bar:
        worst = max(worst, seen) if buys else min(worst, seen)

    if limit is not None and (best > limit if buys else best < limit):
        return Meeting(rests=intent.time_in_force not in {"IOC", "FOK"})
    price = worst if limit is None else (min(limit, worst) if buys else max(limit, worst))
    leaves = order.leaves_lots
    if intent.time_in_force == "FOK" and allowed < leaves:
        return Meeting()
    return Meeting(lots=min(leaves, allowed), price=price, liquidity="taker")


def _rest(order: PaperOrder, tick: Tick, quotes: Quotes, allowed: int) -> Meeting:
    intent = order.intent
    limit = intent.price
    if limit is None:
        raise ValueError(f"{intent.client_order_id}: a market order cannot rest")
    reach = tick.price
    if _sees_whole_bar(order, tick, quotes) and tick.low is not None and tick.high is not None:
        reach = tick.low if intent.side == "buy" else tick.high
    if reach < limit if intent.side == "buy" else reach > limit:
        return Meeting(lots=min(order.leaves_lots, allowed), price=limit, liquidity="maker")
    if reach != limit or tick.high is not None:
        return Meeting(queue_ahead=order.queue_ahead)
    used = min(order.queue_ahead, tick.lots)
    lots = min(order.leaves_lots, allowed, tick.lots - used)
    return Meeting(lots=lots, price=limit, liquidity="maker", queue_ahead=order.queue_ahead - used)


def _sees_whole_bar(order: PaperOrder, tick: Tick, quotes: Quotes) -> bool:
    if tick.high is None:
        return False
    span_us = tick.time_us - quotes.time_us
    return (order.effective_us - quotes.time_us) * BAR_ENTRY_PART <= span_us
