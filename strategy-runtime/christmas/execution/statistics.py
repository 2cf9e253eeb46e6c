"""What a strategy's trades amount to, and what its win rate must be shown with. Formulas: docs/statistics.md.

Money is exact. Rates are rounded to `RATE_DIGITS`, the lower bound downwards, so that two computations of the same
numbers agree to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from itertools import pairwise
from typing import Final

import msgspec

from christmas.execution.accounting import EXACT, RecordedFill, total
from christmas.execution.confidence import lower_bound
from christmas.execution.excursions import Path, PricePoint, walk

RATE_DIGITS: Final = 6
MINIMUM_DAILY_RETURNS: Final = 30
DAYS_A_YEAR: Final = 365
_UNIT: Final = Decimal(1).scaleb(-RATE_DIGITS)
_ZERO: Final = Decimal(0)
_PRECISE: Final = Context(prec=60)


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Rates are fractions (0.95 is 95 %), amounts in quote currency. For each None `not_meaningful` says why."""

    closed_trades: int
    winning_trades: int
    """Closed with a PnL above zero, all fees paid."""
    realised_win_rate: Decimal | None
    realised_win_rate_lower_bound: Decimal | None
    """Of the true rate, one-sided, 95 %, exact."""
    marked_to_market_win_rate: Decimal | None
    """Open positions counted as if they were closed at the last price."""
    open_positions: int
    realised_pnl: Decimal
    unrealised_pnl: Decimal
    fees: Decimal
    equity_return: Decimal
    """(realised + unrealised) / capital."""
    worst_excursion: Decimal
    """The deepest unrealised loss of one position, as a part of its entry notional; zero or below."""
    worst_excursion_pnl: Decimal
    oldest_position_age_s: int
    capital_locked: Decimal
    """Mean share of the capital in positions, over time."""
    capital_locked_peak: Decimal
    signals_skipped: int
    buy_and_hold_return: Decimal | None
    """Last price / first price - 1, the mean over the symbols; no fees."""
    profit_factor: Decimal | None
    expectancy: Decimal | None
    """Mean return of a closed trade, on its entry notional."""
    average_trade: Decimal | None
    """Mean PnL of a closed trade."""
    max_drawdown: Decimal
    """Of the marked-to-market equity, as a part of its peak."""
    sharpe: Decimal | None
    sortino: Decimal | None
    not_meaningful: dict[str, str]


def compute_statistics(
    fills: Sequence[RecordedFill],
    path: Iterable[PricePoint],
    *,
    capital: Decimal,
    signals_skipped: int = 0,
    end_us: int | None = None,
) -> Statistics:
    """Statistics of one strategy from all its fills and the prices of its symbols, in time order.

    ``end_us``: the market's last moment, when it is later than the last price. Raises ValueError when ``capital``
    is not above zero.
    """
    if capital <= 0:
        raise ValueError(f"capital must be above zero, not {capital}")
    return summarise(
        walk(fills, path, capital=capital, end_us=end_us), capital=capital, signals_skipped=signals_skipped
    )


def summarise(path: Path, *, capital: Decimal, signals_skipped: int = 0) -> Statistics:
    """The same from a walk that was made before."""
    missing: dict[str, str] = {}
    closed = [trip for trip in path.trips if trip.is_closed]
    held = [trip for trip in path.trips if trip.lots > 0]
    results = [trip.cash_flow for trip in closed]
    wins = sum(result > 0 for result in results)
    marks = [trip.unrealised(path.last_prices[trip.symbol]) for trip in held]
    realised, unrealised = total(results), total(marks)
    duration_us = path.end_us - path.start_us
    if not closed:
        for name in ("realised_win_rate", "realised_win_rate_lower_bound", "expectancy", "average_trade"):
            missing[name] = "no closed trade"
    if not closed and not held:
        missing["marked_to_market_win_rate"] = "no trade"
    returns = daily_returns(path.daily_equity)
    return Statistics(
        closed_trades=len(closed),
        winning_trades=wins,
        realised_win_rate=ratio(Decimal(wins), Decimal(len(closed))),
        realised_win_rate_lower_bound=_bound(wins, len(closed)),
        marked_to_market_win_rate=ratio(
            Decimal(wins + sum(mark > 0 for mark in marks)), Decimal(len(closed) + len(held))
        ),
        open_positions=len(held),
        realised_pnl=realised,
        unrealised_pnl=unrealised,
        fees=total(trip.fees for trip in path.trips),
        equity_return=_rate(_PRECISE.divide(EXACT.add(realised, unrealised), capital)),
        worst_excursion=_rate(path.worst_excursion),
        worst_excursion_pnl=path.worst_excursion_pnl,
        oldest_position_age_s=max(((path.end_us - trip.opened_us) // 1_000_000 for trip in held), default=0),
        capital_locked=ratio(path.locked_integral, EXACT.multiply(capital, Decimal(duration_us))) or _rate(_ZERO),
        capital_locked_peak=_rate(_PRECISE.divide(path.locked_peak, capital)),
        signals_skipped=signals_skipped,
        buy_and_hold_return=_buy_and_hold(path, missing),
        profit_factor=_profit_factor(results, missing),
        expectancy=_mean([_PRECISE.divide(trip.cash_flow, trip.entry_notional) for trip in closed]),
        average_trade=ratio(realised, Decimal(len(closed))),
        max_drawdown=_rate(path.max_drawdown),
        sharpe=_sharpe(returns, missing),
        sortino=_sortino(returns, missing),
        not_meaningful=missing,
    )


def ratio(part: Decimal, whole: Decimal) -> Decimal | None:
    """``part / whole`` as a rate; None when there is no whole."""
    return _rate(_PRECISE.divide(part, whole)) if whole else None


def _rate(value: Decimal) -> Decimal:
    # Adding zero turns -0.000000 into 0.000000.
    return value.quantize(_UNIT, ROUND_HALF_EVEN, _PRECISE) + _ZERO


def _bound(wins: int, trades: int) -> Decimal | None:
    if not trades:
        return None
    return Decimal(lower_bound(wins, trades)).quantize(_UNIT, ROUND_FLOOR)


def _mean(values: Sequence[Decimal]) -> Decimal | None:
    if not values:
        return None
    running = _ZERO
    for value in values:
        running = _PRECISE.add(running, value)
    return ratio(running, Decimal(len(values)))


def _buy_and_hold(path: Path, missing: dict[str, str]) -> Decimal | None:
    changes = [
        _PRECISE.divide(path.last_prices[symbol], first) - 1 for symbol, first in path.first_prices.items() if first
    ]
    if not changes:
        missing["buy_and_hold_return"] = "no price"
    return _mean(changes)


def _profit_factor(results: Sequence[Decimal], missing: dict[str, str]) -> Decimal | None:
    losses = total(-result for result in results if result < 0)
    if not losses:
        missing["profit_factor"] = "no losing trade" if results else "no closed trade"
        return None
    return ratio(total(result for result in results if result > 0), losses)


def daily_returns(equity: Sequence[Decimal]) -> list[Decimal]:
    """Returns of whole UTC days; the last entry of ``equity`` is of a day that has not ended and gives none."""
    days = equity[:-1]
    return [_PRECISE.divide(after, before) - 1 for before, after in pairwise(days) if before > 0]


def _sharpe(returns: Sequence[Decimal], missing: dict[str, str]) -> Decimal | None:
    return _risk_ratio("sharpe", returns, missing, downside_only=False)


def _sortino(returns: Sequence[Decimal], missing: dict[str, str]) -> Decimal | None:
    return _risk_ratio("sortino", returns, missing, downside_only=True)


def _risk_ratio(
    name: str, returns: Sequence[Decimal], missing: dict[str, str], *, downside_only: bool
) -> Decimal | None:
    """Mean daily return / its deviation x sqrt(365); Sortino's deviation counts losses only, around zero."""
    n = len(returns)
    if n < MINIMUM_DAILY_RETURNS:
        missing[name] = f"needs {MINIMUM_DAILY_RETURNS} whole days, there are {n}"
        return None
    mean = _PRECISE.divide(sum(returns, _ZERO), Decimal(n))
    if downside_only:
        variance = sum((min(value, _ZERO) ** 2 for value in returns), _ZERO) / n
    else:
        variance = sum(((value - mean) ** 2 for value in returns), _ZERO) / (n - 1)
    if not variance:
        missing[name] = "no losing day" if downside_only else "all days are alike"
        return None
    scale = _PRECISE.sqrt(_PRECISE.divide(Decimal(DAYS_A_YEAR), variance))
    return _rate(_PRECISE.multiply(mean, scale))
