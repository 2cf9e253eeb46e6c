"""``christmas describe``."""

from __future__ import annotations

import click

from christmas.cli.backend import Backend
from christmas.cli.names import parse_one
from christmas.cli.options import backend_options


@click.command()
@click.argument("what", nargs=-1, required=True)
@backend_options
def describe(*, what: tuple[str, ...], backend: Backend) -> None:
    """Show everything about one resource: its manifest, its process, why it trades or not, what happened last."""
    for line in backend.describe(*parse_one(what)):
        click.echo(line)
