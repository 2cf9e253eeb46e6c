"""Alerts do what they say (promtool), and nothing asks for a metric that no process has."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess

import pytest
import yaml
from prometheus_client import REGISTRY

from tests.chart.rendering import CHART, ROOT

RULES = CHART / "files" / "rules.yaml"
TESTS = ROOT / "tests" / "chart" / "rules_test.yaml"
METRICS = (
    "christmas.brokers.feeds.metrics",
    "christmas.brokers.gateway.metrics",
    "christmas.ingestion.metrics",
    "christmas.market.metrics",
    "christmas.runtime.metrics",
    "christmas.telemetry.process",
    "christmas.telemetry.publisher",
    "christmas_operator.metrics",
)


def promtool(*arguments: str) -> None:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not on PATH; install Prometheus (Debian: apt-get install prometheus)")
    done = subprocess.run([found, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def alerts() -> dict[str, dict[str, object]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def dashboard_queries() -> list[tuple[str, str]]:
    found = []
    for file in sorted((CHART / "files" / "dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            found += [(f"{file.stem}: {panel['title']}", target["expr"]) for target in panel.get("targets", [])]
    return found


def known_metrics() -> set[str]:
    for module in METRICS:
        importlib.import_module(module)
    names = set()
    for family in REGISTRY.collect():
        names |= {
            "counter": {f"{family.name}_total"},
            "histogram": {f"{family.name}_bucket", f"{family.name}_count", f"{family.name}_sum"},
        }.get(family.type, {family.name})
    return names


def test_the_rules_are_sound() -> None:
    promtool("check", "rules", str(RULES))


def test_the_rules_fire_and_stay_silent_as_they_should() -> None:
    promtool("test", "rules", str(TESTS))


def test_each_alert_has_a_test_and_tells_what_to_do() -> None:
    tested = TESTS.read_text()
    for name, rule in alerts().items():
        assert name in tested, f"{name} has no test in {TESTS.name}"
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}  # type: ignore[index]
        assert rule["annotations"]["description"].endswith(".") or "kubectl" in rule["annotations"]["description"]  # type: ignore[index]


def test_nothing_asks_for_a_metric_that_no_process_has() -> None:
    known = known_metrics()
    queries = dashboard_queries() + [(name, str(rule["expr"])) for name, rule in alerts().items()]
    unknown = {
        f"{where}: {metric}"
        for where, query in queries
        for metric in re.findall(r"\bchristmas_[a-z_]+", query)
        if metric not in known
    }
    assert unknown == set()


def test_dashboards_have_ids_of_their_own_and_say_what_they_show() -> None:
    boards = [json.loads(file.read_text()) for file in (CHART / "files" / "dashboards").glob("*.json")]
    assert len({board["uid"] for board in boards}) == len(boards)
    for board in boards:
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(ids)) == len(ids)
        assert all(
            target["datasource"]["uid"] == "${datasource}" for p in board["panels"] for target in p.get("targets", [])
        )
