"""What is kept of a live object: only what decisions need, so that thousands fit into little memory. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from christmas.resources.meta import API_VERSION
from christmas_operator import reasons
from christmas_operator.keys import Key
from christmas_operator.kube.managed_fields import owned_fields

INPUT_HASH: Final = "christmas.dev/input-hash"
EPOCH: Final = "christmas.dev/epoch"
PERMIT_EXPIRES: Final = "christmas.dev/permit-expires"
INSTALLATION: Final = "christmas.dev/installation"
"""On a workload: which operator's it is, as namespace/lease."""
APPLY_NOW: Final = "christmas.dev/apply-now"
STRATEGY_LABEL: Final = "christmas.dev/strategy"
BROKER_LABEL: Final = "christmas.dev/broker"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
INSTANCE_LABEL: Final = "app.kubernetes.io/instance"


class Resource(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A Strategy or a Broker. Its content stays JSON until somebody looks at it."""

    namespace: str
    name: str
    uid: str
    version: int
    """``metadata.resourceVersion``."""
    generation: int
    deleted_at: float | None
    """UTC seconds of ``metadata.deletionTimestamp``."""
    finalizers: tuple[str, ...]
    apply_now: str
    broker: str
    """``spec.brokerRef.name`` of a Strategy."""
    manifest: bytes
    """JSON of apiVersion, kind, metadata (name, namespace, uid, generation) and spec."""
    status: bytes


class Owned(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An object that the operator made."""

    kind: str
    namespace: str
    name: str
    uid: str
    version: int
    owner: str
    """The uid of its controller."""
    about: Key | None
    """Which resource it was made for, by its labels."""
    input_hash: str
    fields: str
    """`owned_fields`: otherwise than after our apply, somebody has changed something."""
    epoch: int
    permit_expires: int
    """UTC seconds; 0: it is no permit."""
    deleting: bool
    replicas: int | None
    """Of a StatefulSet."""
    roll_hash: str
    """What a StatefulSet's template says it makes pods of."""
    installation: str = ""
    """Of a StatefulSet; empty: nobody's yet."""


class Pod(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    namespace: str
    name: str
    uid: str
    version: int
    about: Key | None
    input_hash: str
    epoch: int
    """Of the template it was made from; 0: not told there."""
    deleting: bool
    ready: bool
    reason: str
    """Why it is not ready, from the catalogue or as the kubelet says it."""
    message: str
    restarts: int
    node: str
    started: bool
    """Its container runs and has passed its startup probe."""


def seconds(stamp: str | None) -> float | None:
    """UTC seconds of a Kubernetes time."""
    return None if not stamp else datetime.fromisoformat(stamp).timestamp()


def version_of(metadata: Mapping[str, Any]) -> int:
    """Versions of one kind grow, so a stale view is told from a fresh one."""
    text = str(metadata.get("resourceVersion", "0"))
    return int(text) if text.isdigit() else 0


def about(metadata: Mapping[str, Any]) -> Key | None:
    """A Strategy's objects are labelled with its Broker too; a Broker's with no Strategy."""
    labels = metadata.get("labels") or {}
    namespace = sys.intern(metadata["namespace"])
    if labels.get(STRATEGY_LABEL):
        return Key("Strategy", namespace, labels[STRATEGY_LABEL])
    if labels.get(BROKER_LABEL):
        return Key("Broker", namespace, labels[BROKER_LABEL])
    return None


def resource_of(kind: str, body: Mapping[str, Any]) -> Resource:
    metadata = body["metadata"]
    annotations = metadata.get("annotations") or {}
    spec = body.get("spec") or {}
    broker_ref = spec.get("brokerRef")
    return Resource(
        namespace=sys.intern(metadata["namespace"]),
        name=metadata["name"],
        uid=metadata["uid"],
        version=version_of(metadata),
        generation=metadata.get("generation", 0),
        deleted_at=seconds(metadata.get("deletionTimestamp")),
        finalizers=tuple(metadata.get("finalizers") or ()),
        apply_now=annotations.get(APPLY_NOW, ""),
        broker=sys.intern(str(broker_ref.get("name", ""))) if isinstance(broker_ref, Mapping) else "",
        manifest=msgspec.json.encode(
            {
                "apiVersion": API_VERSION,
                "kind": kind,
                "metadata": {key: metadata[key] for key in ("name", "namespace", "uid") if key in metadata}
                | {"generation": metadata.get("generation", 0)},
                "spec": spec,
            }
        ),
        status=msgspec.json.encode(body.get("status") or {}),
    )


def owned_of(kind: str, body: Mapping[str, Any]) -> Owned:
    metadata = body["metadata"]
    annotations = metadata.get("annotations") or {}
    spec = body.get("spec") or {}
    template = (spec.get("template") or {}).get("metadata") or {}
    owners = [owner["uid"] for owner in metadata.get("ownerReferences") or () if owner.get("controller")]
    return Owned(
        kind=sys.intern(kind),
        namespace=sys.intern(metadata["namespace"]),
        name=metadata["name"],
        uid=metadata["uid"],
        version=version_of(metadata),
        owner=sys.intern(owners[0]) if owners else "",
        about=about(metadata),
        input_hash=annotations.get(INPUT_HASH, ""),
        fields=sys.intern(owned_fields(metadata)),
        epoch=_number(annotations.get(EPOCH)),
        permit_expires=_number(annotations.get(PERMIT_EXPIRES)),
        deleting=bool(metadata.get("deletionTimestamp")),
        replicas=spec.get("replicas"),
        roll_hash=(template.get("annotations") or {}).get(INPUT_HASH, ""),
        installation=sys.intern(annotations.get(INSTALLATION, "")),
    )


def pod_of(body: Mapping[str, Any]) -> Pod:
    metadata, status = body["metadata"], body.get("status") or {}
    annotations = metadata.get("annotations") or {}
    containers = status.get("containerStatuses") or []
    container: Mapping[str, Any] = containers[0] if containers else {}
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())
    deleting = bool(metadata.get("deletionTimestamp"))
    reason, message = ("", "") if ready and not deleting else _trouble(status, container, deleting=deleting)
    return Pod(
        namespace=sys.intern(metadata["namespace"]),
        name=metadata["name"],
        uid=metadata["uid"],
        version=version_of(metadata),
        about=about(metadata),
        input_hash=annotations.get(INPUT_HASH, ""),
        epoch=_number(annotations.get(EPOCH)),
        deleting=deleting,
        ready=ready and not deleting,
        reason=sys.intern(reason),
        message=message[:512],
        restarts=int(container.get("restartCount", 0)),
        node=sys.intern((body.get("spec") or {}).get("nodeName", "")),
        started=bool(container.get("started")),
    )


def _trouble(status: Mapping[str, Any], container: Mapping[str, Any], *, deleting: bool) -> tuple[str, str]:
    """Reason and message of a pod that is not ready, the most telling first."""
    if deleting:
        return reasons.POD_TERMINATING, "the pod is being stopped"
    waiting = (container.get("state") or {}).get("waiting") or {}
    last = (
        (container.get("state") or {}).get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
    )
    if last.get("exitCode") == reasons.EXIT_REFUSED:
        return reasons.REFUSED, "the gateway refused this runtime for good; see the log of its last run"
    if last.get("reason") == "OOMKilled":
        return reasons.OOM_KILLED, "it needed more memory than spec.resources.limits.memory; raise it"
    if waiting.get("reason") and waiting["reason"] != "ContainerCreating":
        return waiting["reason"], waiting.get("message", "")
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return reasons.UNSCHEDULABLE, condition.get("message", "no node takes it")
    if container.get("started"):
        return reasons.POD_NOT_READY, "it runs, and says that it is not ready"
    return reasons.POD_STARTING, "the pod is starting"


def _number(text: object) -> int:
    return int(text) if isinstance(text, str) and text.isdigit() else 0
