"""Why a strategy does not trade now, or what it does: one state and one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from christmas.execution.config import EngineConfig
from christmas.execution.exits import break_even_price
from christmas.execution.positions import TrackedPosition
from christmas.telemetry.status import PositionStatus, RuleStatus

State = Literal["Starting", "WarmingUp", "Trading", "Waiting", "Halted"]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What the sentence is made of."""

    is_restored: bool
    halted: str | None
    warm_up: Mapping[str, tuple[int, int]]
    """Symbols that are not warm: bars seen, bars needed."""
    rules: Sequence[RuleStatus]
    positions: Sequence[TrackedPosition]
    capital_left: Decimal
    last_skip: str = ""
    """Why the last entry signal was skipped; empty when it was taken."""


def explain(config: EngineConfig, at: Progress) -> tuple[State, str]:
    """The state, and why."""
    if not at.is_restored:
        return "Starting", "waits for the gateway's welcome"
    notes = [note for position in at.positions if (note := _position_note(position))]
    if at.halted is not None:
        return "Halted", "; ".join([f"halted: {at.halted}", *notes])
    if at.warm_up and not at.positions:
        seen = ", ".join(f"{symbol}: {bars} of {needed} bars" for symbol, (bars, needed) in at.warm_up.items())
        return "WarmingUp", f"warming up: {seen}"
    sentence = "; ".join([*_slots(config, at), *notes, *_missing_terms(at.rules)])
    return ("Trading" if at.positions else "Waiting"), sentence or "waits for a signal"


def _slots(config: EngineConfig, at: Progress) -> list[str]:
    capital = config.capital
    used = len(at.positions)
    parts = []
    if used >= capital.max_positions:
        parts.append(f"all {capital.max_positions} positions are used")
    elif used:
        parts.append(f"{used} of {capital.max_positions} positions are used")
    if at.capital_left < capital.per_trade:
        parts.append(f"{at.capital_left:f} of {capital.amount:f} capital left")
    if at.last_skip and not used:
        parts.append(f"last signal skipped: {at.last_skip}")
    return parts


def _position_note(position: TrackedPosition) -> str:
    if position.note:
        return f"{position.trip.symbol}: {position.note}"
    if not position.trip.entry_lots:
        return f"{position.trip.symbol}: entry waits at {position.entry.intent.price}"
    return ""


def _missing_terms(rules: Sequence[RuleStatus]) -> list[str]:
    """The terms of each symbol's entry rule that do not hold."""
    parts = []
    for rule in rules:
        if rule.name != "entry" or rule.holds is not False:
            continue
        missing = [
            f"{term.subject or term.text} = {term.value}, needs {term.needs}" for term in rule.terms if not term.holds
        ]
        parts.append(f"{rule.symbol}: {' and '.join(missing)}" if missing else f"{rule.symbol}: {rule.text}")
    return parts


def position_status(
    position: TrackedPosition, config: EngineConfig, prices: Mapping[str, Decimal]
) -> PositionStatus | None:
    """None before the first fill."""
    trip = position.trip
    average = trip.average_price
    if average is None:
        return None
    price = prices.get(trip.symbol, average)
    return PositionStatus(
        position_id=trip.position_id,
        symbol=trip.symbol,
        quantity=trip.lot_size * trip.lots,
        average_price=average,
        break_even_price=break_even_price(trip, config.instruments[trip.symbol], config.fees),
        unrealised_pnl=trip.unrealised(price),
        opened_us=trip.opened_us,
        exit_price=min((offer.price for offer in position.offers), default=None),
    )
