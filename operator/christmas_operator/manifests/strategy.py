"""A Strategy's objects: its process, what it is told, and whom it may talk to."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from christmas.resources.meta import Metadata
from christmas.resources.strategy import EnvFromSource, Strategy
from christmas.runtime.settings import RuntimeSettings
from christmas_operator.manifests import names, network
from christmas_operator.manifests.common import (
    BROKER_LABEL,
    STRATEGY_LABEL,
    immutable_config,
    labels,
    metadata,
    secret,
    selector,
    without,
)
from christmas_operator.manifests.context import BuildContext, Manifest, OwnerRef
from christmas_operator.manifests.pod import (
    SETTINGS_FOLDER,
    SPEC_FOLDER,
    container,
    pod_template,
    secret_volume,
    tolerated,
)

_SCRAPED_AS: Final = {
    STRATEGY_LABEL: "strategy",
    BROKER_LABEL: "broker",
    "app.kubernetes.io/component": "component",
}
_LABEL_SIGNS: Final = re.compile(r"[^a-zA-Z0-9_]")
"""What Prometheus writes as an underscore when a label becomes one of its own."""
_NOT_THE_PROCESS: Final = (
    "state",
    "update_policy",
    "on_suspend",
    "resources",
    "env_from",
    "secrets",
    "node_selector",
    "tolerations",
    "priority_class_name",
    "image",
)
"""Fields that the process itself does not look at: a change of them alone is no other configuration."""


def strategy_objects(strategy: Strategy, context: BuildContext, *, permit: str, owner: OwnerRef) -> list[Manifest]:
    """All objects of a Strategy, the StatefulSet last: what it mounts exists before it."""
    name, namespace = strategy.metadata.name, strategy.metadata.namespace
    called = names.runtime(name)
    marked = labels("runtime", name, strategy=name, broker=strategy.spec.broker_ref.name)
    config = immutable_config(called, namespace, marked, owner, {"strategy.json": _content(strategy)})
    settings = RuntimeSettings(
        name=f"runtime-{name}",
        redis_url=context.redis_url_runtime,
        database_url=context.database_url_reader,
        session_id=names.session(context.session_id, namespace),
        http_host="0.0.0.0",  # noqa: S104 (a pod's own address is not known beforehand)
        http_port=names.HTTP_PORT,
        strategy_file=f"{SPEC_FOLDER}/strategy.json",
        permit_file=f"{SETTINGS_FOLDER}/permit",
        gateway=context.gateway_address,
    )
    secrets = {"settings.json": msgspec.json.encode(settings), "permit": permit.encode()}
    made = [
        config,
        secret(called, namespace, marked, owner, secrets),
        _network(strategy, context, metadata(called, namespace, marked, owner)),
    ]
    if context.pod_monitor:
        made.append(_pod_monitor(strategy, metadata(called, namespace, marked, owner)))
    made.append(_stateful_set(strategy, context, marked, owner, config["metadata"]["name"]))
    return made


def _content(strategy: Strategy) -> str:
    """The Strategy as its process reads it: without what changes while the process need not."""
    meta = Metadata(name=strategy.metadata.name, namespace=strategy.metadata.namespace, uid=strategy.metadata.uid)
    spec = without(strategy.spec, _NOT_THE_PROCESS)
    return msgspec.json.encode(msgspec.structs.replace(strategy, metadata=meta, spec=spec), order="sorted").decode()


def _network(strategy: Strategy, context: BuildContext, meta: Manifest) -> Manifest:
    egress = [network.dns_egress(), network.store_egress(context.redis_url_runtime)]
    if context.database_url_reader is not None:
        egress.append(network.store_egress(context.database_url_reader))
    gateway = network.pods(selector("gateway", strategy.spec.broker_ref.name))
    egress.append(network.tcp_to([gateway], names.SESSION_PORT))
    own = selector("runtime", strategy.metadata.name)
    return network.policy(meta, own, ingress=[network.metrics_ingress()], egress=egress)


def _pod_monitor(strategy: Strategy, meta: Manifest) -> Manifest:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": meta,
        "spec": {
            "selector": {"matchLabels": selector("runtime", strategy.metadata.name)},
            # The labels that dashboards and alerts know, as the chart's own PodMonitor sets them.
            "podMetricsEndpoints": [
                {
                    "port": "http",
                    "path": "/metrics",
                    "relabelings": [
                        {
                            "sourceLabels": [f"__meta_kubernetes_pod_label_{_LABEL_SIGNS.sub('_', label)}"],
                            "targetLabel": target,
                        }
                        for label, target in _SCRAPED_AS.items()
                    ],
                }
            ],
        },
    }


def _stateful_set(
    strategy: Strategy, context: BuildContext, marked: dict[str, str], owner: OwnerRef, config: str
) -> Manifest:
    name, spec = strategy.metadata.name, strategy.spec
    called = names.runtime(name)
    files = [named.name for named in spec.secrets]
    process = container(
        "runtime",
        "christmas.runtime",
        image=spec.image or context.runtime_image,
        context=context,
        resources=spec.resources,
        env_from=[_environment(source) for source in spec.env_from],
        mounts=[
            {"name": f"secret-{index}", "mountPath": f"/secrets/{file}", "readOnly": True}
            for index, file in enumerate(files)
        ],
    )
    template = pod_template(
        marked=marked,
        process=process,
        secret=called,
        config=config,
        volumes=[secret_volume(f"secret-{index}", file) for index, file in enumerate(files)],
        nodeSelector=spec.node_selector,
        tolerations=tolerated(spec.tolerations),
        priorityClassName=spec.priority_class_name,
    )
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata(called, strategy.metadata.namespace, marked, owner),
        "spec": {
            "replicas": 0 if spec.state == "Suspended" else 1,
            "serviceName": called,
            "selector": {"matchLabels": selector("runtime", name)},
            # A pod is replaced when the operator says so, never under an open position by surprise.
            "updateStrategy": {"type": "OnDelete"},
            "podManagementPolicy": "Parallel",
            "revisionHistoryLimit": 2,
            "template": template,
        },
    }


def _environment(source: EnvFromSource) -> Manifest:
    if source.secret_ref is not None:
        return {"secretRef": {"name": source.secret_ref}}
    return {"configMapRef": {"name": source.config_map_ref}}
