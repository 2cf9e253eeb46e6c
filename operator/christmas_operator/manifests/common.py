"""What all objects have in common: labels, owner, and how a Secret and a ConfigMap hold their content."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Mapping
from typing import Final, Literal, TypeVar

import msgspec

from christmas.resources.meta import Spec
from christmas_operator.manifests.context import Manifest, OwnerRef
from christmas_operator.manifests.hashes import config_hash
from christmas_operator.manifests.names import config_map

Component = Literal["runtime", "gateway"]
S = TypeVar("S", bound=Spec)

STRATEGY_LABEL: Final = "christmas.dev/strategy"
BROKER_LABEL: Final = "christmas.dev/broker"
CREDENTIALS_LABEL: Final = "christmas.dev/credentials"


def selector(component: Component, instance: str) -> dict[str, str]:
    """Labels that only the pods of one runtime or gateway have."""
    return {
        "app.kubernetes.io/name": "christmas",
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/instance": instance,
    }


def labels(component: Component, instance: str, **more: str) -> dict[str, str]:
    """``more``: ``strategy`` and ``broker``."""
    ours = {f"christmas.dev/{key}": value for key, value in more.items()}
    return {**selector(component, instance), "app.kubernetes.io/managed-by": "christmas-operator", **ours}


def metadata(name: str, namespace: str, marked: Mapping[str, str], owner: OwnerRef) -> Manifest:
    return {
        "name": name,
        "namespace": namespace,
        "labels": dict(marked),
        "ownerReferences": [owner.manifest()],
    }


def secret(
    name: str, namespace: str, marked: Mapping[str, str], owner: OwnerRef, data: Mapping[str, bytes]
) -> Manifest:
    """Labelled as one that holds credentials, so that backups can leave it out."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(name, namespace, {**marked, CREDENTIALS_LABEL: "true"}, owner),
        "type": "Opaque",
        # Not stringData: who applies it would not own what comes of it.
        "data": {key: b64encode(value).decode() for key, value in data.items()},
    }


def immutable_config(
    of: str, namespace: str, marked: Mapping[str, str], owner: OwnerRef, data: Mapping[str, str]
) -> Manifest:
    """Named by its content: a pod that runs keeps what it was started with."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(config_map(of, config_hash(data)), namespace, marked, owner),
        "immutable": True,
        "data": dict(data),
    }


def without(spec: S, fields: Collection[str]) -> S:
    """The spec with these fields as if they had not been written; they must have defaults."""
    defaults = {
        field.name: field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        for field in msgspec.structs.fields(type(spec))
        if field.name in fields
    }
    return msgspec.structs.replace(spec, **defaults)
