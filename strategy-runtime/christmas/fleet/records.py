"""Reading a session's rows for a report."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import asyncpg

from christmas.execution.excursions import PricePoint
from christmas.fleet.errors import FleetError
from christmas.fleet.report import StrategyReport, strategy_report
from christmas.fleet.session import Session
from christmas.ingestion.history import load_bars, load_fills, load_orders, load_signals, price_path, tick_counts
from christmas.resources.strategy import Strategy

POINTS_MAXIMUM: Final = 500_000
"""A longer history is walked by one-minute bars (their low and close), which bounds memory and time."""
_MINUTE_US: Final = 60_000_000
_FAR_FUTURE_US: Final = 4_102_444_800_000_000


class DatabaseAwayError(FleetError):
    """The database does not answer."""


async def open_pool(database_url: str) -> asyncpg.Pool:
    """Raises DatabaseAwayError."""
    try:
        return await asyncpg.create_pool(database_url, min_size=1, max_size=2, timeout=10, command_timeout=60)
    except (OSError, ValueError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseAwayError(f"the database does not answer: {error}", "see `christmas doctor`") from error


async def read_reports(
    pool: asyncpg.Pool, session: Session, strategies: Sequence[Strategy], *, end_us: dict[str, int] | None = None
) -> list[StrategyReport]:
    """A report for each strategy. ``end_us``: by Broker, where its market ended."""
    points: dict[tuple[str, str], list[PricePoint]] = {}
    reports = []
    for strategy in strategies:
        name, broker = strategy.metadata.name, strategy.spec.broker_ref.name
        market = session.market(broker)
        for symbol in strategy.spec.symbols:
            if (market, symbol) not in points:
                points[market, symbol] = await _points(pool, market, symbol)
        paths = [points[market, symbol] for symbol in strategy.spec.symbols]
        reports.append(
            strategy_report(
                strategy,
                orders=await load_orders(pool, session.session_id, strategy=name),
                fills=await load_fills(pool, session.session_id, strategy=name),
                signals=await load_signals(pool, session.session_id, strategy=name),
                path=heapq.merge(*paths, key=lambda point: point.time_us),
                end_us=(end_us or {}).get(broker),
            )
        )
    return reports


async def _points(pool: asyncpg.Pool, market: str, symbol: str) -> list[PricePoint]:
    counts = await tick_counts(pool, market)
    if counts.stored.get(symbol, 0) <= POINTS_MAXIMUM:
        return [
            PricePoint(time_us=point.time_us, symbol=symbol, price=point.price, low=_low(point.price, point.low))
            async for point in price_path(pool, market, symbol)
        ]
    bars = await load_bars(pool, market, symbol, _MINUTE_US, POINTS_MAXIMUM, _FAR_FUTURE_US)
    return [
        PricePoint(time_us=bar.end_us - 1, symbol=symbol, price=bar.close, low=_low(bar.close, bar.low)) for bar in bars
    ]


def _low(price: Decimal, low: Decimal) -> Decimal | None:
    return low if low < price else None
