"""The pods behind resources: finding them, reading their logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from christmas.cluster.api import Api, segment
from christmas.cluster.errors import INSTALL, ClusterError, RefusedError
from christmas.cluster.resources import Object

_NAME: Final = "app.kubernetes.io/name"
_COMPONENT: Final = "app.kubernetes.io/component"
LABELS: Final = {"Strategy": ("christmas.dev/strategy", "runtime"), "Broker": ("christmas.dev/broker", "gateway")}
"""By kind: the label that names the resource, and its pods' component, which is also the container's name."""


class PodView(NamedTuple):
    namespace: str
    name: str
    node: str
    ready: bool
    restarts: int
    state: str
    """Running, or why not: ``CrashLoopBackOff: back-off 10s ...``."""
    started: str


def pods_of(api: Api, kind: str, name: str | None = None) -> dict[str, PodView]:
    """By the resource's name, its pod; of several the newest. ``name`` None: of all of a kind."""
    label, component = LABELS[kind]
    wanted = f"{label}={name}" if name is not None else label
    path = f"/api/v1/namespaces/{segment(api.cluster.namespace)}/pods"
    items = api.get(path, {"labelSelector": f"{wanted},{_COMPONENT}={component}"})["items"]
    items.sort(key=lambda pod: pod["metadata"]["creationTimestamp"])
    return {pod["metadata"]["labels"][label]: pod_view(pod) for pod in items}


def pod_view(pod: Object) -> PodView:
    """Pure."""
    status = pod.get("status", {})
    containers = status.get("containerStatuses") or ()
    conditions = {one["type"]: one["status"] for one in status.get("conditions") or ()}
    return PodView(
        namespace=pod["metadata"]["namespace"],
        name=pod["metadata"]["name"],
        node=pod.get("spec", {}).get("nodeName", ""),
        ready=conditions.get("Ready") == "True",
        restarts=sum(one.get("restartCount", 0) for one in containers),
        state=_state(status, containers),
        started=status.get("startTime", ""),
    )


def _state(status: Object, containers: Iterator[Object] | list[Object] | tuple[()]) -> str:
    for one in containers:
        state = one.get("state") or {}
        for phase in ("waiting", "terminated"):
            if phase in state:
                found = state[phase]
                told = found.get("message") or (f"exit code {found['exitCode']}" if "exitCode" in found else "")
                return f"{found.get('reason', phase)}" + (f": {told}" if told else "")
    for one in status.get("conditions") or ():
        if one["type"] == "PodScheduled" and one["status"] != "True":
            return f"{one.get('reason', 'Unscheduled')}: {one.get('message', '')}"
    return str(status.get("phase", "Unknown"))


def pod_of(api: Api, kind: str, name: str) -> PodView:
    """Raises ClusterError when it has none."""
    pod = pods_of(api, kind, name).get(name)
    if pod is None:
        what = f"{kind} {name} has no pod in namespace {api.cluster.namespace} now"
        raise ClusterError(what, f"`christmas describe {kind.lower()}/{name}` says why")
    return pod


def pod_of_component(api: Api, component: str) -> PodView:
    """A pod of the installation itself: recorder, operator, a store. It may live in another namespace."""
    wanted = {"labelSelector": f"{_NAME}=christmas,{_COMPONENT}={component}"}
    items = api.get(f"/api/v1/namespaces/{segment(api.cluster.namespace)}/pods", wanted)["items"]
    if not items:
        try:
            items = api.get("/api/v1/pods", wanted)["items"]
        except RefusedError as error:
            if error.status != 403:
                raise
            what = f"no {component} runs in namespace {api.cluster.namespace}, others you may not look into"
            raise ClusterError(what, "say with -n where Christmas is installed") from error
    if not items:
        raise ClusterError(f"no pod of component {component} runs in the cluster", INSTALL)
    return pod_view(max(items, key=lambda pod: pod["metadata"]["creationTimestamp"]))


def log_lines(
    api: Api, pod: PodView, *, container: str | None, follow: bool, tail: int, previous: bool
) -> Iterator[str]:
    """Without the ends of lines. ``container`` None: the pod's only one."""
    query = {"tailLines": str(tail)}
    if container is not None:
        query["container"] = container
    if follow:
        query["follow"] = "true"
    if previous:
        query["previous"] = "true"
    path = f"/api/v1/namespaces/{segment(pod.namespace)}/pods/{segment(pod.name)}/log"
    # Who follows a quiet log waits for as long as it is quiet.
    for line in api.lines(path, query, silent_s=None if follow else 30.0):
        yield line.decode(errors="replace").rstrip("\n")
