"""What a gateway writes down, entry by entry, before and after it acts.

The journal is the truth about an account's orders; tables in TimescaleDB are a projection of it. Entries
travel there as the Redis stream ``journal:<market>`` with the id ``<sequence>-0`` and one field ``e``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from christmas.execution.order import CancelIntent, Fill, OrderIntent, OrderStatus


class _Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    sequence: int = 0
    """Of the journal, gapless from 1; assigned when it is written."""
    time_us: int
    """Market time."""
    wall_us: int
    strategy: str = ""


class OrderWritten(_Entry, frozen=True, kw_only=True, tag="order_written"):
    """Before an order is sent (or denied)."""

    strategy_uid: str
    epoch: int
    intent: OrderIntent
    lot_size: Decimal


class OrderChanged(_Entry, frozen=True, kw_only=True, tag="order_changed"):
    client_order_id: str
    status: OrderStatus
    filled_lots: int
    leaves_lots: int
    venue_order_id: str = ""
    reason: str = ""
    effective_us: int = 0
    """As in the `OrderReport` that told of it: whoever is told again must not know it any earlier."""


class FillRecorded(_Entry, frozen=True, kw_only=True, tag="fill_recorded"):
    position_id: str
    purpose: Literal["entry", "exit"]
    lot_size: Decimal
    fill: Fill


class CancelWritten(_Entry, frozen=True, kw_only=True, tag="cancel_written"):
    intent: CancelIntent


class SignalNoted(_Entry, frozen=True, kw_only=True, tag="signal_noted"):
    symbol: str
    signal: Literal["entry", "exit"]
    taken: bool
    reason: str


class SessionChanged(_Entry, frozen=True, kw_only=True, tag="session_changed"):
    strategy_uid: str
    epoch: int
    instance: str
    state: Literal["opened", "superseded", "refused", "closed"]
    reason: str = ""


class TradingChanged(_Entry, frozen=True, kw_only=True, tag="trading_changed"):
    """A halt or a resumption of one strategy (or, with no strategy named, the account)."""

    enabled: bool
    reason: str
    hold_until_us: int | None = None
    """Not None: a hold of an update, which is kept apart from halts, until this wall time at the latest."""


JournalEntry = (
    OrderWritten | OrderChanged | FillRecorded | CancelWritten | SignalNoted | SessionChanged | TradingChanged
)


def journal_stream(market: str) -> str:
    return f"journal:{market}"
