"""What a strategy asks of the engine."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec


class Signal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The engine decides what becomes of it: capital, position limits and the exit policy stand between."""

    symbol: str
    kind: Literal["entry", "exit"]
    reason: str
    limit: Decimal | None = None
    """An entry's limit price; None lets the engine choose."""
    lots: int | None = None
    """An entry's size; at most one of ``lots`` and ``notional``, none means ``capital.perTrade``."""
    notional: Decimal | None = None
    """In quote currency."""
    position_id: str | None = None
    """Which position an exit closes; None: all of the symbol."""
