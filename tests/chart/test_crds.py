"""The chart carries the CRDs that are generated from the models, and brings clusters up to them."""

from __future__ import annotations

import json

import yaml

from tests.chart.rendering import CHART, ROOT, pick, render


def test_the_charts_crds_are_those_that_are_generated() -> None:
    generated = {file.name: file.read_text() for file in (ROOT / "crds").glob("*.yaml")}
    assert generated
    assert {file.name: file.read_text() for file in (CHART / "crds").glob("*.yaml")} == generated
    data = pick(render(), "ConfigMap", "christmas-install")["data"]
    assert {name: json.loads(content) for name, content in data.items()} == {
        name: yaml.safe_load(content) for name, content in generated.items()
    }
    named = pick(render(), "ClusterRole", "christmas-install-trading")["rules"][0]["resourceNames"]
    assert sorted(named) == sorted(yaml.safe_load(content)["metadata"]["name"] for content in generated.values())
