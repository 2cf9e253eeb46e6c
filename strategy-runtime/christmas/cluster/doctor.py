"""Checks of an installation in a cluster, and of what this user may do there; each finding with its mend."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any, Final

from christmas import __version__
from christmas.cluster.api import Api
from christmas.cluster.conditions import condition, is_ready, phase, why
from christmas.cluster.errors import INSTALL, ClusterError, NotInstalledError
from christmas.cluster.pods import pod_of_component
from christmas.cluster.resources import PLURALS, Kind, Object, list_objects
from christmas.fleet.doctor import Check
from christmas.resources.meta import GROUP

_COMPONENTS: Final = {
    "operator": "nothing takes what is applied: see its log with `christmas logs operator`",
    "recorder": "trading goes on, nothing is recorded: see `christmas logs recorder`",
}
_RIGHTS: Final = (
    (GROUP, "strategies", "", "list", "get, describe, explain"),
    (GROUP, "strategies", "", "patch", "apply, suspend, resume"),
    (GROUP, "strategies", "", "delete", "delete"),
    ("", "pods", "log", "get", "logs"),
    ("", "pods", "proxy", "get", "explain, positions, describe"),
    ("", "pods", "portforward", "create", "orders, stats, kill"),
    ("", "secrets", "", "get", "orders, stats, kill"),
)
_SHOWN: Final = 20


def examine(api: Api) -> list[Check]:
    """All checks, in the order in which a person would read them; what cannot be asked is a finding too."""
    text = f"christmas {__version__}, Python {platform.python_version()}"
    checks = [Check(name="versions", level="ok", what=text)]
    try:
        version = api.get("/version")["gitVersion"]
    except ClusterError as error:
        return [*checks, Check(name="api server", level="failed", what=error.what, mend=error.mend)]
    cluster = api.cluster
    where = f"Kubernetes {version} at {cluster.server}, context {cluster.context}, namespace {cluster.namespace}"
    checks.append(Check(name="api server", level="ok", what=where))
    objects: list[Object] = []
    kinds: tuple[Kind, ...] = ("Broker", "Strategy")
    for kind in kinds:
        try:
            objects += list_objects(api, kind).objects.values()
        except NotInstalledError as error:
            checks.append(Check(name="crds", level="failed", what=error.what, mend=INSTALL))
            return checks
        except ClusterError as error:
            checks.append(Check(name=PLURALS[kind], level="failed", what=error.what, mend=error.mend))
    checks.append(Check(name="crds", level="ok", what=f"strategies and brokers of {GROUP} are known"))
    checks += [_component(api, name, mend) for name, mend in _COMPONENTS.items()]
    checks += [_right(api, *right) for right in _RIGHTS]
    return checks + findings(objects)


def findings(objects: Sequence[Object]) -> list[Check]:
    """What is not as it should be among resources. Pure."""
    checks = []
    for obj in objects:
        name = f"{obj['kind'].lower()}/{obj['metadata']['name']}"
        if is_ready(obj) or phase(obj) in {"Suspended", "Suspending", "Terminating"}:
            continue
        ready = condition(obj, "Ready")
        failed = phase(obj) == "Failed" or ready is None
        mend = f"see `christmas describe {name}`"
        text = f"{phase(obj)}: {why(obj)}"
        checks.append(Check(name=name, level="failed" if failed else "warning", what=text, mend=mend))
    if len(checks) > _SHOWN:
        more = f"{len(checks) - _SHOWN} more are not ready"
        checks = [*checks[:_SHOWN], Check(name="resources", level="warning", what=more, mend="see `christmas get`")]
    if not checks:
        text = f"{len(objects)} resources, all as they should be"
        checks.append(Check(name="resources", level="ok", what=text))
    return checks


def _component(api: Api, name: str, mend: str) -> Check:
    try:
        pod = pod_of_component(api, name)
    except ClusterError as error:
        return Check(name=name, level="warning", what=error.what, mend=error.mend)
    where = f"pod {pod.namespace}/{pod.name}"
    if pod.ready:
        restarts = f", restarted {pod.restarts} times" if pod.restarts else ""
        return Check(name=name, level="ok", what=f"{where} is ready{restarts}")
    return Check(name=name, level="failed", what=f"{where}: {pod.state}", mend=mend)


def _right(api: Api, group: str, resource: str, subresource: str, verb: str, verbs: str) -> Check:  # noqa: PLR0917
    named = "/".join(part for part in (resource, subresource) if part)
    attributes: dict[str, Any] = {"namespace": api.cluster.namespace, "group": group, "resource": resource}
    attributes |= {"subresource": subresource, "verb": verb}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    try:
        allowed = api.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)["status"]["allowed"]
    except ClusterError as error:
        return Check(name=f"right to {verb} {named}", level="warning", what=error.what, mend=error.mend)
    if allowed:
        return Check(name=f"right to {verb} {named}", level="ok", what=f"for {verbs}")
    what = f"you may not {verb} {named} in namespace {api.cluster.namespace}: no {verbs}"
    return Check(name=f"right to {verb} {named}", level="warning", what=what, mend="ask for it if you need these")
