"""What a session's trades amount to. Pure: rows of the database and prices in, the report out.

The keys are stable: scripts read them. Decimals are strings in JSON. Nothing in a report depends on when
or how fast it was made, so the same replay gives the same report, byte for byte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from christmas.execution.accounting import PositionFill
from christmas.execution.excursions import PricePoint
from christmas.execution.order import Fill, OrderStatus
from christmas.execution.statistics import Statistics, compute_statistics
from christmas.ingestion.history import FillRecord, OrderRecord, SignalRecord
from christmas.resources.strategy import Strategy


class TickTotals(msgspec.Struct, frozen=True, kw_only=True):
    received: int
    """Prints that the gateways took from their feeds."""
    stored: int
    late: int
    """Of those stored: came after their second had been closed."""
    quarantined: int


class StrategyReport(Statistics, frozen=True, kw_only=True):
    """The statistics of one strategy, and what became of its orders."""

    name: str
    broker: str
    symbols: tuple[str, ...]
    capital: Decimal
    orders: int
    denied: int
    """Refused by our risk gate."""
    rejected: int
    """Refused by the venue."""
    unknown: int
    """Not answered for; 0 unless something is wrong."""
    fills: int
    signals: int
    policy_breaks: int
    """Orders that broke NoLoss because a limit asked for it."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    replay_id: str
    session_id: str
    ticks: TickTotals
    strategies: tuple[StrategyReport, ...]


def strategy_report(
    strategy: Strategy,
    *,
    orders: Sequence[OrderRecord],
    fills: Sequence[FillRecord],
    signals: Sequence[SignalRecord],
    path: Iterable[PricePoint],
    end_us: int | None = None,
) -> StrategyReport:
    """One strategy's report from its own rows; ``path``: the prices of its symbols in time order."""
    spec = strategy.spec
    capital = Decimal(spec.capital.amount)
    statistics = compute_statistics(
        [_position_fill(fill) for fill in fills],
        path,
        capital=capital,
        signals_skipped=sum(not signal.taken for signal in signals),
        end_us=end_us,
    )
    statuses = Counter(order.status for order in orders)
    return StrategyReport(
        **{name: getattr(statistics, name) for name in Statistics.__struct_fields__},
        name=strategy.metadata.name,
        broker=spec.broker_ref.name,
        symbols=spec.symbols,
        capital=capital,
        orders=len(orders),
        denied=statuses[OrderStatus.DENIED],
        rejected=statuses[OrderStatus.REJECTED],
        unknown=statuses[OrderStatus.UNKNOWN],
        fills=len(fills),
        signals=len(signals),
        policy_breaks=sum(order.breaks_policy is not None for order in orders),
    )


def _position_fill(row: FillRecord) -> PositionFill:
    return PositionFill(
        position_id=row.position_id,
        purpose="entry" if row.purpose == "entry" else "exit",
        lot_size=row.lot_size,
        fill=Fill(
            fill_id=row.fill_id,
            client_order_id=row.client_order_id,
            symbol=row.symbol,
            side="buy" if row.side == "buy" else "sell",
            price=row.price,
            lots=row.lots,
            fee=row.fee,
            liquidity="maker" if row.liquidity == "maker" else "taker",
            time_us=row.time_us,
        ),
    )
