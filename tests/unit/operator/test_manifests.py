"""The objects of a Strategy and a Broker, as goldens and by what must hold of all of them.

``CHRISTMAS_WRITE_GOLDENS=1 pytest tests/unit/operator/test_manifests.py`` writes the goldens anew.
"""

from __future__ import annotations

import os
from base64 import b64decode
from typing import Any

import msgspec
import pytest
import yaml

from christmas.brokers.gateway.settings import GatewaySettings
from christmas.resources.strategy import Strategy
from christmas.runtime.settings import RuntimeSettings
from tests.unit.operator.built import GOLDENS, PERMIT, broker, cases, of_broker, of_strategy, strategy

CASES = cases()


def _one(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [made for made in objects if made["kind"] == kind]
    return found


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    text = yaml.safe_dump_all(CASES[name], sort_keys=False, width=120)
    golden = GOLDENS / f"{name}.yaml"
    if os.environ.get("CHRISTMAS_WRITE_GOLDENS"):
        golden.write_text(text)
    assert text == golden.read_text()


def test_settings_are_what_the_processes_read() -> None:
    secret = _one(of_strategy(strategy()), "Secret")
    settings = msgspec.json.decode(b64decode(secret["data"]["settings.json"]), type=RuntimeSettings)
    assert settings.gateway == "tcp://gateway-paper.trading.svc:7400"
    assert b64decode(secret["data"]["permit"]).decode() == PERMIT
    gateway = msgspec.json.decode(
        b64decode(_one(of_broker(broker()), "Secret")["data"]["settings.json"]), type=GatewaySettings
    )
    assert gateway.permit_key_file == "/etc/christmas-key/permit-key"
    assert gateway.database_url is None


def test_the_strategy_in_the_config_is_the_one_applied() -> None:
    config = _one(of_strategy(strategy()), "ConfigMap")
    read = msgspec.json.decode(config["data"]["strategy.json"], type=Strategy)
    assert read.spec == strategy().spec
    assert config["immutable"] is True


@pytest.mark.parametrize("change", [{"spec.updatePolicy": "Manual"}, {"spec.onSuspend": "Flatten"}])
def test_what_the_process_does_not_look_at_is_no_new_configuration(change: dict[str, Any]) -> None:
    assert of_strategy(strategy(**change)) == of_strategy(strategy())


@pytest.mark.parametrize(
    "change",
    [
        {"spec.storage": {"size": "5Gi"}},
        {"spec.nodeSelector": {"disk": "fast"}},
        {"spec.tolerations": [{"operator": "Exists"}]},
        {"spec.priorityClassName": "trading"},
        {"spec.resources": {"limits": {"memory": "256Mi"}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_where_a_gateway_runs_is_in_its_workload_and_not_in_its_configuration(change: dict[str, Any]) -> None:
    plain, placed = of_broker(broker()), of_broker(broker(**change))
    assert placed[:-1] == plain[:-1]
    assert placed[-1] != plain[-1]


def test_a_gateway_is_placed_and_its_volume_claimed_as_its_broker_says() -> None:
    (found,) = [objects[-1]["spec"] for name, objects in CASES.items() if name == "broker-everything"]
    pod = found["template"]["spec"]
    assert pod["nodeSelector"] == {"disk": "fast"}
    assert pod["tolerations"] == [{"key": "trading", "operator": "Exists", "effect": "NoSchedule"}]
    assert pod["priorityClassName"] == "trading"
    assert pod["containers"][0]["resources"] == {"requests": {"cpu": "100m"}, "limits": {"memory": "256Mi"}}
    (claim,) = found["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"] == {"requests": {"storage": "5Gi"}}


def test_a_volume_that_nobody_spoke_of_is_claimed_from_the_cluster_s_default() -> None:
    (claim,) = of_broker(broker())[-1]["spec"]["volumeClaimTemplates"]
    assert claim["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def test_another_annotation_is_no_new_configuration() -> None:
    marked = strategy(**{"metadata.annotations": {"christmas.dev/apply-now": "3"}, "metadata.generation": 4})
    assert of_strategy(marked) == of_strategy(strategy())


def test_another_rule_is_another_config_map() -> None:
    names = {
        _one(of_strategy(strategy(**{"spec.rules.entry": rule})), "ConfigMap")["metadata"]["name"]
        for rule in ("rsi(14) < 30", "rsi(14) < 31")
    }
    assert len(names) == 2


def test_passwords_are_in_secrets_only() -> None:
    for objects in CASES.values():
        shown = [made for made in objects if made["kind"] != "Secret"]
        assert "secret@" not in str(shown)
        assert PERMIT not in str(shown)


def test_a_runtime_holds_no_url_that_writes_the_market() -> None:
    settings = b64decode(_one(of_strategy(strategy()), "Secret")["data"]["settings.json"]).decode()
    assert "redis://runtime:" in settings
    assert "redis://christmas:" not in settings


def test_credentials_are_in_the_gateway_s_pod_alone() -> None:
    named = broker(**{"spec.credentialsSecretRef": {"name": "exchange-keys"}})
    assert "exchange-keys" in str(_one(of_broker(named), "StatefulSet"))
    assert "exchange-keys" not in str(of_strategy(strategy()))


@pytest.mark.parametrize("name", CASES)
def test_every_pod_is_locked_down(name: str) -> None:
    pod = CASES[name][-1]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["resources"]["limits"]
    assert CASES[name][-1]["spec"]["updateStrategy"] == {"type": "OnDelete"}


def test_a_runtime_reaches_only_names_stores_and_its_gateway() -> None:
    egress = _one(of_strategy(strategy()), "NetworkPolicy")["spec"]["egress"]
    assert all(rule["to"] for rule in egress), "no rule is for everywhere"
    ports = sorted(port["port"] for rule in egress for port in rule["ports"])
    assert ports == [53, 53, 5432, 6379, 7400]


def test_names_fit_a_stateful_set() -> None:
    longest = of_strategy(strategy(**{"metadata.name": "a" * 40}))
    assert len(longest[-1]["metadata"]["name"]) <= 52
