"""Where a command works: on this machine, or in a cluster. Pure; quick to import."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import click


class Where(NamedTuple):
    """What the user said about it; None: nothing."""

    state: Path | None = None
    context: str | None = None
    kubeconfig: Path | None = None
    namespace: str | None = None
    plugin: bool = False
    """Called as ``kubectl christmas``."""

    def over(self, outer: Where) -> Where:
        """What was said after the verb, and before it where nothing was."""
        return Where(
            state=self.state or outer.state,
            context=self.context or outer.context,
            kubeconfig=self.kubeconfig or outer.kubeconfig,
            namespace=self.namespace or outer.namespace,
            plugin=self.plugin or outer.plugin,
        )


class OnMachine(NamedTuple):
    state: Path | None


class InCluster(NamedTuple):
    """None: as the kubeconfig says."""

    context: str | None
    kubeconfig: Path | None
    namespace: str | None


def place_of(where: Where, environment: Mapping[str, str]) -> OnMachine | InCluster:
    """Raises UsageError when what was said contradicts itself."""
    named = where.context or where.kubeconfig
    if where.state is not None:
        if named or where.namespace:
            raise click.UsageError("--state is on this machine, --context, --kubeconfig and -n are in a cluster")
        return OnMachine(where.state)
    context = where.context or environment.get("CHRISTMAS_CONTEXT") or None
    if context or named or where.plugin:
        return InCluster(context, where.kubeconfig, where.namespace)
    if where.namespace is not None:
        raise click.UsageError("a namespace is in a cluster: add --context NAME, or set CHRISTMAS_CONTEXT")
    return OnMachine(None)
