"""What may not change of a resource that exists, and what only live accounts ask for."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import yaml

from christmas.resources.load import load
from christmas.resources.meta import API_VERSION
from christmas.resources.problem import ManifestError
from christmas.resources.strategy import BrokerRef, EnvFromSource
from christmas.resources.validate import validate
from tests.unit.resources.manifests import BOTH, BROKER
from tests.unit.resources.test_validate import BROKER as PAPER
from tests.unit.resources.test_validate import STRATEGY, broker_with, no_fault, with_spec

EXAMPLES = Path(__file__).parents[3] / "examples"
OTHER = msgspec.structs.replace(PAPER, metadata=msgspec.structs.replace(PAPER.metadata, name="other"))
MOVED = with_spec(broker_ref=BrokerRef(name="other"))
LIVE = broker_with(type="ccxt")
DIGEST = "sha256:" + "0" * 64


def test_the_broker_changes_only_while_suspended() -> None:
    (found,) = validate([MOVED], known=[PAPER, OTHER, STRATEGY], check_rule=no_fault)
    assert found.what == "brokerRef changes only while the Strategy is suspended"
    assert not validate([MOVED], known=[PAPER, OTHER, with_spec(state="Suspended")], check_rule=no_fault)


def test_a_broker_that_never_was_may_be_corrected_without_suspending() -> None:
    misspelt = with_spec(broker_ref=BrokerRef(name="othre"))
    assert not validate([MOVED], known=[PAPER, OTHER, misspelt], check_rule=no_fault)


def test_the_type_of_a_broker_never_changes() -> None:
    found = [finding.what for finding in validate([LIVE], known=[PAPER], check_rule=no_fault)]
    assert "the type of a Broker never changes" in found


def test_a_file_that_changes_the_broker_of_a_running_strategy_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(BOTH)
    known = load([file]).resources
    file.write_text(
        f"{BOTH.replace('{name: paper}', '{name: other}')}---\n{BROKER.replace('name: paper', 'name: other')}"
    )
    with pytest.raises(ManifestError, match="brokerRef changes only while the Strategy is suspended"):
        load([file], known=known)


@pytest.mark.parametrize(("image", "refused"), [(None, True), ("runtime:1", True), (f"runtime@{DIGEST}", False)])
def test_a_live_account_is_traded_by_a_pinned_image(image: str | None, refused: bool) -> None:
    found = [finding.what for finding in validate([with_spec(image=image)], known=[LIVE], check_rule=no_fault)]
    assert ("a ccxt account is traded only by a pinned image" in found) is refused


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (EnvFromSource(), "names nothing"),
        (EnvFromSource(secret_ref="a", config_map_ref="b"), "secretRef and configMapRef exclude each other"),
    ],
)
def test_environment_comes_from_exactly_one(source: EnvFromSource, what: str) -> None:
    found = validate([with_spec(env_from=(source,))], known=[PAPER], check_rule=no_fault)
    assert [finding.what for finding in found] == [what]


def test_the_example_s_code_is_the_file_beside_it() -> None:
    manifest = yaml.safe_load((EXAMPLES / "btc-momentum.yaml").read_text())
    assert manifest["apiVersion"] == API_VERSION
    assert manifest["spec"]["code"]["source"] == (EXAMPLES / "momentum.py").read_text()
