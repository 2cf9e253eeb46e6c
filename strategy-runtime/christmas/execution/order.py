"""Orders, their states, and ids that are pure functions of what they stand for."""

from __future__ import annotations

from base64 import b32encode
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import Literal

import msgspec

from christmas.market.tick import Side

OrderType = Literal["limit", "market"]
TimeInForce = Literal["GTC", "IOC", "FOK", "PostOnly"]
Purpose = Literal["entry", "exit"]
Liquidity = Literal["maker", "taker"]


class OrderStatus(StrEnum):
    """Where an order is. ``denied`` is our refusal, ``rejected`` the venue's."""

    PENDING = "pending"
    """Written to the journal, not yet answered by the venue."""
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DENIED = "denied"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    """Sent and not answered: it may be at the venue. Query, then decide."""

    @property
    def is_final(self) -> bool:
        return self in _FINAL


_FINAL = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELLED,
        OrderStatus.EXPIRED,
        OrderStatus.DENIED,
        OrderStatus.REJECTED,
    }
)


class OrderIntent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the engine wants done. The gateway writes it to its journal before it sends it."""

    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    lots: int
    price: Decimal | None = None
    """Limit price; ``None`` only for a market order."""
    time_in_force: TimeInForce = "GTC"
    purpose: Purpose
    position_id: str
    """The client order id of the position's first entry order."""
    decided_us: int
    """Market time at which the engine decided."""
    reason: str = ""
    """In the trader's words: which rule fired, which exit policy asked."""
    breaks_policy: str | None = None
    """Set when a limit that the user wrote breaks NoLoss: ``maximumAge``, ``maximumDrawdown``, or
    ``flatten`` when the user asked for it."""


class CancelIntent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The engine wants an order that it submitted withdrawn."""

    client_order_id: str
    decided_us: int
    reason: str = ""


class Fill(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One execution at the venue. ``fill_id`` is the venue's and unique on the account."""

    fill_id: str
    client_order_id: str
    symbol: str
    side: Side
    price: Decimal
    lots: int
    fee: Decimal
    """In quote currency; a rebate is negative."""
    liquidity: Liquidity
    time_us: int


class OrderReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step in an order's life, as the gateway tells the runtime.

    ``effective_us`` is the market time from which the strategy may know of it (0: at once). The
    engine holds a report back until its clock is there, so that a paper session behaves the same at
    1x and in a lock-step replay.
    """

    sequence: int
    """Of the strategy's reports, without gaps: a runtime that reconnects asks for what follows."""
    client_order_id: str
    status: OrderStatus
    filled_lots: int
    """In total, this step's fill included."""
    leaves_lots: int
    fill: Fill | None = None
    reason: str = ""
    time_us: int
    effective_us: int = 0


def client_order_id(strategy_uid: str, bar_time_us: int, side: Side, sequence: int) -> str:
    """The id of the ``sequence``-th order of ``side`` that a strategy decides on in one bar.

    A pure function, so an intent that is sent again is the same order. 26 characters of
    ``[a-z2-7]`` after ``x``: every venue we know takes it (Binance allows 36).
    """
    digest = sha256(f"{strategy_uid}|{bar_time_us}|{side}|{sequence}".encode()).digest()
    return "x" + b32encode(digest[:16]).decode().rstrip("=").lower()
