"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

FORMATS = ("table", "wide", "json", "yaml", "name")


def state_option(command: F) -> F:
    """``--state``: None means the default folder."""
    return click.option(
        "--state",
        "state_path",
        type=click.Path(file_okay=False, path_type=Path),
        help="The state folder. Default: $CHRISTMAS_STATE, else christmas in the user's state folder.",
    )(command)


def output_option(*formats: str, default: str = "table") -> Callable[[F], F]:
    """``-o``, one of ``formats``."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(formats or FORMATS),
        default=default,
        show_default=True,
        help="How to print.",
    )


def watch_option(command: F) -> F:
    """``--watch``."""
    return click.option("-w", "--watch", is_flag=True, help="Print again whenever something has changed.")(command)
