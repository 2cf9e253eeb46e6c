"""The live table of `christmas up`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from christmas.cli.output import mebibytes, span
from christmas.cli.statistics import money, win_rate
from christmas.fleet.view import FleetView, ProcessView

_STYLES: Final = {
    "Running": "green",
    "Ended": "green",
    "CrashLoopBackOff": "bold red",
    "OOMKilled": "bold red",
    "Error": "red",
}


def render_fleet(view: FleetView, lines: Sequence[str]) -> RenderableType:
    """The whole fleet at one moment, and what happened last."""
    head = Text.assemble(
        ("Christmas ", "bold"),
        f"{view.version} up {span(view.running_s)}   ",
        *_processes(view.processes),
        f"   {view.database}",
        style="dim",
    )
    return Group(head, _brokers(view), _strategies(view), Text("\n".join(lines), style="dim"))


def _processes(processes: Sequence[ProcessView]) -> list[tuple[str, str]]:
    return [(f"{process.name} ", "green" if process.ready else "yellow") for process in processes]


def _brokers(view: FleetView) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("BROKER", "PHASE", "FEED", "RESTARTS", "CPU", "MEMORY", "NOTE"):
        table.add_column(heading, justify="right" if heading in {"RESTARTS", "CPU", "MEMORY"} else "left")
    for broker in view.brokers:
        process = broker.process
        table.add_row(
            broker.name,
            Text(process.phase, style=_STYLES.get(process.phase, "yellow")),
            broker.feed,
            str(process.restarts),
            f"{process.cpu_percent:.0f}%",
            mebibytes(process.rss_bytes),
            process.message,
        )
    return table


def _strategies(view: FleetView) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    right = {"RESTARTS", "CPU", "MEMORY", "POSITIONS", "REALISED", "UNREALISED"}
    for heading in (
        *("STRATEGY", "PHASE", "RESTARTS", "CPU", "MEMORY", "POSITIONS", "REALISED", "UNREALISED", "WIN RATE"),
        "WHY",
    ):
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for strategy in view.strategies:
        process, status = strategy.process, strategy.runtime
        table.add_row(
            strategy.name,
            Text(process.phase, style=_STYLES.get(process.phase, "yellow")),
            str(process.restarts),
            f"{process.cpu_percent:.0f}%",
            mebibytes(process.rss_bytes),
            str(len(status.positions)) if status is not None else "-",
            money(status.realised_pnl) if status is not None else "-",
            money(status.unrealised_pnl) if status is not None else "-",
            win_rate(status) if status is not None else "-",
            strategy.why,
        )
    return table
