"""Options that several commands share."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from christmas.cli.place import Where

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


def cluster_options(command: F) -> F:
    """``--context``, ``--kubeconfig`` and ``-n``."""
    context = click.option(
        "--context", help="Work in the cluster of this kubeconfig context. Default: $CHRISTMAS_CONTEXT, else here."
    )
    kubeconfig = click.option(
        "--kubeconfig",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="The kubeconfig. Default: $KUBECONFIG, else ~/.kube/config.",
    )
    namespace = click.option("-n", "--namespace", help="The namespace in the cluster. Default: the context's.")
    return context(kubeconfig(namespace(command)))


def backend_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where to work; the command gets a ``backend`` that works there."""

    @functools.wraps(command)
    def on_backend(
        *,
        state_path: Path | None,
        context: str | None,
        kubeconfig: Path | None,
        namespace: str | None,
        **rest: Any,
    ) -> Any:
        # Which brings all that commands need and help does not.
        from christmas.cli.choose import choose  # noqa: PLC0415

        said = Where(state=state_path, context=context, kubeconfig=kubeconfig, namespace=namespace)
        before = click.get_current_context().find_root().obj
        where = said.over(before) if isinstance(before, Where) else said
        return command(backend=choose(where, os.environ), **rest)

    return state_option(cluster_options(on_backend))


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
