"""``christmas suspend``, ``resume``, ``delete``, ``down``."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import click

from christmas.cli.backend import Backend
from christmas.cli.client import request, running_fleet, state_folder
from christmas.cli.names import Kind, parse_targets
from christmas.cli.options import backend_options, state_option
from christmas.fleet.control import Shutdown
from christmas.fleet.errors import FleetError

_WAIT_S: Final = 60.0


@click.command()
@click.argument("names", nargs=-1, required=True)
@backend_options
def suspend(*, names: tuple[str, ...], backend: Backend) -> None:
    """Stop strategies. Their onSuspend says what becomes of orders and positions."""
    for name in _strategies(names):
        _tell(backend.set_state(name, "Suspended"))


@click.command()
@click.argument("names", nargs=-1, required=True)
@backend_options
def resume(*, names: tuple[str, ...], backend: Backend) -> None:
    """Let suspended strategies run again."""
    for name in _strategies(names):
        _tell(backend.set_state(name, "Running"))


@click.command()
@click.argument("what", nargs=-1, required=True)
@backend_options
@click.option("--force", is_flag=True, help="Also with open positions, which then stay as they are.")
def delete(*, what: tuple[str, ...], backend: Backend, force: bool) -> None:
    """Delete resources: `delete strategy btc-scalper`, `delete broker/paper`. Recorded trades stay."""
    targets: list[tuple[Kind, str]] = []
    for kind, name in parse_targets(what, default="Strategy"):
        if name is None:
            raise click.UsageError("name what to delete")
        targets.append((kind, name))
    for kind, name in targets:
        _tell(backend.delete(kind, name, force=force))


@click.command()
@state_option
def down(state_path: Path | None) -> None:
    """Stop the fleet that runs from the state folder; the next `christmas up` goes on where it was."""
    fleet = running_fleet(state_path)
    _tell(request(state_path, Shutdown()).lines)
    state, deadline = state_folder(state_path), time.monotonic() + _WAIT_S
    while state.supervisor_pid() is not None:
        if time.monotonic() > deadline:
            raise FleetError(f"the fleet has not stopped within {_WAIT_S:.0f} s", f"its pid is {fleet.pid}")
        time.sleep(0.1)
    click.echo("stopped")


def _strategies(words: tuple[str, ...]) -> list[str]:
    names = []
    for kind, name in parse_targets(words, default="Strategy"):
        if kind != "Strategy" or name is None:
            raise click.UsageError("name strategies, for example btc-scalper")
        names.append(name)
    return names


def _tell(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)
