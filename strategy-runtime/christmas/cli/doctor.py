"""``christmas doctor``."""

from __future__ import annotations

import sys

import click

from christmas.cli.backend import Backend
from christmas.cli.options import backend_options, output_option
from christmas.cli.output import Table, emit


@click.command()
@backend_options
@output_option("table", "json", "yaml")
def doctor(*, backend: Backend, output: str) -> None:
    """Check what a fleet needs, and the fleet: stores, limits, clock, disk and versions; in a cluster its parts and
    your rights. Exits with 1 when something failed.
    """
    checks = backend.examine()
    rows = [(check.name, check.level, check.what, check.mend) for check in checks]
    emit(output, checks, Table(("CHECK", "STATE", "FINDING", "MEND"), rows))
    if any(check.level == "failed" for check in checks):
        sys.exit(1)
