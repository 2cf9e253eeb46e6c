"""``christmas kill``: the emergency stop."""

from __future__ import annotations

import sys

import click

from christmas.brokers.admin import CommandName
from christmas.cli.backend import Backend
from christmas.cli.names import parse_one
from christmas.cli.options import backend_options


@click.command()
@click.argument("what", nargs=-1, required=True)
@backend_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--reason", default="killed by hand", show_default=True, help="Goes into the journal.")
@click.option("--undo", is_flag=True, help="Take the halt back.")
def kill(*, what: tuple[str, ...], backend: Backend, yes: bool, reason: str, undo: bool) -> None:
    """Halt a strategy (`kill btc-scalper`) or a whole account (`kill broker/paper`) and cancel its orders.

    The gateway enforces it, whatever the strategy does. Positions stay, and strategies that run offer them again by
    their exit policy (to end that too, suspend them): selling at once could lose money, so that is for you to decide
    (`onSuspend: Flatten`, then suspend). The halt outlives restarts; --undo takes it back. In a cluster it takes the
    right to read the Secret gateway-BROKER-permit-key.
    """
    kind, name = parse_one(what)
    broker = backend.broker_of(kind, name)
    strategy = name if kind == "Strategy" else None
    actions: tuple[CommandName, ...] = ("resume",) if undo else ("halt", "cancel_orders")
    if not undo and not yes:
        whom = f"strategy {name}" if strategy else f"the whole account {broker}"
        if not sys.stdin.isatty():
            raise click.UsageError("this asks for the name at a terminal; in a script say --yes")
        typed = click.prompt(
            f"This halts {whom} and cancels its orders. Type {name} to go on", default="", show_default=False
        )
        if typed != name:
            raise click.ClickException("that is another name: nothing was done")
    for action in actions:
        for line in backend.at_gateway(broker, action, strategy=strategy, reason=reason):
            click.echo(line)
