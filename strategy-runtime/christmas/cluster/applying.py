"""Manifests from files into the cluster: all of them, or, when one is wrong, none."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any, Final

from christmas.cluster.api import Api
from christmas.cluster.errors import RefusedError
from christmas.cluster.resources import Kind, Object, list_objects, model, path_of
from christmas.fleet.adopt import LAST_APPLIED, digest_of
from christmas.resources.load import Loaded
from christmas.resources.places import Document
from christmas.resources.problem import FieldPath, ManifestError, Problem
from christmas.resources.validate import Resource

APPLY_NOW: Final = "christmas.dev/apply-now"
_NOW_MANAGER: Final = "christmas-now"
_STEP: Final = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def known_resources(api: Api, namespace: str) -> list[Resource]:
    """What manifests may refer to."""
    kinds: tuple[Kind, ...] = ("Broker", "Strategy")
    found = [model(obj) for kind in kinds for obj in list_objects(api, kind, namespace=namespace).objects.values()]
    return [resource for resource in found if resource is not None]


def namespace_of(documents: Sequence[Document], *, default: str, asked: str | None) -> str:
    """Where the manifests go: as they say, else ``default``.

    Raises ManifestError when they name several, or another than was asked for.
    """
    chosen, problems = asked, []
    for document in documents:
        named = document.data["metadata"].get("namespace")
        if named is None:
            continue
        if chosen is not None and named != chosen:
            said = f"-n says {chosen}" if chosen == asked else f"an earlier manifest says {chosen}"
            path: FieldPath = ("metadata", "namespace")
            problems.append(document.problem(path, f"{named}, and {said}", "apply one namespace at a time"))
        chosen = chosen or named
    if problems:
        raise ManifestError(problems)
    return chosen or default


def refuse_local_files(documents: Sequence[Document]) -> None:
    """A gateway in the cluster cannot read files of this machine; raises ManifestError."""
    problems = [
        document.problem(
            ("spec", "feed", "replay"),
            "a gateway in a cluster cannot read files of this machine",
            "use feed.synthetic or feed.exchange; `christmas up --replay` replays files here",
            on_key=True,
        )
        for document in documents
        if document.data["kind"] == "Broker" and (document.data["spec"].get("feed") or {}).get("replay") is not None
    ]
    if problems:
        raise ManifestError(problems)


def apply(api: Api, loaded: Loaded, namespace: str, *, now: bool = False, dry_run: bool = False) -> list[str]:
    """A line for each, Brokers first; everything is tried out at the API server before anything is changed.

    ``now``: a change that waits for its moment (updatePolicy) happens at once.
    """
    pairs = sorted(zip(loaded.resources, loaded.documents, strict=True), key=lambda pair: type(pair[0]).__name__)
    live = {
        (kind, name): obj
        for kind in {type(resource).__name__ for resource, _ in pairs}
        for name, obj in list_objects(api, _kind(kind), namespace=namespace).objects.items()
    }
    sent = [
        to_send(resource, document.data, live.get((type(resource).__name__, resource.metadata.name)), namespace)
        for resource, document in pairs
    ]
    problems: list[Problem] = []
    for (_, document), body in zip(pairs, sent, strict=True):
        try:
            api.apply(_path(body), body, dry_run=True)
        except RefusedError as error:
            problems += refused(error, document)
    if problems:
        raise ManifestError(problems)
    if dry_run:
        return [f"{_label(body)} valid (dry run)" for body in sent]
    lines = []
    for body in sent:
        before = live.get((body["kind"], body["metadata"]["name"]))
        after = api.apply(_path(body), body)
        lines.append(f"{_label(body)} {change(before, after)}")
        if now and body["kind"] == "Strategy":
            at_once = {"metadata": {"annotations": {APPLY_NOW: str(after["metadata"]["generation"])}}}
            api.merge(_path(body), at_once, manager=_NOW_MANAGER)
    return lines


def to_send(resource: Resource, data: dict[str, Any], live: Object | None, namespace: str) -> Object:
    """The manifest as it is sent: as it was written, in its namespace, marked with its digest.

    A manifest that was applied before as it is changes no state that was set by hand since: a strategy that
    was suspended stays so, as on one machine.
    """
    body: Object = copy.deepcopy(data)
    body.pop("status", None)
    digest = digest_of(resource.spec)
    metadata = {key: body["metadata"][key] for key in ("name", "labels", "annotations") if key in body["metadata"]}
    body["metadata"] = {
        **metadata,
        "namespace": namespace,
        "annotations": {**(metadata.get("annotations") or {}), LAST_APPLIED: digest},
    }
    if live is not None and (live["metadata"].get("annotations") or {}).get(LAST_APPLIED) == digest:
        by_hand = live["spec"].get("state")
        if "state" in body["spec"] and by_hand != body["spec"]["state"]:
            del body["spec"]["state"]
    return body


def change(before: Object | None, after: Object) -> str:
    """In kubectl's words."""
    if before is None:
        return "created"
    same = before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    return "unchanged" if same else "configured"


def refused(error: RefusedError, document: Document) -> list[Problem]:
    """The API server's no, at its places in the file; raises the error when it is not about the manifest."""
    if error.status not in {400, 422}:
        raise error
    if not error.causes:
        return [document.problem((), f"the API server refuses it: {error.what}", error.mend)]
    return [
        document.problem(field_path(cause.field), _said(cause.message), "the API server refuses it")
        for cause in error.causes
    ]


def field_path(text: str) -> FieldPath:
    """``spec.symbols[0]`` as ``("spec", "symbols", 0)``; empty for what is no path."""
    if text in {"", "<nil>"}:
        return ()
    return tuple(int(index) if index else name for index, name in _STEP.findall(text))


def _said(message: str) -> str:
    """Without what kubectl needs and a reader of ``file:line:column: field:`` does not."""
    return re.sub(r"^(Invalid value|Required value|Unsupported value|Forbidden): ", "", message)


def _kind(name: str) -> Kind:
    return "Strategy" if name == "Strategy" else "Broker"


def _path(body: Object) -> str:
    return path_of(body["kind"], body["metadata"]["namespace"], body["metadata"]["name"])


def _label(body: Object) -> str:
    return f"{body['kind'].lower()}/{body['metadata']['name']}"
