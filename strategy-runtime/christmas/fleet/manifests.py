"""Reading and checking manifests with all that the fleet knows: also the builtins' parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from christmas.fleet.errors import FleetError
from christmas.resources.checks import check_builtin, check_rule
from christmas.resources.load import Loaded, load
from christmas.resources.problem import Problem, path_text
from christmas.resources.validate import Resource, validate

_PLACEMENT: Final = ("nodeSelector", "tolerations", "priorityClassName")
_OF_PODS: Final = {
    "Strategy": ("envFrom", "secrets", *_PLACEMENT, "image"),
    "Broker": ("storage", *_PLACEMENT),
}
"""What a manifest says about its pod, which a process of this machine has no use for."""


def read(paths: Iterable[str | Path], *, known: Iterable[Resource] = ()) -> Loaded:
    """Manifests from files, folders or ``-``; raises ManifestError with every problem."""
    return load(paths, known=known, check_builtin=check_builtin)


def read_here(paths: Iterable[str | Path], *, known: Iterable[Resource] = ()) -> Loaded:
    """As `read`, for a fleet on this machine: what is for clusters only is warned of."""
    loaded = read(paths, known=known)
    return loaded._replace(warnings=(*loaded.warnings, *_ignored_here(loaded)))


def _ignored_here(loaded: Loaded) -> Iterator[Problem]:
    for document in loaded.documents:
        spec = document.data["spec"]
        for field in _OF_PODS[document.data["kind"]]:
            if spec.get(field):
                found = document.problem(("spec", field), "ignored: it is for pods in a cluster", on_key=True)
                yield msgspec.structs.replace(found, severity="warning")


def check(resources: Iterable[Resource], *, known: Iterable[Resource]) -> None:
    """Check resources that did not come from a file; raises FleetError with the first thing that is wrong."""
    given = list(resources)
    replaced = {(type(resource), resource.metadata.name) for resource in given}
    others = [resource for resource in known if (type(resource), resource.metadata.name) not in replaced]
    for finding in validate(given, known=others, check_rule=check_rule, check_builtin=check_builtin):
        if finding.severity == "error":
            name = f"{finding.kind.lower()}/{finding.name}"
            raise FleetError(f"{name}: {path_text(finding.path)}: {finding.what}", finding.mend)
