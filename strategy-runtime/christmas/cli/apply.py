"""``christmas apply``."""

from __future__ import annotations

from pathlib import Path

import click

from christmas.cli.backend import Backend
from christmas.cli.options import backend_options


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
@backend_options
@click.option("--dry-run", is_flag=True, help="Check only; in a cluster by its API server too.")
@click.option("--now", is_flag=True, help="In a cluster: at once, whatever updatePolicy says and positions are open.")
def apply(*, paths: tuple[Path, ...], backend: Backend, dry_run: bool, now: bool) -> None:
    """Create or change resources from manifests: all of them, or, when one is wrong, none.

    A running fleet takes them over at once, as each Strategy's updatePolicy says; otherwise the next
    `christmas up` does.
    """
    for line in backend.apply(paths, now=now, dry_run=dry_run):
        click.echo(line)
