"""``christmas doctor``."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click

from christmas.cli.client import state_folder
from christmas.cli.options import output_option, state_option
from christmas.cli.output import Table, emit
from christmas.fleet.doctor import examine


@click.command()
@state_option
@output_option("table", "json", "yaml")
def doctor(state_path: Path | None, output: str) -> None:
    """Check stores, limits, clock, disk, versions and leftover processes. Exits with 1 when something failed."""
    checks = asyncio.run(examine(state_folder(state_path), os.environ))
    rows = [(check.name, check.level, check.what, check.mend) for check in checks]
    emit(output, checks, Table(("CHECK", "STATE", "FINDING", "MEND"), rows))
    if any(check.level == "failed" for check in checks):
        sys.exit(1)
