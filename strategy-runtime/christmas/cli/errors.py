"""Errors as a person reads them: one line each, with a mend, and no traceback for what is not our fault."""

from __future__ import annotations

import sys
import traceback

import click

from christmas.fleet.errors import FleetError
from christmas.resources.problem import ManifestError

FAILED = 1
BUG = 70


def explain_failure(error: Exception) -> int:
    """Print the error to stderr; the exit code."""
    if isinstance(error, ManifestError):
        for problem in error.problems:
            click.echo(f"{click.style('error:', fg='red', bold=True)} {problem}", err=True)
        return FAILED
    if isinstance(error, FleetError):
        mend = f" ({error.mend})" if error.mend else ""
        click.echo(f"{click.style('error:', fg='red', bold=True)} {error.what}{mend}", err=True)
        return FAILED
    traceback.print_exception(error, file=sys.stderr)
    click.echo(
        f"error: {type(error).__name__}: {error} (this is a bug: please report it with the lines above)", err=True
    )
    return BUG
