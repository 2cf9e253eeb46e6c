"""A Broker's objects: its gateway with the account's journal, and who may talk to it."""

from __future__ import annotations

from typing import Final

import msgspec

from christmas.brokers.gateway.settings import GatewaySettings
from christmas.resources.broker import Broker
from christmas.resources.meta import Metadata, Storage
from christmas_operator.manifests import names, network
from christmas_operator.manifests.common import (
    BROKER_LABEL,
    immutable_config,
    labels,
    metadata,
    secret,
    selector,
    without,
)
from christmas_operator.manifests.context import BuildContext, Manifest, OwnerRef
from christmas_operator.manifests.pod import SPEC_FOLDER, container, pod_template, secret_volume, tolerated

_STATE_FOLDER: Final = "/var/lib/christmas"
_KEY_FOLDER: Final = "/etc/christmas-key"
_CREDENTIALS_FOLDER: Final = "/etc/christmas-credentials"
_PERMIT_KEY: Final = "permit-key"
_NOT_THE_PROCESS: Final = ("resources", "storage", "node_selector", "tolerations", "priority_class_name")
"""Fields that the process itself does not look at."""
_OPERATOR: Final = {"app.kubernetes.io/name": "christmas", "app.kubernetes.io/component": "operator"}


def broker_objects(broker: Broker, context: BuildContext, *, owner: OwnerRef) -> list[Manifest]:
    """All objects of a Broker but the permit key's Secret, the StatefulSet last."""
    name, namespace = broker.metadata.name, broker.metadata.namespace
    called = names.gateway(name)
    marked = labels("gateway", name, broker=name)
    meta = metadata(called, namespace, marked, owner)
    config = immutable_config(called, namespace, marked, owner, {"broker.json": _content(broker)})
    settings = GatewaySettings(
        name=called,
        redis_url=context.redis_url,
        session_id=names.session(context.session_id, namespace),
        market=names.market(name, namespace),
        http_host="0.0.0.0",  # noqa: S104 (a pod's own address is not known beforehand)
        http_port=names.HTTP_PORT,
        broker_file=f"{SPEC_FOLDER}/broker.json",
        listen=f"tcp://0.0.0.0:{names.SESSION_PORT}",
        state_directory=_STATE_FOLDER,
        permit_key_file=f"{_KEY_FOLDER}/{_PERMIT_KEY}",
    )
    return [
        config,
        secret(called, namespace, marked, owner, {"settings.json": msgspec.json.encode(settings)}),
        _network(broker, context, meta),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {
                "type": "ClusterIP",
                "selector": selector("gateway", name),
                # The operator asks a gateway that is not ready why, and may halt it.
                "publishNotReadyAddresses": True,
                "ports": [_port("session", names.SESSION_PORT), _port("http", names.HTTP_PORT)],
            },
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": meta,
            "spec": {"minAvailable": 1, "selector": {"matchLabels": selector("gateway", name)}},
        },
        _stateful_set(broker, context, marked, owner, config["metadata"]["name"]),
    ]


def permit_key_secret(name: str, namespace: str, value: bytes, *, owner: OwnerRef) -> Manifest:
    """The key that the permits of a Broker are signed with: made once, a new one would fence off every Strategy."""
    marked = labels("gateway", name, broker=name)
    return secret(names.permit_key_secret_name(name), namespace, marked, owner, {_PERMIT_KEY: value})


def _content(broker: Broker) -> str:
    """The Broker as its process reads it."""
    meta = Metadata(name=broker.metadata.name, namespace=broker.metadata.namespace, uid=broker.metadata.uid)
    spec = without(broker.spec, _NOT_THE_PROCESS)
    return msgspec.json.encode(msgspec.structs.replace(broker, metadata=meta, spec=spec), order="sorted").decode()


def _network(broker: Broker, context: BuildContext, meta: Manifest) -> Manifest:
    name, spec = broker.metadata.name, broker.spec
    runtimes = network.pods({"app.kubernetes.io/component": "runtime", BROKER_LABEL: name})
    operator = network.pods(_OPERATOR, context.operator_namespace)
    egress = [network.dns_egress(), network.store_egress(context.redis_url)]
    if spec.feed.exchange is not None:
        egress.append(network.outside_egress(spec.feed.exchange.urls.values()))
    elif spec.type != "paper":
        egress.append(network.outside_egress(()))
    ingress = [network.tcp_from([runtimes, operator], names.SESSION_PORT), network.metrics_ingress()]
    return network.policy(meta, selector("gateway", name), ingress=ingress, egress=egress)


def _stateful_set(
    broker: Broker, context: BuildContext, marked: dict[str, str], owner: OwnerRef, config: str
) -> Manifest:
    name, spec = broker.metadata.name, broker.spec
    called = names.gateway(name)
    mounts: list[Manifest] = [
        {"name": "state", "mountPath": _STATE_FOLDER},
        {"name": "permit-key", "mountPath": _KEY_FOLDER, "readOnly": True},
    ]
    volumes = [secret_volume("permit-key", names.permit_key_secret_name(name))]
    if spec.credentials_secret_ref is not None:
        mounts.append({"name": "credentials", "mountPath": _CREDENTIALS_FOLDER, "readOnly": True})
        volumes.append(secret_volume("credentials", spec.credentials_secret_ref.name))
    process = container(
        "gateway",
        "christmas.brokers.gateway",
        image=context.runtime_image,
        context=context,
        resources=spec.resources,
        ports=[{"name": "session", "containerPort": names.SESSION_PORT, "protocol": "TCP"}],
        mounts=mounts,
    )
    template = pod_template(
        marked=marked,
        process=process,
        secret=called,
        config=config,
        volumes=volumes,
        nodeSelector=spec.node_selector,
        tolerations=tolerated(spec.tolerations),
        priorityClassName=spec.priority_class_name,
    )
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata(called, broker.metadata.namespace, marked, owner),
        "spec": {
            "replicas": 1,
            "serviceName": called,
            "selector": {"matchLabels": selector("gateway", name)},
            "updateStrategy": {"type": "OnDelete"},
            "podManagementPolicy": "Parallel",
            "revisionHistoryLimit": 2,
            "template": template,
            "volumeClaimTemplates": [_claim(spec.storage, selector("gateway", name))],
        },
    }


def _claim(storage: Storage, marked: dict[str, str]) -> Manifest:
    spec: Manifest = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage.size}}}
    if storage.storage_class_name is not None:
        spec["storageClassName"] = storage.storage_class_name
    return {"metadata": {"name": "state", "labels": marked}, "spec": spec}


def _port(name: str, number: int) -> Manifest:
    return {"name": name, "port": number, "targetPort": name, "protocol": "TCP"}
