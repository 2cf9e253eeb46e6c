"""What an engine is told: symbols, capital, exit policy and fees, as plain data."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from christmas.execution.protocol import Fees
from christmas.market.instrument import Instrument
from christmas.market.tick import MICROSECONDS_PER_SECOND

ExitPolicy = Literal["NoLoss", "StopLoss", "Trailing"]


class CapitalConfig(msgspec.Struct, frozen=True, kw_only=True):
    """In the quote currency of the symbols. Raises ValueError for amounts that cannot trade."""

    amount: Decimal
    """The most that may be locked at once. Losses shrink it; profits do not raise it."""
    per_trade: Decimal
    """Notional of one entry, fees not included."""
    max_positions: int = 1

    def __post_init__(self) -> None:
        if self.amount <= 0 or self.per_trade <= 0 or self.max_positions < 1:
            raise ValueError(
                f"capital: amount {self.amount}, per_trade {self.per_trade} and max_positions {self.max_positions} "
                "must all be above zero"
            )


class ExitConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How positions end; fractions, so 0.0005 is 0.05 %. Raises ValueError for a policy without its numbers."""

    policy: ExitPolicy = "NoLoss"
    minimum_profit: Decimal = Decimal("0.0005")
    """Net of both fees, of the entry's notional."""
    stop_loss: Decimal | None = None
    """StopLoss and Trailing: the fall below the mean entry price at which a position is sold."""
    trailing_distance: Decimal | None = None
    """Trailing: the fall below the best price since the entry at which a position is sold."""
    maximum_age_us: int | None = None
    """Since the first fill. Breaks the policy, visibly."""
    maximum_drawdown: Decimal | None = None
    """The marked-to-market loss of all open positions together, as a part of ``capital.amount``, at which they
    are all sold. Breaks the policy, visibly."""

    def __post_init__(self) -> None:
        if self.minimum_profit < 0:
            raise ValueError(f"exit: minimum_profit {self.minimum_profit} is below zero: that would plan a loss")
        if self.policy != "NoLoss" and self.stop_loss is None:
            raise ValueError(f"exit: policy {self.policy} needs stop_loss")
        if self.policy == "Trailing" and self.trailing_distance is None:
            raise ValueError("exit: policy Trailing needs trailing_distance")
        for name in ("stop_loss", "trailing_distance", "maximum_drawdown"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"exit: {name} must be above zero, not {value}")

    @property
    def acts_on_ticks(self) -> bool:
        """Whether a single print can end a position, not only a bar's end, a report or a timer."""
        return self.policy != "NoLoss" or self.maximum_drawdown is not None


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy on one account. Raises ValueError for what cannot be traded."""

    strategy_name: str
    strategy_uid: str
    symbols: tuple[str, ...]
    instruments: dict[str, Instrument]
    timeframe_us: int
    """A whole number of seconds."""
    capital: CapitalConfig
    exit: ExitConfig
    fees: Fees

    def __post_init__(self) -> None:
        if self.timeframe_us < MICROSECONDS_PER_SECOND or self.timeframe_us % MICROSECONDS_PER_SECOND:
            raise ValueError(f"timeframe_us {self.timeframe_us} is not a whole number of seconds")
        if self.fees.taker >= 1 or self.fees.maker >= 1:
            raise ValueError(f"fees of {self.fees.maker} and {self.fees.taker} take the whole trade")
        missing = [symbol for symbol in self.symbols if symbol not in self.instruments]
        if missing or not self.symbols:
            raise ValueError(f"no instrument for {', '.join(missing)}" if missing else "no symbols")
