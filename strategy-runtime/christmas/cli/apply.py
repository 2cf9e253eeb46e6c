"""``christmas apply``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from christmas.cli.client import fleet_or_stored, request, state_folder
from christmas.cli.options import state_option
from christmas.fleet.catalogue import Catalogue
from christmas.fleet.control import Apply
from christmas.fleet.errors import NotRunningError
from christmas.fleet.local import open_session
from christmas.fleet.manifests import read
from christmas.resources.validate import Resource


@click.command()
@click.option(
    "-f",
    "--filename",
    "paths",
    multiple=True,
    required=True,
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
    help="A manifest, a folder of them, or - for standard input. Repeat it for several.",
)
@state_option
@click.option("--dry-run", is_flag=True, help="Check only.")
def apply(paths: tuple[Path, ...], state_path: Path | None, dry_run: bool) -> None:
    """Create or change resources from manifests: all of them, or, when one is wrong, none.

    A running fleet takes them over at once, as each Strategy's updatePolicy says; otherwise the next
    `christmas up` does.
    """
    fleet = fleet_or_stored(state_path)
    known: list[Resource] = [view.resource for view in fleet.brokers]
    known += [view.resource for view in fleet.strategies]
    loaded = read(paths, known=known)
    for warning in loaded.warnings:
        click.echo(str(warning), err=True)
    if dry_run:
        for resource in loaded.resources:
            click.echo(f"{type(resource).__name__.lower()}/{resource.metadata.name} valid (dry run)")
        return
    try:
        lines = request(state_path, Apply(strategies=loaded.strategies, brokers=loaded.brokers)).lines
    except NotRunningError:
        state = state_folder(state_path)
        state.prepare()
        state.lock()
        try:
            lines = tuple(Catalogue(state, open_session(state, os.environ).session).apply(loaded.resources))
        finally:
            state.unlock()
        click.echo("no fleet runs: this takes effect with the next `christmas up`", err=True)
    for line in lines:
        click.echo(line)
