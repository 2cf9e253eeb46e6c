"""What the verbs ask of a fleet, wherever it runs: on this machine or in a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from christmas.brokers.admin import CommandName
from christmas.cli.names import Kind
from christmas.cli.output import Table
from christmas.fleet.doctor import Check
from christmas.fleet.report import StrategyReport
from christmas.ingestion.history import OrderRecord
from christmas.telemetry.status import RuntimeStatus

Targets = Sequence[tuple[Kind, str | None]]
"""Kind and name; a name of None stands for all of the kind."""


class Section(NamedTuple):
    """All that was asked for of one kind."""

    kind: Kind
    table: Table
    names: Sequence[str]
    manifests: Sequence[dict[str, Any]]


class Listing(NamedTuple):
    """Resources at one moment."""

    sections: Sequence[Section]
    where: str
    """In which state folder or namespace."""


class Activity(NamedTuple):
    """What one strategy does now."""

    name: str
    phase: str
    why: str
    """One sentence on what it does, or why it does not trade."""
    runtime: RuntimeStatus | None


class Backend(Protocol):
    """Every method raises FleetError, with the mend, when it cannot be done."""

    def listings(self, targets: Targets, *, watch: bool, wide: bool) -> Iterator[Listing]:
        """What is there now; with ``watch`` again when it may have changed, without end."""

    def describe(self, kind: Kind, name: str) -> Iterator[str]:
        """Everything about one resource, line by line."""

    def activities(self, names: Sequence[str] | None) -> list[Activity]:
        """Of the named strategies, or of all; names that are not there are an error."""

    def apply(self, paths: Sequence[Path], *, now: bool, dry_run: bool) -> Iterable[str]:
        """Check and take over manifests: all, or none; raises ManifestError with every problem."""

    def set_state(self, name: str, state: Literal["Running", "Suspended"]) -> Iterable[str]:
        """Suspend or resume a strategy."""

    def delete(self, kind: Kind, name: str, *, force: bool) -> Iterable[str]:
        """Refused while positions would stay open, unless ``force``."""

    def broker_of(self, kind: Kind, name: str) -> str:
        """The Broker whose gateway speaks for this resource, which must be there."""

    def at_gateway(self, broker: str, action: CommandName, *, strategy: str | None, reason: str) -> Iterable[str]:
        """A command to a gateway; ``strategy`` None: for the whole account."""

    def orders(self, names: Sequence[str] | None) -> list[OrderRecord]:
        """Of the named strategies or of all, oldest first."""

    def reports(self, names: Sequence[str] | None) -> list[StrategyReport]:
        """The results of the named strategies or of all."""

    def log(self, what: Sequence[str], *, follow: bool, tail: int, previous: bool) -> Iterator[str]:
        """The lines of the log of a strategy, of ``broker/NAME``, or of a part of the installation."""

    def examine(self) -> list[Check]:
        """What `christmas doctor` finds."""
