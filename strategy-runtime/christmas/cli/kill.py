"""``christmas kill``: the emergency stop."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from christmas.cli.client import request, running_fleet
from christmas.cli.names import parse_one
from christmas.cli.options import state_option
from christmas.cli.resources import select
from christmas.fleet.control import AtGateway
from christmas.fleet.view import StrategyView


@click.command()
@click.argument("what", nargs=-1, required=True)
@state_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--reason", default="killed by hand", show_default=True, help="Goes into the journal.")
@click.option("--undo", is_flag=True, help="Take the halt back.")
def kill(what: tuple[str, ...], state_path: Path | None, yes: bool, reason: str, undo: bool) -> None:
    """Halt a strategy (`kill btc-scalper`) or a whole account (`kill broker/paper`) and cancel its orders.

    The gateway enforces it, whatever the strategy does. Positions stay as they are: selling them could lose
    money, so that is for you to decide (`onSuspend: Flatten`, then suspend). The halt outlives restarts; --undo takes
    it back.
    """
    kind, name = parse_one(what)
    view = select(running_fleet(state_path), kind, name)[0]
    strategy = name if isinstance(view, StrategyView) else None
    broker = view.resource.spec.broker_ref.name if isinstance(view, StrategyView) else name
    whom = f"strategy {name}" if strategy else f"the whole account {broker}"
    if undo:
        _do(state_path, AtGateway(broker=broker, action="resume", strategy=strategy, reason=reason))
        return
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("this asks for the name at a terminal; in a script say --yes")
        typed = click.prompt(
            f"This halts {whom} and cancels its orders. Type {name} to go on", default="", show_default=False
        )
        if typed != name:
            raise click.ClickException("that is another name: nothing was done")
    _do(state_path, AtGateway(broker=broker, action="halt", strategy=strategy, reason=reason))
    _do(state_path, AtGateway(broker=broker, action="cancel_orders", strategy=strategy, reason=reason))


def _do(state_path: Path | None, message: AtGateway) -> None:
    for line in request(state_path, message).lines:
        click.echo(line)
