"""Whether an entry signal becomes an order: pure functions that answer with the reason when it does not."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from christmas.execution.config import CapitalConfig
from christmas.execution.positions import TrackedPosition
from christmas.execution.sizing import Size, is_tradable, size_entry
from christmas.execution.strategies.signals import Signal
from christmas.market.instrument import Instrument

ENTRY_PATIENCE_BARS = 3
"""An entry that is not filled when the time of this many bars is over is withdrawn."""


class EntrySituation(msgspec.Struct, frozen=True, kw_only=True):
    """All that the decision depends on."""

    clock_us: int
    instrument: Instrument
    last_price: Decimal | None
    capital: CapitalConfig
    capital_left: Decimal
    open_positions: int
    """Those of all symbols, whose entry still waits included."""
    is_entry_pending: bool
    """Of the same symbol."""
    halted: str | None


def entry_price(signal: Signal, at: EntrySituation) -> Decimal | None:
    """The signal's limit, or else the last price; on the increment in the buyer's favour. None: no price yet."""
    price = at.last_price if signal.limit is None else signal.limit
    if price is None:
        return None
    # The same price is the same text, whether it came from the stream or from history.
    return at.instrument.price_floor(price).quantize(at.instrument.price_increment)


def decide_entry(signal: Signal, at: EntrySituation) -> Size:
    """The lots to buy at `entry_price`, or why the signal is skipped."""
    if at.halted is not None:
        return Size(0, f"halted: {at.halted}")
    if at.is_entry_pending:
        return Size(0, f"an entry of {signal.symbol} is still waiting")
    if at.open_positions >= at.capital.max_positions:
        return Size(0, f"all {at.capital.max_positions} positions are used")
    hours = at.instrument.trading_hours
    if hours is not None and not hours.is_open(at.clock_us):
        return Size(0, f"{signal.symbol} does not trade now")
    price = entry_price(signal, at)
    if price is None:
        return Size(0, f"no price of {signal.symbol} yet")
    return size_entry(
        at.instrument,
        price,
        capital=at.capital,
        left=at.capital_left,
        lots=signal.lots,
        wanted_notional=signal.notional,
    )


def patience_us(decided_us: int, timeframe_us: int) -> int:
    """Until when an entry may wait."""
    return decided_us - decided_us % timeframe_us + ENTRY_PATIENCE_BARS * timeframe_us


def entry_withdrawal(
    position: TrackedPosition,
    *,
    clock_us: int,
    last_bar_us: int,
    timeframe_us: int,
    instrument: Instrument,
    exit_price: Decimal,
) -> str | None:
    """Why what is left of an entry is withdrawn now; None: it goes on.

    It goes on while what was bought is too little to be sold at ``exit_price`` (withdrawn, it would be dust), and
    in a market that stands still: ``last_bar_us``, the start of the last bar that ended, is before the decision,
    so no print has had a chance to fill it and the price is still the one that was decided upon.
    """
    order, trip = position.entry, position.trip
    if not order.is_live or order.status.is_final:
        return None
    if trip.lots > 0 and not trip.exit_lots and not is_tradable(instrument, exit_price, trip.lots):
        return None
    if trip.exit_lots:
        return "the position is being sold"
    if position.decided is not None or position.rule_reason is not None:
        return "the exit was decided"
    decided_us = order.intent.decided_us
    if clock_us >= patience_us(decided_us, timeframe_us) and last_bar_us >= decided_us:
        return f"not filled within {ENTRY_PATIENCE_BARS} bars"
    return None
