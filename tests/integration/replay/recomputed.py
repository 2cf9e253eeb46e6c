"""The report computed once more, by other means: the orders, signals and ticks tables in SQL, exact fractions, and
binomial tail sums. Shares no code with the product, on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from math import comb
from typing import Any, Final

import asyncpg

_PLACES: Final = Decimal("0.000001")
_WIDE: Final = Context(prec=200)
_ZERO: Final = Decimal(0)
KEYS: Final = (
    "closed_trades",
    "winning_trades",
    "realised_win_rate",
    "realised_win_rate_lower_bound",
    "marked_to_market_win_rate",
    "open_positions",
    "realised_pnl",
    "unrealised_pnl",
    "fees",
    "equity_return",
    "orders",
    "denied",
    "signals_skipped",
)

ORDERS: Final = """
SELECT position_id, purpose, status, symbol, lot_size, filled_lots, filled_notional, fees
FROM orders WHERE session_id = $1 AND strategy = $2
"""
LAST_PRICE: Final = """
SELECT DISTINCT ON (symbol) symbol, price FROM ticks
WHERE market = $1 AND NOT late ORDER BY symbol, time DESC, trade_id::numeric DESC
"""
SKIPPED: Final = "SELECT count(*) FROM signals WHERE session_id = $1 AND strategy = $2 AND NOT taken"


async def recompute(
    connection: asyncpg.Connection, *, session_id: str, market: str, strategy: str, capital: Decimal
) -> dict[str, Any]:
    """What the report must say of one strategy, as its JSON does: decimals are strings."""
    rows = await connection.fetch(ORDERS, session_id, strategy)
    prices = {row["symbol"]: row["price"] for row in await connection.fetch(LAST_PRICE, market)}
    skipped = await connection.fetchval(SKIPPED, session_id, strategy)
    return from_rows(rows, prices, capital=capital, skipped=skipped)


def from_rows(
    rows: Sequence[Mapping[str, Any]], prices: Mapping[str, Decimal], *, capital: Decimal, skipped: int
) -> dict[str, Any]:
    positions: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        positions.setdefault(row["position_id"], []).append(row)
    realised: list[Decimal] = []
    marks: list[Decimal] = []
    for orders in positions.values():
        cash = lots = bought = _ZERO
        for order in orders:
            sign = 1 if order["purpose"] == "exit" else -1
            cash += sign * order["filled_notional"] - order["fees"]
            lots -= sign * order["filled_lots"] * order["lot_size"]
            bought += order["filled_lots"] if sign < 0 else 0
        if not bought:
            continue
        if lots:
            marks.append(cash + lots * prices[orders[0]["symbol"]])
        else:
            realised.append(cash)
    wins = sum(result > 0 for result in realised)
    marked = wins + sum(mark > 0 for mark in marks)
    realised_pnl, unrealised_pnl = sum(realised, _ZERO), sum(marks, _ZERO)
    return {
        "closed_trades": len(realised),
        "winning_trades": wins,
        "realised_win_rate": _rate(Fraction(wins, len(realised))) if realised else None,
        "realised_win_rate_lower_bound": _lower_bound(wins, len(realised)) if realised else None,
        "marked_to_market_win_rate": _rate(Fraction(marked, len(realised) + len(marks))) if realised or marks else None,
        "open_positions": len(marks),
        "realised_pnl": realised_pnl,
        "unrealised_pnl": unrealised_pnl,
        "fees": sum((row["fees"] for row in rows), _ZERO),
        "equity_return": _rate(Fraction(realised_pnl + unrealised_pnl) / Fraction(capital)),
        "orders": len(rows),
        "denied": sum(row["status"] == "denied" for row in rows),
        "signals_skipped": skipped,
    }


def as_reported(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The report's values of `KEYS`; money as numbers, because 0.10 and 0.1 are the same amount."""
    money = {"realised_pnl", "unrealised_pnl", "fees"}
    return {key: Decimal(entry[key]) if key in money else entry[key] for key in KEYS}


def _rate(value: Fraction) -> str:
    quotient = _WIDE.divide(Decimal(value.numerator), Decimal(value.denominator))
    return str(quotient.quantize(_PLACES, ROUND_HALF_EVEN) + _ZERO)


def _lower_bound(wins: int, trades: int) -> str:
    """Clopper and Pearson: the p with P(X >= wins) = 5 %; rounded down to six places, found on that very grid.

    The tail grows with p, so the answer is the largest p of six places at which it is still at most 5 %.
    """
    if wins == 0:
        return "0.000000"
    low, high = 0, 10**6
    while high - low > 1:
        middle = (low + high) // 2
        if _tail(wins, trades, Fraction(middle, 10**6)) <= Fraction(5, 100):
            low = middle
        else:
            high = middle
    return str((Decimal(low) * _PLACES).quantize(_PLACES, ROUND_FLOOR))


def _tail(wins: int, trades: int, p: Fraction) -> Fraction:
    """P(X >= wins) of a binomial X, summed term by term in exact fractions."""
    return sum(
        (comb(trades, k) * p**k * (1 - p) ** (trades - k) for k in range(wins, trades + 1)),
        Fraction(0),
    )
