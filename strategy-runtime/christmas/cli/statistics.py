"""Results as tables. The win rate never stands alone: n, its lower bound and what is open stand beside it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from christmas.cli.output import Table
from christmas.execution.confidence import lower_bound
from christmas.fleet.report import StrategyReport
from christmas.telemetry.status import RuntimeStatus


def percent(rate: Decimal | float | None, digits: int = 1) -> str:
    return "-" if rate is None else f"{float(rate) * 100:.{digits}f}%"


def money(amount: Decimal) -> str:
    """With a sign, to the cent or as fine as small amounts need."""
    if amount == 0:
        return "0"
    return f"{amount:+.2f}" if abs(amount) >= 1 else f"{amount:+.5f}"


def win_rate(status: RuntimeStatus) -> str:
    """``100% of 7 (>=65.2%), mtm 87.5%, 1 open``."""
    closed, wins, held = status.closed_trades, status.winning_trades, len(status.positions)
    if not closed and not held:
        return "no trade yet"
    if closed:
        realised = f"{wins / closed * 100:.0f}% of {closed} (>={lower_bound(wins, closed) * 100:.1f}%)"
    else:
        realised = "none closed"
    marked = wins + sum(position.unrealised_pnl > 0 for position in status.positions)
    return f"{realised}, mtm {marked / (closed + held) * 100:.0f}%, {held} open"


def report_table(reports: Sequence[StrategyReport]) -> Table:
    """All that an honest win rate is shown with, one row for each strategy."""
    return Table(
        headings=(
            "STRATEGY",
            "CLOSED",
            "WIN RATE",
            "95% BOUND",
            "MTM WIN",
            "OPEN",
            "REALISED",
            "UNREALISED",
            "RETURN",
            "HOLD",
            "WORST",
            "OLDEST",
            "LOCKED",
            "SKIPPED",
            "FEES",
            "ORDERS",
            "DENIED",
        ),
        rows=[
            (
                report.name,
                str(report.closed_trades),
                percent(report.realised_win_rate),
                f">={percent(report.realised_win_rate_lower_bound)}" if report.closed_trades else "-",
                percent(report.marked_to_market_win_rate),
                str(report.open_positions),
                money(report.realised_pnl),
                money(report.unrealised_pnl),
                percent(report.equity_return, 3),
                percent(report.buy_and_hold_return, 3),
                percent(report.worst_excursion, 2),
                f"{report.oldest_position_age_s}s",
                percent(report.capital_locked),
                str(report.signals_skipped),
                f"{report.fees:.4f}",
                str(report.orders),
                str(report.denied),
            )
            for report in reports
        ],
        right=frozenset(range(1, 17)),
    )


WIN_RATE_NOTE = (
    "The realised win rate comes from not closing losers, not from prediction: read it with what stands beside it."
)
