"""``christmas orders``, ``positions``, ``stats``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import click
import msgspec

from christmas.cli.backend import Activity, Backend
from christmas.cli.names import strategy_names
from christmas.cli.options import backend_options, output_option, watch_option
from christmas.cli.output import Table, emit, repeat, span
from christmas.cli.statistics import WIN_RATE_NOTE, money, report_table
from christmas.ingestion.history import OrderRecord
from christmas.telemetry.status import PositionStatus


@click.command()
@click.argument("names", nargs=-1)
@backend_options
@output_option("table", "wide", "json", "yaml", "name")
@watch_option
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1), help="How many of the newest.")
@click.option("--status", help="Only those in this state, for example filled or denied.")
def orders(
    *, names: tuple[str, ...], backend: Backend, output: str, watch: bool, limit: int, status: str | None
) -> None:
    """List the newest orders of all strategies, or of some, oldest first."""
    chosen = strategy_names(names)

    def show() -> None:
        found = [order for order in backend.orders(chosen) if status is None or order.status == status][-limit:]
        emit(output, found, _orders(found), [order.client_order_id for order in found], nothing="no orders yet")

    repeat(show, watch=watch)


@click.command()
@click.argument("names", nargs=-1)
@backend_options
@output_option("table", "wide", "json", "yaml", "name")
@watch_option
def positions(*, names: tuple[str, ...], backend: Backend, output: str, watch: bool) -> None:
    """List open positions, marked to the last price."""
    chosen = strategy_names(names)

    def show() -> None:
        activities = backend.activities(chosen)
        found = [
            (activity, position)
            for activity in activities
            if activity.runtime is not None
            for position in activity.runtime.positions
        ]
        data = [{"strategy": activity.name, **msgspec.to_builtins(position)} for activity, position in found]
        ids = [position.position_id for _, position in found]
        emit(output, data, _positions(found), ids, nothing="no open positions")

    repeat(show, watch=watch)


@click.command()
@click.argument("names", nargs=-1)
@backend_options
@output_option("table", "json", "yaml")
@watch_option
def stats(*, names: tuple[str, ...], backend: Backend, output: str, watch: bool) -> None:
    """Show results: realised beside marked to market, the win rate with its n and lower bound."""
    chosen = strategy_names(names)

    def show() -> None:
        found = backend.reports(chosen)
        emit(output, found, report_table(found), nothing="no strategies")
        if output == "table" and any(report.closed_trades for report in found):
            click.echo(WIN_RATE_NOTE, err=True)

    repeat(show, watch=watch)


def _orders(found: Sequence[OrderRecord]) -> Table:
    rows = [
        (
            moment(order.decided_us),
            order.strategy,
            order.symbol,
            order.side,
            order.purpose,
            order.type,
            str(order.price) if order.price is not None else "market",
            str(order.lots * order.lot_size),
            f"{order.filled_lots * 100 // order.lots}%" if order.lots else "-",
            order.status.value,
            order.status_reason or order.reason,
            order.client_order_id,
            order.position_id,
        )
        for order in found
    ]
    headings = (
        *("DECIDED", "STRATEGY", "SYMBOL", "SIDE", "PURPOSE", "TYPE", "PRICE", "QUANTITY", "FILLED", "STATUS"),
        *("REASON", "ORDER", "POSITION"),
    )
    return Table(headings, rows, wide=frozenset({11, 12}), right=frozenset({6, 7, 8}))


def _positions(found: Sequence[tuple[Activity, PositionStatus]]) -> Table:
    rows = [
        (
            activity.name,
            position.symbol,
            str(position.quantity),
            f"{position.average_price:.8g}",
            str(position.break_even_price),
            str(position.exit_price) if position.exit_price is not None else "-",
            money(position.unrealised_pnl),
            span(((activity.runtime.time_us if activity.runtime else 0) - position.opened_us) / 1e6),
            position.position_id,
        )
        for activity, position in found
    ]
    headings = ("STRATEGY", "SYMBOL", "QUANTITY", "ENTRY", "BREAK-EVEN", "EXIT AT", "UNREALISED", "AGE", "POSITION")
    return Table(headings, rows, wide=frozenset({8}), right=frozenset({2, 3, 4, 5, 6}))


def moment(time_us: int) -> str:
    """Market time, UTC, to the millisecond."""
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
