"""The two CustomResourceDefinitions. Pure."""

from __future__ import annotations

from typing import Any, Final

from christmas.resources.broker import Broker, BrokerSpec
from christmas.resources.meta import GROUP, VERSION
from christmas.resources.strategy import Strategy, StrategySpec
from christmas_operator.brokers.status import BrokerStatus
from christmas_operator.crds.docstrings import class_text
from christmas_operator.crds.rules import OF_KINDS
from christmas_operator.crds.schema import object_schema, status_schema
from christmas_operator.strategies.status import StrategyStatus

Definition = dict[str, Any]

_READY: Final = '.status.conditions[?(@.type=="Ready")]'


def strategy_definition() -> Definition:
    columns = [
        _column("State", ".spec.state"),
        _column("Broker", ".spec.brokerRef.name"),
        _column("Symbols", ".spec.symbols"),
        _column("Ready", f"{_READY}.status"),
        _column("Reason", f"{_READY}.reason"),
        _column("Age", ".metadata.creationTimestamp", kind="date"),
        _column("Pod", ".status.pod", wide=True),
        _column("Node", ".status.node", wide=True),
        _column("Epoch", ".status.epoch", kind="integer", wide=True),
        _column("Restarts", ".status.restarts", kind="integer", wide=True),
    ]
    # No scale: two pods of one Strategy would trade against each other.
    return _definition(
        "Strategy",
        plural="strategies",
        short="strat",
        described=class_text(Strategy),
        spec=object_schema(StrategySpec),
        status=status_schema(StrategyStatus),
        columns=columns,
    )


def broker_definition() -> Definition:
    columns = [
        _column("Type", ".spec.type"),
        _column("Strategies", ".status.strategies", kind="integer"),
        _column("Ready", f"{_READY}.status"),
        _column("Reason", f"{_READY}.reason"),
        _column("Age", ".metadata.creationTimestamp", kind="date"),
        _column("Gateway", ".status.gateway", wide=True),
        _column("Pod", ".status.pod", wide=True),
        _column("Node", ".status.node", wide=True),
        _column("Restarts", ".status.restarts", kind="integer", wide=True),
    ]
    return _definition(
        "Broker",
        plural="brokers",
        short="brk",
        described=class_text(Broker),
        spec=object_schema(BrokerSpec),
        status=status_schema(BrokerStatus),
        columns=columns,
    )


def definitions() -> dict[str, Definition]:
    """By file name."""
    return {_file(made): made for made in (broker_definition(), strategy_definition())}


def _definition(
    kind: str,
    *,
    plural: str,
    short: str,
    described: str,
    spec: dict[str, Any],
    status: dict[str, Any],
    columns: list[dict[str, Any]],
) -> Definition:
    schema = {
        "type": "object",
        "description": described,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
        "x-kubernetes-validations": [rule.manifest() for rule in OF_KINDS[kind]],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}", "labels": {"app.kubernetes.io/name": "christmas"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["christmas"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                }
            ],
        },
    }


def _column(name: str, path: str, *, kind: str = "string", wide: bool = False) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path}
    return {**column, "priority": 1} if wide else column


def _file(definition: Definition) -> str:
    """strategies.christmas.dev.yaml"""
    return f"{definition['metadata']['name']}.yaml"
