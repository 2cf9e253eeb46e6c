"""``christmas explain``."""

from __future__ import annotations

import click
import msgspec

from christmas.cli.activity import explanation
from christmas.cli.backend import Backend
from christmas.cli.names import parse_one
from christmas.cli.options import backend_options, output_option, watch_option
from christmas.cli.output import Table, emit, repeat


@click.command()
@click.argument("what", nargs=-1, required=True)
@backend_options
@output_option("table", "json", "yaml")
@watch_option
def explain(*, what: tuple[str, ...], backend: Backend, output: str, watch: bool) -> None:
    """Say why a strategy is not trading now: each term of its rules with its value and what it needs."""
    kind, name = parse_one(what)
    if kind != "Strategy":
        raise click.UsageError("only strategies are explained: name one, for example strategy/btc-scalper")

    def show() -> None:
        activity = backend.activities([name])[0]
        if output == "table":
            for line in explanation(activity):
                click.echo(line)
        else:
            data = {
                "strategy": activity.name,
                "phase": activity.phase,
                "why": activity.why,
                "runtime": msgspec.to_builtins(activity.runtime) if activity.runtime is not None else None,
            }
            emit(output, data, Table((), ()))

    repeat(show, watch=watch)
