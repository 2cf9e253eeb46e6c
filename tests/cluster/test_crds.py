"""The CRDs on a real API server: what it refuses, in which words, and what it shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from christmas.resources.broker import Broker
from christmas.resources.checks import check_builtin
from christmas.resources.load import load
from christmas.resources.problem import ManifestError
from tests.cluster.conftest import Kubectl
from tests.cluster.wrong_manifests import WRONG, Wrong, changed
from tests.unit.operator.built import GOLDENS, pod_of

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.usefixtures("crds")


def _apply(kubectl: Kubectl, namespace: str, manifest: Any, *more: str) -> tuple[int, str]:
    done = kubectl("apply", "-n", namespace, *more, "-f", "-", given=manifest)
    return done.returncode, done.stderr


def _judged(kubectl: Kubectl, namespace: str, manifest: Any) -> tuple[int, str]:
    """What the API server says of a new object; kubectl, which may judge by the schema itself, only carries it."""
    plural = {"Strategy": "strategies", "Broker": "brokers"}[manifest["kind"]]
    path = f"/apis/{manifest['apiVersion']}/namespaces/{namespace}/{plural}?dryRun=All&fieldValidation=Strict"
    done = kubectl("create", "--raw", path, "-f", "-", given=manifest)
    return done.returncode, done.stderr


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.what)
def test_a_wrong_manifest_is_refused_in_the_same_words(
    kubectl: Kubectl, namespace: str, wrong: Wrong, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(yaml.safe_dump(wrong.manifest()))
    paper = load([EXAMPLES / "paper-broker.yaml"]).brokers if wrong.kind == "Strategy" else ()
    with pytest.raises(ManifestError) as told:
        load([file], known=paper, check_builtin=check_builtin)
    assert wrong.words in str(told.value)

    code, error = _judged(kubectl, namespace, wrong.manifest())
    if wrong.by == "condition":
        assert code == 0, error
    else:
        assert code != 0
        assert (wrong.server or wrong.words) in error


def test_there_are_forty_of_them() -> None:
    assert len({wrong.what for wrong in WRONG if wrong.by == "api"}) >= 40


def test_a_file_beside_the_manifest_is_refused_with_the_way_that_works(kubectl: Kubectl, namespace: str) -> None:
    manifest = changed("Strategy", {"spec.code": {"file": "a.py", "class": "A"}})
    del manifest["spec"]["rules"]
    code, error = _apply(kubectl, namespace, manifest, "--dry-run=server")
    assert code != 0
    assert "apply it with christmas apply" in error


def test_a_replay_of_local_files_is_refused(kubectl: Kubectl, namespace: str) -> None:
    manifest = changed("Broker", {"spec.feed": {"replay": {"files": ["trades.csv"]}}})
    code, error = _apply(kubectl, namespace, manifest, "--dry-run=server")
    assert code != 0
    assert "a gateway in a cluster cannot read files of this machine" in error


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.name)
def test_examples_apply(kubectl: Kubectl, namespace: str, file: Path) -> None:
    done = kubectl("apply", "-n", namespace, "--dry-run=server", "-f", str(file))
    assert done.returncode == 0, done.stderr


def test_the_broker_changes_only_while_suspended(kubectl: Kubectl, namespace: str) -> None:
    def at(broker: str, state: str) -> dict[str, Any]:
        return changed("Strategy", {"metadata.name": "moving", "spec.brokerRef.name": broker, "spec.state": state})

    assert _apply(kubectl, namespace, at("papre", "Running"))[0] == 0
    code, error = _apply(kubectl, namespace, at("paper", "Running"))
    assert code == 0, f"it was never started, and a misspelt name is corrected: {error}"
    patch = json.dumps({"status": {"epoch": 1, "phase": "Running"}})
    arguments = ("patch", "strat", "moving", "-n", namespace, "--subresource=status", "--type=merge", "-p")
    assert kubectl(*arguments, patch).returncode == 0
    code, error = _apply(kubectl, namespace, at("other", "Suspended"))
    assert code != 0
    assert "brokerRef changes only while the Strategy is suspended" in error
    assert _apply(kubectl, namespace, at("paper", "Suspended"))[0] == 0
    patch = json.dumps({"status": {"phase": "Suspending"}})
    assert kubectl(*arguments, patch).returncode == 0
    assert _apply(kubectl, namespace, at("other", "Suspended"))[0] != 0, "its orders are not cancelled yet"
    assert kubectl(*arguments, patch.replace("Suspending", "Suspended")).returncode == 0
    code, error = _apply(kubectl, namespace, at("other", "Running"))
    assert code == 0, error


def test_the_type_of_a_broker_never_changes(kubectl: Kubectl, namespace: str) -> None:
    assert _apply(kubectl, namespace, changed("Broker", {"metadata.name": "fixed"}))[0] == 0
    code, error = _apply(kubectl, namespace, changed("Broker", {"metadata.name": "fixed", "spec.type": "ccxt"}))
    assert code != 0
    assert "the type of a Broker never changes" in error


def test_the_storage_of_a_broker_never_changes_and_the_refusal_names_the_way_that_works(
    kubectl: Kubectl, namespace: str
) -> None:
    def of(storage: dict[str, str], **more: Any) -> dict[str, Any]:
        return changed("Broker", {"metadata.name": "kept", "spec.storage": storage, **more})

    assert _apply(kubectl, namespace, of({"size": "2Gi"}))[0] == 0
    for other in ({"size": "3Gi"}, {"size": "2Gi", "storageClassName": "fast"}, {}):
        code, error = _apply(kubectl, namespace, of(other))
        assert code != 0, other
        assert "spec.storage" in error
        assert "the storage of a Broker never changes" in error
        assert "kubectl edit pvc state-gateway-kept-0" in error
    moved = {"spec.nodeSelector": {"disk": "fast"}, "spec.tolerations": [{"operator": "Exists"}]}
    code, error = _apply(kubectl, namespace, of({"size": "2Gi"}, **moved))
    assert code == 0, error


def test_a_storage_that_is_written_out_as_it_is_anyway_is_no_change(kubectl: Kubectl, namespace: str) -> None:
    written: list[dict[str, Any]] = [{}, {"spec.storage": {}}, {"spec.storage": {"size": "1Gi"}}, {}]
    for storage in written:
        code, error = _apply(kubectl, namespace, changed("Broker", {"metadata.name": "usual", **storage}))
        assert code == 0, error


def test_defaults_are_those_of_the_models(kubectl: Kubectl, namespace: str) -> None:
    for kind in ("Strategy", "Broker"):
        done = kubectl("create", "-n", namespace, "--dry-run=server", "-o", "json", "-f", "-", given=changed(kind, {}))
        spec = json.loads(done.stdout)["spec"]
        if kind == "Strategy":
            assert spec["exit"] == {"policy": "NoLoss", "minimumProfit": "0.05%"}
            assert spec["resources"]["limits"] == {"cpu": "500m", "memory": "128Mi"}
            assert (spec["state"], spec["updatePolicy"], spec["onSuspend"]) == ("Running", "WhenFlat", "CancelOrders")
        else:
            assert spec["paper"]["faults"]["lateFillDelay"] == "2s"
            assert spec["storage"] == {"size": "1Gi"}


def test_columns_tell_what_a_trader_asks(kubectl: Kubectl, namespace: str) -> None:
    assert _apply(kubectl, namespace, changed("Strategy", {"metadata.name": "shown"}))[0] == 0
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": "GatewayNotReady",
        "message": "",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = {"status": {"conditions": [ready], "pod": "strategy-shown-0", "node": "n1", "epoch": 7, "restarts": 2}}
    patch = ("patch", "strat", "shown", "-n", namespace, "--subresource=status", "--type=merge", "-p")
    assert kubectl(*patch, json.dumps(status)).returncode == 0
    header, row = kubectl("get", "strat", "shown", "-n", namespace, "-o", "wide").stdout.splitlines()
    columns = ["NAME", "STATE", "BROKER", "SYMBOLS", "READY", "REASON", "AGE", "POD", "NODE", "EPOCH", "RESTARTS"]
    assert header.split() == columns
    assert [cell for index, cell in enumerate(row.split()) if index != 6] == [
        "shown", "Running", "paper", '["BTC/USDT"]', "False", "GatewayNotReady", "strategy-shown-0", "n1", "7", "2",
    ]  # fmt: skip
    assert "strategy.christmas.dev/shown" in kubectl("get", "christmas", "-n", namespace, "-o", "name").stdout


def test_there_is_no_scale(kubectl: Kubectl, namespace: str) -> None:
    assert _apply(kubectl, namespace, changed("Strategy", {"metadata.name": "single"}))[0] == 0
    assert kubectl("scale", "strat", "single", "-n", namespace, "--replicas=2").returncode != 0


@pytest.mark.parametrize(
    "field",
    [
        "strat.spec.exit.policy",
        "strat.spec.updatePolicy",
        "broker.spec.paper",
        "broker.spec.storage",
        "broker.spec.storage.storageClassName",
        "broker.spec.nodeSelector",
        "broker.spec.tolerations",
        "broker.spec.priorityClassName",
        "broker.spec.resources.limits",
    ],
)
def test_explain_has_words_for_it(kubectl: Kubectl, field: str) -> None:
    assert "<no description>" not in kubectl("explain", field).stdout


@pytest.mark.parametrize("golden", sorted(GOLDENS.glob("*.yaml")), ids=lambda file: file.stem)
def test_what_is_built_is_taken_and_its_pod_is_restricted(kubectl: Kubectl, namespace: str, golden: Path) -> None:
    objects = [made for made in yaml.safe_load_all(golden.read_text()) if made["kind"] != "PodMonitor"]
    for made in [*objects, pod_of(objects[-1])]:
        made["metadata"]["namespace"] = namespace
        done = kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", given=made)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr


def test_both_kinds_are_in_the_table() -> None:
    assert {wrong.kind for wrong in WRONG} == {"Strategy", Broker.__name__}
