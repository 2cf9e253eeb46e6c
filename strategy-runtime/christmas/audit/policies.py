"""Which exit policy each strategy of a journal is judged by. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from christmas.audit.books import JournalBook, Policy
from christmas.execution.journal import OrderWritten


def policies_of(
    journal: JournalBook, by_uid: Mapping[str, Policy], by_name: Mapping[str, Policy], assumed: Policy | None
) -> dict[str, Policy]:
    """By strategy uid: by the strategy's name if it is named, else by its manifest, else as ``assumed``."""
    found = dict(by_uid)
    for line in journal.lines:
        if isinstance(line.entry, OrderWritten):
            uid = line.entry.strategy_uid
            policy = by_name.get(line.entry.strategy) or by_uid.get(uid) or assumed
            if policy is not None:
                found[uid] = policy
    return found
