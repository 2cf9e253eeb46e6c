"""Orders and fills that the venue tells of and that are not in memory: told once each, never touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from christmas.brokers.gateway import metrics
from christmas.execution.order import Fill
from christmas.telemetry.events import Severity

_TOLD_MAXIMUM: Final = 10_000
"""So many are remembered: each comes again with every reconciling, until the fills asked for begin after it."""


class Written(Protocol):
    """What the journal answers; each a look into an index, for thousands are asked of one after another."""

    def has_order(self, client_order_id: str) -> bool: ...

    def has_fill(self, client_order_id: str, fill_id: str) -> bool: ...


class Unmatched:
    def __init__(self, journal: Written, alert: Callable[[Severity, str, str], None]) -> None:
        self._journal = journal
        self._alert = alert
        self._told: dict[tuple[str, str], None] = {}

    def order(self, client_order_id: str) -> None:
        """An order that is not in memory: another's, or one of ours that was over long ago."""
        if not self._journal.has_order(client_order_id) and self._is_new(client_order_id, ""):
            self._foreign("order", f"an order {client_order_id!r}")

    def fill(self, fill: Fill) -> None:
        """A fill of such an order. A new one of ours changes what the account holds, and no position has it."""
        if self._journal.has_fill(fill.client_order_id, fill.fill_id):
            return
        if not self._is_new(fill.client_order_id, fill.fill_id):
            return
        if not self._journal.has_order(fill.client_order_id):
            self._foreign("fill", f"a fill of {fill.client_order_id!r}")
            return
        metrics.LATE_FILLS.inc()
        self._alert(
            "critical",
            "LateFill",
            f"the venue tells of fill {fill.fill_id} ({fill.side} {fill.lots} lots at {fill.price}) of"
            f" {fill.client_order_id}, which was over long ago: no position has it",
        )

    def _foreign(self, what: metrics.UnmatchedKind, named: str) -> None:
        metrics.FOREIGN.labels(what).inc()
        self._alert("warning", "ForeignOrder", f"the venue has {named} that is not in the journal")

    def _is_new(self, client_order_id: str, fill_id: str) -> bool:
        key = (client_order_id, fill_id)
        if key in self._told:
            return False
        self._told[key] = None
        if len(self._told) > _TOLD_MAXIMUM:
            del self._told[next(iter(self._told))]
        return True
