"""``christmas logs``."""

from __future__ import annotations

import sys
from typing import Any, Final

import click
import msgspec

from christmas.cli.backend import Backend
from christmas.cli.options import backend_options
from christmas.telemetry.unreadable import UNREADABLE

_COLOURS: Final = {"warning": "yellow", "error": "red", "critical": "red"}
_SHOWN_APART: Final = frozenset({"time", "level", "process", "logger", "message", "exception"})


@click.command()
@click.argument("what", nargs=-1, required=True)
@backend_options
@click.option("-f", "--follow", is_flag=True, help="Go on with what is logged from now on.")
@click.option("--tail", default=100, show_default=True, type=click.IntRange(min=0), help="How many of the last lines.")
@click.option("-p", "--previous", is_flag=True, help="The older part: before the log was cut, or the pod restarted.")
@click.option("--raw", is_flag=True, help="The lines as they are (JSON); the default in a pipe.")
def logs(*, what: tuple[str, ...], backend: Backend, follow: bool, tail: int, previous: bool, raw: bool) -> None:
    """Show the log of a strategy, `broker/NAME`, recorder, valkey, postgres, supervisor or, in a cluster, operator."""
    pretty = not raw and sys.stdout.isatty()
    try:
        for line in backend.log(what, follow=follow, tail=tail, previous=previous):
            click.echo(format_line(line) if pretty else line)
    except KeyboardInterrupt:
        click.echo(err=True)


def format_line(text: str) -> str:
    """A JSON log line for a person; any other line as it is."""
    try:
        record: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
    except UNREADABLE:
        return text
    level = str(record.get("level", ""))
    stamp = str(record.get("time", ""))[11:23]
    fields = "".join(f" {name}={value}" for name, value in record.items() if name not in _SHOWN_APART)
    head = f"{click.style(stamp, dim=True)} {click.style(level.upper().ljust(8), fg=_COLOURS.get(level))}"
    exception = f"\n{record['exception']}" if record.get("exception") else ""
    return f"{head} {record.get('message', '')}{click.style(fields, dim=True)}{exception}"
