"""``christmas orders``, ``positions``, ``stats``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from christmas.cli.client import running_fleet
from christmas.cli.names import parse_targets
from christmas.cli.options import output_option, state_option, watch_option
from christmas.cli.output import Table, emit, repeat, span
from christmas.cli.statistics import WIN_RATE_NOTE, money, report_table
from christmas.fleet.records import open_pool, read_reports
from christmas.fleet.report import StrategyReport
from christmas.fleet.session import Session
from christmas.fleet.view import FleetView, StrategyView
from christmas.ingestion.history import OrderRecord, load_orders
from christmas.telemetry.status import PositionStatus


@click.command()
@click.argument("names", nargs=-1)
@state_option
@output_option("table", "wide", "json", "yaml", "name")
@watch_option
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1), help="How many of the newest.")
@click.option("--status", help="Only those in this state, for example filled or denied.")
def orders(
    *, names: tuple[str, ...], state_path: Path | None, output: str, watch: bool, limit: int, status: str | None
) -> None:
    """List the newest orders of all strategies, or of some, oldest first."""

    def show() -> None:
        fleet = running_fleet(state_path)
        chosen = None if not names else {view.name for view in _chosen(fleet, names)}
        found = [
            order
            for order in asyncio.run(_load_orders(fleet))
            if (chosen is None or order.strategy in chosen) and (status is None or order.status == status)
        ][-limit:]
        emit(output, found, _orders(found), [order.client_order_id for order in found], nothing="no orders yet")

    repeat(show, watch=watch)


@click.command()
@click.argument("names", nargs=-1)
@state_option
@output_option("table", "wide", "json", "yaml", "name")
@watch_option
def positions(names: tuple[str, ...], state_path: Path | None, output: str, watch: bool) -> None:
    """List open positions, marked to the last price."""

    def show() -> None:
        found = [
            (view, position)
            for view in _chosen(running_fleet(state_path), names)
            if view.runtime is not None
            for position in view.runtime.positions
        ]
        data = [{"strategy": view.name, **msgspec.to_builtins(position)} for view, position in found]
        ids = [position.position_id for _, position in found]
        emit(output, data, _positions(found), ids, nothing="no open positions")

    repeat(show, watch=watch)


@click.command()
@click.argument("names", nargs=-1)
@state_option
@output_option("table", "json", "yaml")
@watch_option
def stats(names: tuple[str, ...], state_path: Path | None, output: str, watch: bool) -> None:
    """Show results: realised beside marked to market, the win rate with its n and lower bound."""

    def show() -> None:
        fleet = running_fleet(state_path)
        found = asyncio.run(_load_reports(fleet, _chosen(fleet, names)))
        emit(output, found, report_table(found), nothing="no strategies")
        if output == "table" and any(report.closed_trades for report in found):
            click.echo(WIN_RATE_NOTE, err=True)

    repeat(show, watch=watch)


def _chosen(fleet: FleetView, names: tuple[str, ...]) -> list[StrategyView]:
    if not names:
        return list(fleet.strategies)
    by_name = {view.name: view for view in fleet.strategies}
    chosen = []
    for kind, name in parse_targets(names, default="Strategy"):
        if kind != "Strategy":
            raise click.UsageError("name strategies, for example btc-scalper")
        if name is None:
            return list(fleet.strategies)
        if name not in by_name:
            raise click.ClickException(f"there is no Strategy {name}")
        chosen.append(by_name[name])
    return chosen


async def _load_orders(fleet: FleetView) -> list[OrderRecord]:
    pool = await open_pool(fleet.database_url)
    try:
        return await load_orders(pool, fleet.session_id)
    finally:
        await pool.close()


async def _load_reports(fleet: FleetView, views: Sequence[StrategyView]) -> list[StrategyReport]:
    session = Session(
        redis_url=fleet.redis_url,
        database_url=fleet.database_url,
        session_id=fleet.session_id,
        replay_id=fleet.replay_id,
    )
    pool = await open_pool(fleet.database_url)
    try:
        return await read_reports(pool, session, [view.resource for view in views])
    finally:
        await pool.close()


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


def _positions(found: Sequence[tuple[StrategyView, PositionStatus]]) -> Table:
    rows = [
        (
            view.name,
            position.symbol,
            str(position.quantity),
            f"{position.average_price:.8g}",
            str(position.break_even_price),
            str(position.exit_price) if position.exit_price is not None else "-",
            money(position.unrealised_pnl),
            span(((view.runtime.time_us if view.runtime else 0) - position.opened_us) / 1e6),
            position.position_id,
        )
        for view, position in found
    ]
    headings = ("STRATEGY", "SYMBOL", "QUANTITY", "ENTRY", "BREAK-EVEN", "EXIT AT", "UNREALISED", "AGE", "POSITION")
    return Table(headings, rows, wide=frozenset({8}), right=frozenset({2, 3, 4, 5, 6}))


def moment(time_us: int) -> str:
    """Market time, UTC, to the millisecond."""
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
