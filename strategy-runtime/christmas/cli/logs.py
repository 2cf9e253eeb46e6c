"""``christmas logs``."""

from __future__ import annotations

import sys
import time
from collections import deque
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from christmas.cli.client import fleet_or_stored, state_folder
from christmas.cli.names import parse_one
from christmas.cli.options import state_option
from christmas.fleet.state import StateFolder

_OTHERS: Final = {
    "recorder": ("recorder", "recorder"),
    "valkey": ("store", "valkey"),
    "redis": ("store", "valkey"),
    "postgres": ("store", "postgres"),
    "supervisor": ("supervisor", "supervisor"),
}
_POLL_S: Final = 0.25
_COLOURS: Final = {"warning": "yellow", "error": "red", "critical": "red"}
_SHOWN_APART: Final = frozenset({"time", "level", "process", "logger", "message", "exception"})


@click.command()
@click.argument("what", nargs=-1, required=True)
@state_option
@click.option("-f", "--follow", is_flag=True, help="Go on with what is logged from now on.")
@click.option("--tail", default=100, show_default=True, type=click.IntRange(min=0), help="How many of the last lines.")
@click.option("-p", "--previous", is_flag=True, help="The older part, when the log was cut for its size.")
@click.option("--raw", is_flag=True, help="The lines as they are (JSON); the default in a pipe.")
def logs(*, what: tuple[str, ...], state_path: Path | None, follow: bool, tail: int, previous: bool, raw: bool) -> None:
    """Show the log of a strategy, `broker/NAME`, recorder, valkey, postgres or supervisor."""
    state = state_folder(state_path)
    log = _log_of(state, what, state_path)
    if previous:
        log = log.with_suffix(log.suffix + ".1")
    if not log.exists():
        raise click.ClickException(f"there is no log {log} yet")
    pretty = not raw and sys.stdout.isatty()
    with log.open(encoding="utf-8", errors="replace") as stream:
        for line in deque(stream, maxlen=tail):
            _print(line, pretty=pretty)
        try:
            while follow:
                line = stream.readline()
                if line:
                    _print(line, pretty=pretty)
                    continue
                if log.stat().st_size < stream.tell():
                    # It was cut for its size, and began anew.
                    stream.seek(0)
                sys.stdout.flush()
                time.sleep(_POLL_S)
        except KeyboardInterrupt:
            click.echo(err=True)


def _log_of(state: StateFolder, what: tuple[str, ...], state_path: Path | None) -> Path:
    if len(what) == 1 and what[0] in _OTHERS:
        return state.log(*_OTHERS[what[0]])
    kind, name = parse_one(what)
    fleet = fleet_or_stored(state_path)
    if kind == "Strategy" and "/" not in what[0] and name in {broker.name for broker in fleet.brokers}:
        kind = "Broker"
    return state.log("gateway" if kind == "Broker" else "runtime", name)


def _print(line: str, *, pretty: bool) -> None:
    text = line.rstrip("\n")
    click.echo(format_line(text) if pretty else text)


def format_line(text: str) -> str:
    """A JSON log line for a person; any other line as it is."""
    try:
        record: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return text
    level = str(record.get("level", ""))
    stamp = str(record.get("time", ""))[11:23]
    fields = "".join(f" {name}={value}" for name, value in record.items() if name not in _SHOWN_APART)
    head = f"{click.style(stamp, dim=True)} {click.style(level.upper().ljust(8), fg=_COLOURS.get(level))}"
    exception = f"\n{record['exception']}" if record.get("exception") else ""
    return f"{head} {record.get('message', '')}{click.style(fields, dim=True)}{exception}"
