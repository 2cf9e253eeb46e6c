"""The objects that are wanted for one resource, each with what tells whether the live one is as wanted. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from christmas_operator.keys import ObjectName
from christmas_operator.kube.managed_fields import shape
from christmas_operator.kube.views import EPOCH, INPUT_HASH, INSTALLATION, PERMIT_EXPIRES

ROLLING: Final = frozenset({"StatefulSet", "ConfigMap", "Secret"})
"""A change of theirs needs a new pod. All others change under a running one."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    manifest: dict[str, Any]
    digest: str
    """Of the manifest without permit and epoch, which change with nothing else changed."""
    shape: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    objects: dict[ObjectName, Wanted]
    """In the order in which they are applied."""
    roll_hash: str
    """Of all that a pod is made of: one with another is out of date."""


def plan(manifests: Iterable[dict[str, Any]], *, salt: str = "", epochs: bool, installation: str = "") -> Plan:
    """``manifests`` as the builders make them, ``salt``: what else a Secret depends on (the permit's key).

    ``epochs``: each apply will be of one epoch, see `with_epoch`. ``installation``: whose workloads these are, marked
    on them and on nothing else.
    """
    listed = list(manifests)
    roll_hash = _digest([_without_replicas(manifest) for manifest in listed if manifest["kind"] in ROLLING])
    objects = {}
    for manifest in listed:
        name = ObjectName(manifest["kind"], manifest["metadata"]["name"])
        is_marked = installation and name.kind == "StatefulSet"
        marked = _annotated(manifest, {INSTALLATION: installation}) if is_marked else manifest
        digest = _digest([marked, salt] if name.kind == "Secret" else marked)
        stamped = _annotated(marked, {INPUT_HASH: digest})
        if name.kind == "StatefulSet":
            stamped = _template_annotated(stamped, {INPUT_HASH: roll_hash})
        applied = with_epoch(stamped, 0, permit_expires=0) if epochs else stamped
        objects[name] = Wanted(manifest=stamped, digest=digest, shape=shape(applied))
    return Plan(objects=objects, roll_hash=roll_hash)


def with_epoch(manifest: dict[str, Any], epoch: int, *, permit_expires: int) -> dict[str, Any]:
    """The manifest of one epoch: its pod tells of which it is, its Secret until when its permit is good."""
    marked = _annotated(manifest, {EPOCH: str(epoch)})
    if manifest["kind"] == "Secret":
        return _annotated(marked, {PERMIT_EXPIRES: str(permit_expires)})
    return _template_annotated(marked, {EPOCH: str(epoch)}) if manifest["kind"] == "StatefulSet" else marked


def _annotated(manifest: dict[str, Any], more: Mapping[str, str]) -> dict[str, Any]:
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), **more}}}


def _template_annotated(manifest: dict[str, Any], more: Mapping[str, str]) -> dict[str, Any]:
    spec = manifest["spec"]
    template = spec["template"]
    return {**manifest, "spec": {**spec, "template": _annotated(template, more)}}


def _without_replicas(manifest: dict[str, Any]) -> dict[str, Any]:
    if manifest["kind"] != "StatefulSet":
        return manifest
    return {**manifest, "spec": {key: value for key, value in manifest["spec"].items() if key != "replicas"}}


def _digest(value: Any) -> str:
    return hashlib.blake2b(msgspec.json.encode(value, order="deterministic"), digest_size=10).hexdigest()
