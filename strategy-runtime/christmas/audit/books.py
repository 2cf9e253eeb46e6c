"""The stores' contents as the checks take them."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from christmas.brokers.paper.matching import PaperOrder
from christmas.execution.journal import JournalEntry
from christmas.execution.order import Fill


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a journal. ``entry`` None: its body cannot be read, ``trouble`` says why."""

    sequence: int
    owner: str
    """The strategy's uid, by which a runtime asks for its reports."""
    entry: JournalEntry | None
    trouble: str = ""


class JournalBook(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway's journal, signals that were pruned behind the recorder left out."""

    lines: tuple[Line, ...]
    started_after: int = 0
    """Sequences up to here belong to an earlier journal of the market."""
    acked: int = 0
    """Up to here signals may have been pruned."""

    @property
    def last(self) -> int:
        return max((line.sequence for line in self.lines), default=self.started_after)


class VenueBook(msgspec.Struct, frozen=True, kw_only=True):
    """The simulated venue's own books, as of one moment."""

    initial_cash: Decimal
    cash: Decimal
    positions: dict[str, int]
    orders: tuple[PaperOrder, ...]
    fills: tuple[Fill, ...]


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What another venue says of the account, by way of its gateway."""

    cash: Decimal
    holdings: dict[str, int]
    """Lots by symbol."""


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``orders``: the columns that the journal determines."""

    strategy: str
    strategy_uid: str
    epoch: int
    symbol: str
    side: str
    type: str
    time_in_force: str
    purpose: str
    position_id: str
    price: Decimal | None
    lots: int
    lot_size: Decimal
    filled_lots: int
    filled_notional: Decimal
    fees: Decimal
    status: str
    breaks_policy: str | None
    decided_us: int


class FillRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``fills``."""

    strategy: str
    client_order_id: str
    position_id: str
    purpose: str
    symbol: str
    side: str
    price: Decimal
    lots: int
    lot_size: Decimal
    fee: Decimal
    liquidity: str
    time_us: int
    sequence: int


class SignalRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``signals``."""

    strategy: str
    symbol: str
    signal: str
    taken: bool
    time_us: int


class SymbolTicks(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded of one symbol, summed up by the database itself."""

    stored: int
    late: int
    last_us: int
    doubled: int
    """Trade ids that are stored under more than one time: rows beyond the first of each."""
    doubled_example: str
    numbered: int
    """Trade ids that are numbers."""
    missing: int
    """Numbers between the lowest and the highest that are not there."""
    missing_example: str
    """The first gap, as ``after 17``."""
    watermark_ticks: int | None
    """None: there is no watermark."""
    watermark_us: int


class DatabaseBook(msgspec.Struct, frozen=True, kw_only=True):
    """One market in the database, as of one moment. What follows is by sequence, by order id, by fill id."""

    watermark: int
    """The last journal entry that is stored and projected."""
    journal: tuple[Line, ...]
    orders: dict[str, OrderRow]
    fills: tuple[tuple[str, FillRow], ...]
    signals: dict[int, SignalRow]
    ticks: dict[str, SymbolTicks]
    quarantined: int
    quarantined_again: int
    """Rows of prints that are set aside already."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How a strategy's positions end, by its manifest."""

    policy: str
    assumed: bool = False
    """There is no manifest: it is the policy of those that name none."""
