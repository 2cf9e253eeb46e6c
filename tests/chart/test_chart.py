"""What the chart renders: secure pods, passwords, rights, stores of one's own, and values that it refuses."""

from __future__ import annotations

import json

import msgspec
import pytest
import yaml

from christmas.ingestion.settings import RecorderSettings
from christmas.resources.broker import Broker
from christmas_operator.kube import kinds as operator_kinds
from christmas_operator.settings import OperatorSettings
from tests.chart.rendering import CHART, ROOT, RenderError, kinds, pick, pod_specs, render

EXTERNAL = {
    "redis": {
        "enabled": False,
        "url": "redis://a:b@redis.example:6390/0",
        "runtimeUrl": "redis://r:b@redis.example:6390/0",
    },
    "timescaledb": {
        "enabled": False,
        "url": "postgresql://a:b@db.example/christmas",
        "readerUrl": "postgresql://r:b@db.example/christmas",
    },
}
PROMETHEUS = ("monitoring.coreos.com/v1/PodMonitor", "monitoring.coreos.com/v1/PrometheusRule")


def test_every_pod_keeps_to_pod_security_restricted_and_more() -> None:
    pods = dict(pod_specs(render()))
    assert len(pods) == 6
    for name, spec in pods.items():
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        needs_api = name in {"Deployment/christmas-operator", "Job/christmas-install"}
        assert spec["automountServiceAccountToken"] is needs_api, name
        for container in spec["containers"]:
            inside = container["securityContext"]
            assert inside["allowPrivilegeEscalation"] is False, name
            assert inside["readOnlyRootFilesystem"] is True, name
            assert inside["capabilities"] == {"drop": ["ALL"]}, name
            assert set(container["resources"]) == {"requests", "limits"}, name
            # What Secrets hold is mounted: an environment is inherited, printed and dumped.
            assert not any("valueFrom" in variable for variable in container.get("env", [])), name


def test_every_pod_that_stays_has_probes_and_a_network_policy() -> None:
    objects = render()
    policies = [one["spec"] for one in objects if one["kind"] == "NetworkPolicy"]
    for kind, name in (
        ("StatefulSet", "christmas-redis"),
        ("StatefulSet", "christmas-timescaledb"),
        ("Deployment", "christmas-recorder"),
        ("Deployment", "christmas-operator"),
    ):
        template = pick(objects, kind, name)["spec"]["template"]
        (container,) = template["spec"]["containers"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
        labels = template["metadata"]["labels"].items()
        mine = [policy for policy in policies if policy["podSelector"].get("matchLabels", {}).items() <= labels]
        mine = [policy for policy in mine if "matchExpressions" not in policy["podSelector"]]
        assert len(mine) == 1, name
        assert mine[0]["policyTypes"] == ["Ingress", "Egress"]


def test_strategies_and_gateways_may_do_nothing_until_the_operator_says_what() -> None:
    spec = pick(render(), "NetworkPolicy", "christmas-fleet")["spec"]
    assert spec["podSelector"]["matchExpressions"][0]["values"] == ["runtime", "gateway"]
    assert "egress" not in spec
    assert "ingress" not in spec
    assert kinds(render({"networkPolicies": {"enabled": False}}), "NetworkPolicy") == []


def test_the_processes_understand_their_settings() -> None:
    objects = render({"sessionId": "mine", "recorder": {"retentionDays": 7}, "operator": {"clusterWide": False}})
    recorder = msgspec.json.decode(
        pick(objects, "ConfigMap", "christmas-recorder")["data"]["settings.json"], type=RecorderSettings
    )
    assert recorder.discover
    assert (recorder.retention_days, recorder.session_id, recorder.http_port) == (7, "mine", 9400)
    operator = msgspec.json.decode(
        pick(objects, "ConfigMap", "christmas-operator")["data"]["settings.json"], type=OperatorSettings
    )
    assert operator.watch_namespaces == ("trading",)
    assert operator.stores_secret.name == "christmas-stores"
    assert operator.session_id == "mine"
    assert operator.runtime_image == "christmas-runtime:0.1.0"


def test_settings_hold_no_password_and_a_change_of_them_rolls_the_pod() -> None:
    first = pick(render(), "Deployment", "christmas-recorder")["spec"]["template"]["metadata"]["annotations"]
    second = pick(render(), "Deployment", "christmas-recorder")["spec"]["template"]["metadata"]["annotations"]
    other = pick(render({"sessionId": "b"}), "Deployment", "christmas-recorder")["spec"]["template"]["metadata"]
    # Passwords differ between two renderings without a cluster; what is not a Secret must not.
    assert first == second
    assert first != other["annotations"]
    a, b = (yaml.safe_dump([one for one in render() if one["kind"] != "Secret"]) for _ in range(2))
    assert a == b


def test_the_stores_secret_stays_and_restricts_strategies() -> None:
    secret = pick(render(), "Secret", "christmas-stores")
    assert secret["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert secret["metadata"]["labels"]["christmas.dev/credentials"] == "true"
    data = secret["stringData"]
    passwords = [value for key, value in data.items() if "password" in key]
    assert len(set(passwords)) == 5
    assert all(len(password) >= 32 for password in passwords)
    assert data["redis-url-runtime"].startswith("redis://runtime:")
    assert "@christmas-redis.trading.svc:6379/0" in data["redis-url"]
    users = {line.split()[1]: line for line in data["users.acl"].splitlines()}
    # Off, and with the rights by which Redis replays the transactions of its file.
    assert users["default"] == "user default off ~* &* +@all"
    assert "-@all" in users["runtime"]
    assert not any(right in users["runtime"] for right in ("+@", "~*", "&*", "allkeys", "%RW~*"))
    assert all(password not in data["users.acl"] for password in passwords)


def test_a_secret_of_ones_own_is_used_everywhere_and_none_is_made() -> None:
    objects = render({"stores": {"existingSecret": "mine"}})
    assert kinds(objects, "Secret") == []
    used = {
        volume["secret"]["secretName"]
        for _, spec in pod_specs(objects)
        for volume in spec["volumes"]
        if "secret" in volume
    }
    assert used == {"mine"}
    (rule,) = [
        rule for rule in pick(objects, "Role", "christmas-operator-own")["rules"] if rule["resources"] == ["secrets"]
    ]
    assert rule["resourceNames"] == ["mine"]
    assert rule["verbs"] == ["get"]


def test_stores_of_ones_own_leave_out_the_charts() -> None:
    objects = render(EXTERNAL)
    assert kinds(objects, "StatefulSet") == []
    data = pick(objects, "Secret", "christmas-stores")["stringData"]
    assert data["redis-url-runtime"] == EXTERNAL["redis"]["runtimeUrl"]
    assert data["database-url"] == EXTERNAL["timescaledb"]["url"]
    egress = pick(objects, "NetworkPolicy", "christmas-recorder")["spec"]["egress"]
    assert [port["port"] for rule in egress for port in rule["ports"]] == [53, 53, 6390, 5432]


def test_the_operators_rights_are_what_its_kinds_need_and_no_more() -> None:
    rules = pick(render(), "ClusterRole", "christmas-operator-trading")["rules"]
    granted = {
        (group, resource): set(rule["verbs"])
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    for kind in operator_kinds.OWNED:
        assert granted.pop((kind.group, kind.plural)) == {"get", "list", "watch", "create", "patch", "delete"}, kind
    assert granted.pop(("", "pods")) == {"get", "list", "watch", "delete"}
    assert granted.pop(("", "events")) == {"create", "patch"}
    assert {group for group, _ in granted} == {"christmas.dev"}
    assert not any("*" in part for rule in rules for values in rule.values() for part in values)


def test_operators_may_hold_their_lease_and_not_make_one() -> None:
    objects = render()
    lease = pick(objects, "Lease", "christmas-operator")
    assert "spec" not in lease, "an upgrade would take it from who holds it"
    rules = pick(objects, "Role", "christmas-operator-own")["rules"]
    (rule,) = [rule for rule in rules if rule["resources"] == ["leases"]]
    assert (rule["resourceNames"], rule["verbs"]) == ([lease["metadata"]["name"]], ["get", "update"])
    settings = pick(render({"operator": {"leaseSeconds": 12}}), "ConfigMap", "christmas-operator")["data"]
    operator = msgspec.json.decode(settings["settings.json"], type=OperatorSettings)
    assert (operator.lease_name, operator.lease_seconds) == (lease["metadata"]["name"], 12)


def test_namespaced_rights_are_roles_where_it_watches() -> None:
    objects = render({"operator": {"clusterWide": False, "namespaces": ["alpha", "beta"]}, "crds": {"upgrade": False}})
    assert kinds(objects, "ClusterRole") == []
    assert kinds(objects, "ClusterRoleBinding") == []
    where = [one["metadata"]["namespace"] for one in objects if one["kind"] == "Role"]
    assert sorted(where) == ["alpha", "beta", "trading"]
    peers = pick(objects, "NetworkPolicy", "christmas-redis")["spec"]["ingress"][0]["from"]
    assert peers[0]["namespaceSelector"]["matchExpressions"][0]["values"] == ["alpha", "beta", "trading"]


def test_prometheus_objects_come_with_its_crds_and_rules_as_a_config_map_without() -> None:
    without = render()
    assert kinds(without, "PodMonitor") == kinds(without, "PrometheusRule") == []
    rules = yaml.safe_load((CHART / "files" / "rules.yaml").read_text())
    assert yaml.safe_load(pick(without, "ConfigMap", "christmas-prometheus-rules")["data"]["christmas.yaml"]) == rules
    present = render({"monitoring": {"labels": {"release": "stack"}}}, api_versions=PROMETHEUS)
    assert pick(present, "PrometheusRule", "christmas")["spec"] == rules
    monitor = pick(present, "PodMonitor", "christmas")
    assert monitor["metadata"]["labels"]["release"] == "stack"
    assert monitor["spec"]["namespaceSelector"] == {"any": True}
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert {rule["targetLabel"] for rule in endpoint["relabelings"]} == {"component", "broker"}
    assert "christmas-prometheus-rules" not in kinds(present, "ConfigMap")
    never = render({"monitoring": {"podMonitor": "never", "prometheusRule": "never"}}, api_versions=PROMETHEUS)
    assert kinds(never, "PodMonitor") == kinds(never, "PrometheusRule") == []


def test_dashboards_are_labelled_and_whole() -> None:
    objects = render()
    names = [name for name in kinds(objects, "ConfigMap") if name.startswith("christmas-dashboard-")]
    assert len(names) == len(list((CHART / "files" / "dashboards").glob("*.json"))) > 0
    for name in names:
        one = pick(objects, "ConfigMap", name)
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        (content,) = one["data"].values()
        assert json.loads(content)["panels"]


def test_a_digest_wins_over_a_tag() -> None:
    digest = "sha256:" + "0" * 64
    objects = render({"images": {"runtime": {"repository": "registry.example/r", "digest": digest}}})
    (container,) = pick(objects, "Deployment", "christmas-recorder")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.example/r@{digest}"


def test_the_default_broker_is_the_examples_and_valid() -> None:
    broker = pick(render(), "Broker", "paper")
    assert msgspec.json.decode(json.dumps(broker), type=Broker).spec.type == "paper"
    example = yaml.safe_load((ROOT / "examples" / "paper-broker.yaml").read_text())
    assert broker["spec"] == example["spec"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"surprise": 1}, "'surprise' not allowed"),
        ({"redis": {"maxmemory": "1gb"}}, "'maxmemory' not allowed"),
        ({"operator": {"replicas": 6}}, "/operator/replicas"),
        ({"recorder": {"retentionDays": -1}}, "/recorder/retentionDays"),
        ({"timescaledb": {"runAsUser": 0}}, "/timescaledb/runAsUser"),
        ({"redis": {"url": "http://x"}}, "/redis/url"),
        ({"broker": {"name": "Paper_1"}}, "/broker/name"),
        ({"redis": {"enabled": False}}, "redis.url: with redis.enabled=false"),
        ({"timescaledb": {"enabled": False, "url": "postgresql://x/y"}}, "timescaledb.readerUrl"),
    ],
)
def test_values_that_cannot_work_are_refused_by_name(values: dict[str, object], message: str) -> None:
    with pytest.raises(RenderError, match=message):
        render(values)
