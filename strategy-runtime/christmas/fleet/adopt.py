"""Taking a manifest in: identity, generation, and what a repeated apply leaves as it is. Pure."""

from __future__ import annotations

import hashlib
from typing import Final, Literal, TypeVar

import msgspec

from christmas.resources.broker import Broker
from christmas.resources.strategy import Strategy

LAST_APPLIED: Final = "christmas.dev/last-applied"
"""Annotation: the digest of the manifest that was applied last. Applying the same file again changes
nothing, so a strategy that was suspended by hand is not resumed by the next start."""

Change = Literal["created", "configured", "unchanged"]
R = TypeVar("R", Strategy, Broker)


def adopt(given: R, stored: R | None, *, uid: str, now: str) -> tuple[R, Change]:
    """The resource to keep. ``uid`` and ``now`` (RFC 3339) are for one that did not exist."""
    applied = digest_of(given.spec)
    annotations = {**given.metadata.annotations, LAST_APPLIED: applied}
    if stored is None:
        metadata = msgspec.structs.replace(
            given.metadata, uid=uid, generation=1, creation_timestamp=now, annotations=annotations
        )
        return msgspec.structs.replace(given, metadata=metadata), "created"
    if stored.metadata.annotations.get(LAST_APPLIED) == applied and stored.metadata.labels == given.metadata.labels:
        return stored, "unchanged"
    generation = stored.metadata.generation + (given.spec != stored.spec)
    metadata = msgspec.structs.replace(
        given.metadata,
        uid=stored.metadata.uid,
        generation=generation,
        creation_timestamp=stored.metadata.creation_timestamp,
        annotations=annotations,
    )
    return msgspec.structs.replace(given, metadata=metadata), "configured"


def with_state(strategy: Strategy, state: Literal["Running", "Suspended"]) -> Strategy:
    """The strategy running or suspended, one generation on when that is a change."""
    if strategy.spec.state == state:
        return strategy
    return msgspec.structs.replace(
        strategy,
        spec=msgspec.structs.replace(strategy.spec, state=state),
        metadata=msgspec.structs.replace(strategy.metadata, generation=strategy.metadata.generation + 1),
    )


def digest_of(value: object) -> str:
    """Of a resource's canonical JSON."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:16]
