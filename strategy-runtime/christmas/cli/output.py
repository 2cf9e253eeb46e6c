"""Printing: aligned columns in a pipe, colour at a terminal, JSON and YAML for machines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import click
import msgspec

T = TypeVar("T")

_GAP: Final = "   "
_COLOURS: Final = {
    "Running": "green",
    "Ready": "green",
    "ok": "green",
    "filled": "green",
    "Starting": "yellow",
    "Pending": "yellow",
    "Suspended": "yellow",
    "Suspending": "yellow",
    "Stopping": "yellow",
    "warning": "yellow",
    "Error": "red",
    "CrashLoopBackOff": "red",
    "OOMKilled": "red",
    "rejected": "red",
    "denied": "red",
    "failed": "red",
    "Failed": "red",
    "Terminating": "yellow",
    "Waiting": "yellow",
}
WATCH_EVERY_S: Final = 1.0


class Table(NamedTuple):
    """Headings and rows of text; ``wide`` columns (by index) are shown only with ``-o wide``."""

    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    wide: frozenset[int] = frozenset()
    right: frozenset[int] = frozenset()
    """Columns that are aligned at the right: numbers."""


def render(table: Table, *, wide: bool = False, colour: bool | None = None) -> str:
    """The table as text, columns as broad as their widest cell."""
    shown = [index for index in range(len(table.headings)) if wide or index not in table.wide]
    widths = {i: max([len(table.headings[i]), *(len(row[i]) for row in table.rows)]) for i in shown}
    painted = sys.stdout.isatty() if colour is None else colour

    def line(cells: Sequence[str], *, bold: bool = False) -> str:
        parts = []
        for index in shown:
            cell = cells[index]
            text = cell.rjust(widths[index]) if index in table.right else cell.ljust(widths[index])
            if painted and (bold or cell in _COLOURS):
                text = click.style(text, bold=bold, fg=None if bold else _COLOURS[cell])
            parts.append(text)
        return _GAP.join(parts).rstrip()

    return "\n".join([line(table.headings, bold=True), *(line(row) for row in table.rows)])


def emit(output: str, data: Any, table: Table, names: Sequence[str] = (), *, nothing: str = "nothing found") -> None:
    """Print in the chosen form; ``data`` is what JSON and YAML show."""
    if output == "json":
        click.echo(as_json(data))
    elif output == "yaml":
        click.echo(as_yaml(data), nl=False)
    elif output == "name":
        for name in names:
            click.echo(name)
    elif table.rows:
        click.echo(render(table, wide=output == "wide"))
    else:
        click.echo(nothing, err=True)


def as_json(data: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(data), indent=2).decode()


def as_yaml(data: Any) -> str:
    import yaml  # noqa: PLC0415 (only where YAML is asked for)

    return str(yaml.safe_dump(msgspec.to_builtins(data, str_keys=True), sort_keys=False, allow_unicode=True))


def repeat(show: Callable[[], None], *, watch: bool) -> None:
    """Once, or with ``--watch`` until Ctrl-C."""
    show_each(_ticks(watch), lambda _: show(), watch=watch)


def show_each(found: Iterable[T], show: Callable[[T], None], *, watch: bool) -> None:
    """All of them; with ``watch`` until Ctrl-C: at a terminal in place, in a pipe one after the other."""
    try:
        for one in found:
            if watch and sys.stdout.isatty():
                click.clear()
            show(one)
            sys.stdout.flush()
    except KeyboardInterrupt:
        if not watch:
            raise
        click.echo(err=True)


def _ticks(watch: bool) -> Iterator[None]:
    yield
    while watch:
        time.sleep(WATCH_EVERY_S)
        yield


def span(seconds: float) -> str:
    """A duration as kubectl shows it: 45s, 12m, 3h5m, 2d4h."""
    whole = int(seconds)
    if whole < 120:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600}h"


def mebibytes(count: int) -> str:
    return f"{count / (1 << 20):.0f}Mi" if count else "-"
