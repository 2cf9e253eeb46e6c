from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from christmas.cluster.applying import change, field_path, namespace_of, refuse_local_files, refused, to_send
from christmas.cluster.errors import Cause, RefusedError
from christmas.fleet.adopt import LAST_APPLIED, digest_of
from christmas.fleet.manifests import read
from christmas.resources.load import Loaded
from christmas.resources.problem import ManifestError

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture
def loaded() -> Loaded:
    return read([EXAMPLES / "paper-broker.yaml", EXAMPLES / "btc-scalper.yaml"])


def live(loaded: Loaded, *, state: str, digest: str | None = None) -> dict[str, Any]:
    digest = digest_of(loaded.strategies[0].spec) if digest is None else digest
    return {"metadata": {"annotations": {LAST_APPLIED: digest}, "resourceVersion": "1"}, "spec": {"state": state}}


def test_each_resource_keeps_its_document(loaded: Loaded) -> None:
    assert [document.data["metadata"]["name"] for document in loaded.documents] == [
        resource.metadata.name for resource in loaded.resources
    ]


def test_the_manifest_is_sent_as_it_was_written(loaded: Loaded) -> None:
    data = loaded.documents[1].data
    sent = to_send(loaded.resources[1], data, None, "n")
    assert sent["spec"] == data["spec"]
    assert sent["metadata"]["namespace"] == "n"
    assert LAST_APPLIED not in (data["metadata"].get("annotations") or {})


def test_a_state_set_by_hand_outlives_the_same_manifest_and_no_other(loaded: Loaded) -> None:
    strategy, data = loaded.resources[1], loaded.documents[1].data
    assert "state" not in to_send(strategy, data, live(loaded, state="Suspended"), "n")["spec"]
    assert to_send(strategy, data, live(loaded, state="Running"), "n")["spec"]["state"] == "Running"
    changed = live(loaded, state="Suspended", digest="of another manifest")
    assert to_send(strategy, data, changed, "n")["spec"]["state"] == "Running"


def test_refused_fields_are_placed_in_the_file(loaded: Loaded) -> None:
    causes = [Cause("spec.symbols[0]", 'Invalid value: "x": too long'), Cause("<nil>", "whole")]
    document = loaded.documents[1]
    first, second = refused(RefusedError("no", status=422, causes=causes), document)
    assert document.place(("spec", "symbols", 0)) == (first.line, first.column)
    assert str(first).endswith('spec.symbols[0]: "x": too long (the API server refuses it)')
    assert (second.path, second.what) == ("", "whole")
    with pytest.raises(RefusedError):
        refused(RefusedError("forbidden", status=403), document)


@pytest.mark.parametrize(
    ("text", "path"),
    [("spec.a[0].b", ("spec", "a", 0, "b")), ("<nil>", ()), ("", ()), ("spec", ("spec",)), ("a[1][2]", ("a", 1, 2))],
)
def test_field_paths(text: str, path: tuple[str | int, ...]) -> None:
    assert field_path(text) == path


def test_one_namespace_at_a_time(loaded: Loaded) -> None:
    documents = loaded.documents
    assert namespace_of(documents, default="d", asked=None) == "d"
    documents[0].data["metadata"]["namespace"] = "a"
    assert namespace_of(documents, default="d", asked=None) == "a"
    with pytest.raises(ManifestError, match="-n says b"):
        namespace_of(documents, default="b", asked="b")
    documents[1].data["metadata"]["namespace"] = "c"
    with pytest.raises(ManifestError, match="an earlier manifest says a"):
        namespace_of(documents, default="d", asked=None)


def test_files_of_this_machine_are_refused(loaded: Loaded) -> None:
    refuse_local_files(loaded.documents)
    loaded.documents[0].data["spec"]["feed"] = {"replay": {"files": ["/x.csv"]}}
    with pytest.raises(ManifestError, match="cannot read files of this machine"):
        refuse_local_files(loaded.documents)


def test_what_changed() -> None:
    before = {"metadata": {"resourceVersion": "1"}}
    assert change(None, before) == "created"
    assert change(before, before) == "unchanged"
    assert change(before, {"metadata": {"resourceVersion": "2"}}) == "configured"
