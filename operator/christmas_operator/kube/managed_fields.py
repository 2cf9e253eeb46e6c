"""Who owns which field, as the API server keeps it: how a change by somebody else is seen without its content.

Whoever changes or removes a field that server-side apply gave to us takes it out of our entry in
``metadata.managedFields``. So an object is as we left it exactly when our entry is. What our entry
looks like follows from the *shape* of the manifest alone (its keys, and what names the items of its
lists), which most objects of a kind share: it is learnt from the answer to one apply of that shape,
also after a restart. Nothing has to be kept, compared or applied again for the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from christmas_operator.kube.client import FIELD_MANAGER

_BOOKKEEPING: Final = frozenset({"apiVersion", "kind", "name", "namespace"})


def owned_fields(metadata: Mapping[str, Any]) -> str:
    """A digest of the fields that are ours; empty when none is."""
    for entry in metadata.get("managedFields") or ():
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource"):
            return _digest(_without_owner(entry.get("fieldsV1") or {}))
    return ""


def _without_owner(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Owner references are named by a uid, which is another in each object: what counts is what is ours of them."""
    metadata = fields.get("f:metadata") or {}
    owners = metadata.get("f:ownerReferences")
    if not owners:
        return fields
    return {**fields, "f:metadata": {**metadata, "f:ownerReferences": list(owners.values())}}


def shape(manifest: Mapping[str, Any]) -> str:
    """A digest of all that decides which fields an apply of ``manifest`` makes ours."""
    content = {key: value for key, value in manifest.items() if key not in {"apiVersion", "kind"}}
    metadata = {key: value for key, value in content.get("metadata", {}).items() if key not in _BOOKKEEPING}
    owners = [sorted(owner) for owner in metadata.pop("ownerReferences", [])]
    return _digest([manifest.get("kind"), owners, _shape({**content, "metadata": metadata})])


def _shape(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _shape(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_item(item) for item in value]
    return 0


def _item(item: Any) -> Any:
    """Items of lists are told apart by values: any scalar of them may be part of their key."""
    if isinstance(item, Mapping):
        return {key: value if isinstance(value, str | int | bool) else _shape(value) for key, value in item.items()}
    return item


def _digest(value: Any) -> str:
    return hashlib.blake2b(msgspec.json.encode(value, order="deterministic"), digest_size=8).hexdigest()
