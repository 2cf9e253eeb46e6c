"""Each query of each panel and alert, answered by a real Prometheus that scrapes a fleet at work."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import yaml

from tests.cluster.helm import CHART, ROOT, Namespace, require_cluster
from tests.cluster.prometheus import Prometheus
from tests.support.waiting import eventually_sync

pytestmark = pytest.mark.timeout(600)

EMPTY_WHEN_WELL = {
    "christmas_recorder_errors_total": "no store was away",
    "christmas_operator_errors_total": "no look at an object failed",
}
"""What has no series before it happens for the first time, for its labels are not known; and why that is well."""
ONE_SCRAPE_S = 20
"""Longer than a scrape that came too late: all series of its process are gone until the next one."""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    require_cluster()
    namespace = Namespace("christmas-watched")
    prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), namespace)
    namespace.create()
    try:
        namespace.install()
        eventually_sync(lambda: namespace.is_ready("broker", "paper"), within_s=60, every_s=0.5)
        for name in ("btc-scalper", "btc-momentum"):
            namespace.kubectl("apply", "-f", str(ROOT / "examples" / f"{name}.yaml"))
        for name in ("btc-scalper", "btc-momentum"):
            eventually_sync(lambda: namespace.is_ready("strategy", name), within_s=60, every_s=0.5)  # noqa: B023
        prometheus.start()
        eventually_sync(lambda: scraped(prometheus), within_s=60, every_s=1)
        yield prometheus
    finally:
        prometheus.close()
        namespace.remove()


def scraped(prometheus: Prometheus) -> bool:
    """Each process twice, so that there are rates."""
    components = {sample["metric"]["component"] for sample in prometheus.query("count_over_time(up[1m]) > 4")}
    assert components == {"operator", "recorder", "gateway", "runtime"}
    return True


def filled(expression: str) -> str:
    return expression.replace("$namespace", ".*").replace("$__rate_interval", "1m")


def panels() -> list[tuple[str, str]]:
    found = []
    for file in sorted((CHART / "files" / "dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            found += [(f"{file.stem}: {panel['title']}", target["expr"]) for target in panel.get("targets", [])]
    return found


def metrics_in(expression: str) -> list[str]:
    return re.findall(r"\b(?:christmas|process)_[a-z_]+", expression)


def may_be_empty(expression: str) -> bool:
    """A query for what has not happened."""
    return any(name in EMPTY_WHEN_WELL for name in metrics_in(expression))


def test_every_process_is_scraped(watched: Prometheus) -> None:
    def all_up() -> bool:
        targets = watched.targets()
        assert {target["health"] for target in targets} == {"up"}
        pods = {target["labels"]["pod"].rpartition("-")[0] for target in targets}
        return {"strategy-btc-scalper", "gateway-paper"} <= pods

    eventually_sync(all_up, within_s=ONE_SCRAPE_S, every_s=1)


def test_every_panel_has_data_or_a_reason_for_none(watched: Prometheus) -> None:
    def all_answer() -> bool:
        empty = [
            f"{where}: {expression}"
            for where, expression in panels()
            if not watched.query(filled(expression)) and not may_be_empty(expression)
        ]
        assert empty == []
        return True

    # Some only once a Strategy has ordered: when the market rises is the market's affair.
    eventually_sync(all_answer, within_s=240, every_s=2)


def test_strategies_and_brokers_have_their_names(watched: Prometheus) -> None:
    def named() -> bool:
        trading = {one["metric"]["strategy"] for one in watched.query("christmas_runtime_trading")}
        assert trading == {"btc-momentum", "btc-scalper"}
        return {one["metric"]["broker"] for one in watched.query("christmas_gateway_reconciled")} == {"paper"}

    eventually_sync(named, within_s=ONE_SCRAPE_S, every_s=1)


def test_every_alert_is_evaluated_on_series_that_exist_and_none_rings(watched: Prometheus) -> None:
    (group,) = yaml.safe_load((CHART / "files" / "rules.yaml").read_text())["groups"]
    expected = {rule["alert"] for rule in group["rules"]}

    def evaluated() -> bool:
        rules = watched.rules()
        assert {rule["name"] for rule in rules} == expected
        assert {rule["health"] for rule in rules} == {"ok"}, [rule for rule in rules if rule["health"] != "ok"]
        return True

    eventually_sync(evaluated, within_s=30, every_s=1)
    for rule in watched.rules():
        for name in metrics_in(rule["query"]):
            there = f"{rule['name']}: {name} has series"
            if name not in EMPTY_WHEN_WELL:
                eventually_sync(lambda: watched.query(name), within_s=ONE_SCRAPE_S, every_s=1, what=there)  # noqa: B023
        assert rule["state"] != "firing", rule["alerts"]
