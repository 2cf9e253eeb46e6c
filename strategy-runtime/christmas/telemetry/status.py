"""What a runtime tells about itself: Redis key ``status:<market>:<strategy>``, written at most once a second."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

import msgspec

STATUS_PATH: Final = "/status"
"""Where a runtime's HTTP port shows the same."""


class TermStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One comparison of a rule: ``rsi(14) = 41.2, needs < 30``."""

    text: str
    """The whole comparison: ``rsi(14) < 30``."""
    subject: str = ""
    """Whose value it is: ``rsi(14)``."""
    value: str
    needs: str
    holds: bool


class RuleStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: Literal["entry", "exit"]
    symbol: str
    text: str
    holds: bool | None
    """None while an indicator is still warming up."""
    terms: tuple[TermStatus, ...] = ()


class PositionStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    position_id: str
    symbol: str
    quantity: Decimal
    average_price: Decimal
    break_even_price: Decimal
    unrealised_pnl: Decimal
    opened_us: int
    exit_price: Decimal | None = None


class RuntimeStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    strategy: str
    epoch: int
    time_us: int
    state: Literal["Starting", "WarmingUp", "Trading", "Waiting", "Halted", "Ended"]
    why: str
    """One sentence: why it is not trading now, or what it does."""
    rules: tuple[RuleStatus, ...] = ()
    positions: tuple[PositionStatus, ...] = ()
    closed_trades: int = 0
    winning_trades: int = 0
    realised_pnl: Decimal = Decimal(0)
    unrealised_pnl: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    signals_skipped: int = 0
    open_orders: int = 0
    last_price: dict[str, Decimal] = {}


def status_key(market: str, strategy: str) -> str:
    return f"status:{market}:{strategy}"
