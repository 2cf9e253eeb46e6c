"""The typed events stream: one Redis stream per installation, for the dashboard, the bot and audit.

Key ``events`` (``events.<replay id>`` in a replay), one field ``e`` with the event as JSON; trimmed
to about `EVENTS_MAXIMUM` entries. Decimals are strings, times UTC microseconds.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

import msgspec

EVENTS_MAXIMUM: Final = 100_000
Severity = Literal["info", "warning", "critical"]


class _Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="event"):
    time_us: int
    """When it happened, market time for what happens in the market."""
    strategy: str = ""
    broker: str = ""


class SignalEvent(_Event, frozen=True, kw_only=True, tag="signal"):
    symbol: str
    signal: Literal["entry", "exit"]
    taken: bool
    reason: str
    """Why it fired, or, when it was skipped, why."""


class OrderEvent(_Event, frozen=True, kw_only=True, tag="order"):
    client_order_id: str
    symbol: str
    side: str
    status: str
    lots: int
    filled_lots: int
    price: Decimal | None = None
    purpose: str = ""
    position_id: str = ""
    reason: str = ""


class FillEvent(_Event, frozen=True, kw_only=True, tag="fill"):
    client_order_id: str
    fill_id: str
    symbol: str
    side: str
    price: Decimal
    lots: int
    fee: Decimal
    liquidity: str
    position_id: str = ""


class PositionEvent(_Event, frozen=True, kw_only=True, tag="position"):
    position_id: str
    symbol: str
    lots: int
    average_price: Decimal | None = None
    realised_pnl: Decimal | None = None
    """Set when the position closed."""
    closed: bool = False


class AlertEvent(_Event, frozen=True, kw_only=True, tag="alert"):
    severity: Severity
    reason: str
    """CamelCase, from the catalogue in docs/events.md."""
    message: str


class StateEvent(_Event, frozen=True, kw_only=True, tag="state"):
    component: str
    state: str
    message: str = ""


Event = SignalEvent | OrderEvent | FillEvent | PositionEvent | AlertEvent | StateEvent


def events_key(replay_id: str = "") -> str:
    return f"events.{replay_id}" if replay_id else "events"
