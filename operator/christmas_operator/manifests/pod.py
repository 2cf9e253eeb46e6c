"""Pods under Pod Security's ``restricted``: no root, no capability, no writable root, no token of the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from christmas.resources.meta import Resources, Toleration
from christmas_operator.manifests.context import BuildContext, Manifest
from christmas_operator.manifests.names import HTTP_PORT

SETTINGS_FOLDER: Final = "/etc/christmas"
SPEC_FOLDER: Final = "/etc/christmas-spec"
SETTINGS_FILE: Final = f"{SETTINGS_FOLDER}/settings.json"
_USER: Final = 10001
_OWNER_AND_GROUP_READ: Final = 0o440


def scrape_annotations() -> dict[str, str]:
    """For a Prometheus that finds pods by annotations."""
    return {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(HTTP_PORT),
        "prometheus.io/path": "/metrics",
    }


def container(
    name: str,
    module: str,
    *,
    image: str,
    context: BuildContext,
    resources: Resources,
    mounts: Sequence[Manifest],
    ports: Sequence[Manifest] = (),
    env_from: Sequence[Manifest] = (),
) -> Manifest:
    """One process of ours: ``python -m module settings.json``."""
    made: Manifest = {
        "name": name,
        "image": image,
        "imagePullPolicy": context.image_pull_policy,
        "command": ["python", "-m", module, SETTINGS_FILE],
        "ports": [*ports, {"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"}],
        "resources": amounts(resources),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # Everything else waits for the start: a process may take its time on a busy node.
        "startupProbe": {**_probe("/healthz"), "periodSeconds": 1, "timeoutSeconds": 3, "failureThreshold": 60},
        "livenessProbe": {**_probe("/healthz"), "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3},
        "readinessProbe": {**_probe("/readyz"), "periodSeconds": 2, "timeoutSeconds": 3, "failureThreshold": 1},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "settings", "mountPath": SETTINGS_FOLDER, "readOnly": True},
            {"name": "spec", "mountPath": SPEC_FOLDER, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 (a volume of its own)
            *mounts,
        ],
    }
    if env_from:
        made["envFrom"] = list(env_from)
    return made


def pod_template(
    *,
    marked: Mapping[str, str],
    process: Manifest,
    secret: str,
    config: str,
    volumes: Sequence[Manifest] = (),
    **placement: Any,
) -> Manifest:
    """``placement``: fields of the pod that say where it runs; empty ones are left out."""
    return {
        "metadata": {"labels": dict(marked), "annotations": scrape_annotations()},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 30,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _USER,
                "runAsGroup": _USER,
                "fsGroup": _USER,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [process],
            "volumes": [
                secret_volume("settings", secret),
                {"name": "spec", "configMap": {"name": config}},
                {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
                *volumes,
            ],
            **{key: value for key, value in placement.items() if value},
        },
    }


def tolerated(tolerations: Sequence[Toleration]) -> list[Manifest]:
    """As a pod has them, the operator always said: the API server would add it, and it would look like drift."""
    return [{"operator": one.operator, **msgspec.to_builtins(one)} for one in tolerations]


def secret_volume(volume: str, secret: str) -> Manifest:
    """Its files are for our user only."""
    return {"name": volume, "secret": {"secretName": secret, "defaultMode": _OWNER_AND_GROUP_READ}}


def amounts(resources: Resources) -> Manifest:
    """As a container has them."""
    found = {"requests": msgspec.to_builtins(resources.requests), "limits": msgspec.to_builtins(resources.limits)}
    return {kind: given for kind, given in found.items() if given}


def _probe(path: str) -> Manifest:
    return {"httpGet": {"path": path, "port": "http"}}
