"""When and how a position ends: pure functions from what is known to a decision.

NoLoss is enforced with the price of the order, never by checking a signal: its exits are limit orders at
`no_loss_price`, which cannot fill below it. See docs/statistics.md for what that does and does not mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, Context, Decimal
from typing import Final, Literal

import msgspec

from christmas.execution.accounting import EXACT, RoundTrip, notional, total
from christmas.execution.config import ExitConfig
from christmas.execution.protocol import Fees
from christmas.market.instrument import Instrument

_UPWARDS: Final = Context(prec=120, rounding=ROUND_CEILING)
_ONE: Final = Decimal(1)
_ZERO: Final = Decimal(0)
_MAXIMUM_BACK_OFF_US: Final = 300_000_000


class Offer(msgspec.Struct, frozen=True):
    """Lots that an open exit order may still sell, and its limit."""

    price: Decimal
    lots: int


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision may know of the market."""

    last: Decimal | None
    """The last print; None before the first."""
    low: Decimal | None = None
    """The lowest price of the print that is being looked at: below ``last`` only when it stands for a bar."""
    is_drawdown_exceeded: bool = False
    """Whether all open positions together have lost ``maximum_drawdown``, see `exceeds_drawdown`."""


class ExitDecision(msgspec.Struct, frozen=True, kw_only=True):
    """``no_loss``: a limit order at `no_loss_price`. ``market``: sell now, whatever open exits there are."""

    action: Literal["hold", "no_loss", "market"]
    reason: str = ""
    breaks_policy: str | None = None


HOLD: Final = ExitDecision(action="hold")


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision may know of the position."""

    trip: RoundTrip
    best_price: Decimal | None = None
    """The highest print since the first fill."""
    rule_reason: str | None = None
    """Set when the strategy's exit rule has fired for it."""
    has_exit_rule: bool
    decided: ExitDecision | None = None
    """A market exit that was decided before: it stands until the position is closed."""


def decide_exit(holding: Holding, market: Market, clock_us: int, config: ExitConfig) -> ExitDecision:
    """What to do with a position of at least one lot at market time ``clock_us``.

    Limits that the user wrote come first and say which policy they break; then the policy itself.
    """
    if holding.decided is not None:
        return holding.decided
    trip = holding.trip
    if trip.lots <= 0:
        return HOLD
    if config.maximum_age_us is not None and clock_us >= trip.opened_us + config.maximum_age_us:
        # The limit, not the age: a decision that is made again after a restart reads the same.
        age_s = Decimal(config.maximum_age_us) / 1_000_000
        return ExitDecision(
            action="market", reason=f"maximumAge: held for {age_s} s or longer", breaks_policy="maximumAge"
        )
    if market.is_drawdown_exceeded:
        return ExitDecision(
            action="market",
            reason=f"maximumDrawdown: open positions have lost {_percent(config.maximum_drawdown)} of the capital",
            breaks_policy="maximumDrawdown",
        )
    if config.policy == "NoLoss":
        return _no_loss(holding)
    stopped = _stop(holding, market, config)
    if stopped is not None:
        return stopped
    if holding.rule_reason is not None:
        return ExitDecision(action="market", reason=holding.rule_reason)
    if config.policy == "StopLoss" and not holding.has_exit_rule:
        return ExitDecision(action="no_loss", reason="take profit")
    return HOLD


def _no_loss(holding: Holding) -> ExitDecision:
    if not holding.has_exit_rule:
        return ExitDecision(action="no_loss", reason="NoLoss: rests from the entry on")
    if holding.rule_reason is not None:
        return ExitDecision(action="no_loss", reason=f"NoLoss: {holding.rule_reason}")
    return HOLD


def _stop(holding: Holding, market: Market, config: ExitConfig) -> ExitDecision | None:
    """StopLoss and Trailing: compares products, not quotients, so the level is exact."""
    price = market.last if market.low is None else market.low
    if price is None:
        return None
    trip = holding.trip
    if config.stop_loss is not None and config.policy in {"StopLoss", "Trailing"}:
        worth = notional(price, trip.lot_size, trip.entry_lots)
        if worth <= EXACT.multiply(trip.entry_notional, EXACT.subtract(_ONE, config.stop_loss)):
            return ExitDecision(
                action="market", reason=f"stop loss: {price} is {_percent(config.stop_loss)} below entry"
            )
    if config.policy == "Trailing" and config.trailing_distance is not None and holding.best_price is not None:
        level = EXACT.multiply(holding.best_price, EXACT.subtract(_ONE, config.trailing_distance))
        if price <= level:
            return ExitDecision(
                action="market",
                reason=f"trailing: {price} is {_percent(config.trailing_distance)} or more below {holding.best_price}",
            )
    return None


def exceeds_drawdown(unrealised: Decimal, amount: Decimal, config: ExitConfig) -> bool:
    """Whether open positions together have lost ``maximum_drawdown`` of the capital ``amount``.

    Realised results are not in it: they cannot be mended by closing positions, and would close each new one at once.
    """
    return config.maximum_drawdown is not None and -unrealised >= EXACT.multiply(amount, config.maximum_drawdown)


def lowest_price(proceeds: Decimal, lots: int, instrument: Instrument, fee: Decimal) -> Decimal:
    """The lowest valid price at which selling ``lots`` brings at least ``proceeds`` after ``fee`` (a fraction).

    At least one price increment. Solved in whole increments, rounded up: exact.
    """
    per_increment = EXACT.multiply(
        notional(instrument.price_increment, instrument.lot_size, lots), EXACT.subtract(_ONE, fee)
    )
    increments = _UPWARDS.divide(proceeds, per_increment).to_integral_value(ROUND_CEILING)
    price = EXACT.multiply(max(increments, _ONE), instrument.price_increment)
    # The same price is the same text, however many zeros the amounts that led to it carried.
    return price.quantize(instrument.price_increment, context=EXACT)


def break_even_price(trip: RoundTrip, instrument: Instrument, fees: Fees) -> Decimal:
    """The lowest price at which selling what is held ends the position without a loss; one increment when it cannot."""
    if trip.lots <= 0:
        return instrument.price_increment
    cost = EXACT.minus(trip.cash_flow)
    return lowest_price(cost, trip.lots, instrument, exit_fee(fees))


def exit_fee(fees: Fees) -> Decimal:
    """The dearer of both: an exit may take or make, the floor must hold for either."""
    return max(fees.taker, fees.maker)


def no_loss_price(
    trip: RoundTrip,
    lots: int,
    offers: Sequence[Offer],
    *,
    instrument: Instrument,
    fees: Fees,
    minimum_profit: Decimal,
) -> Decimal:
    """The limit of an exit order of ``lots``, beside open exit orders ``offers`` of the same position.

    The lowest p with ``p x quantity x (1 - fee) >= entry notional x (1 + minimum_profit) + entry fees``, for all
    that was bought; and also for these lots alone, after what is already sold and when all ``offers`` fill at
    their limits. The higher of both, plus one price increment. Fills and fees of the entry are the actual ones.
    """
    fee = exit_fee(fees)
    required = total(
        (trip.entry_notional, trip.entry_fees, EXACT.multiply(trip.entry_notional, minimum_profit)),
    )
    kept = EXACT.subtract(_ONE, fee)
    offered = total(EXACT.multiply(notional(offer.price, trip.lot_size, offer.lots), kept) for offer in offers)
    received = EXACT.subtract(trip.exit_notional, trip.exit_fees)
    missing = EXACT.subtract(EXACT.subtract(required, received), offered)
    whole = lowest_price(required, trip.entry_lots, instrument, fee)
    rest = lowest_price(max(missing, _ZERO), lots, instrument, fee)
    return EXACT.add(max(whole, rest), instrument.price_increment)


def retry_us(failures: int, decided_us: int, timeframe_us: int) -> int:
    """When an exit that was refused ``failures`` times in a row is placed again.

    ``decided_us``: of the last of them. The end of its bar, then 1, 3, 7 ... bars later, at most five minutes (or
    one bar) later: a function of the order alone, so that a restart in between changes nothing.
    """
    bar_end_us = decided_us - decided_us % timeframe_us + timeframe_us
    longest = max(1, _MAXIMUM_BACK_OFF_US // timeframe_us)
    bars: int = min(1 << min(failures - 1, 30), longest)
    return bar_end_us + (bars - 1) * timeframe_us


def _percent(fraction: Decimal | None) -> str:
    return "" if fraction is None else f"{(fraction * 100).normalize():f} %"
