"""The generated CRDs: up to date, bounded, described, small."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from christmas_operator.crds.definitions import definitions
from christmas_operator.crds.files import rendered

CRDS = Path(__file__).parents[3] / "crds"


def _nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from _nodes(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from _nodes(schema[key], f"{path}[]")


def _spec_nodes() -> list[tuple[str, dict[str, Any]]]:
    return [
        node
        for name, made in definitions().items()
        for node in _nodes(
            made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"], name.partition(".")[0]
        )
    ]


@pytest.mark.parametrize("name", sorted(rendered()))
def test_files_are_what_the_models_say(name: str) -> None:
    assert (CRDS / name).read_text() == rendered()[name], "the models have changed: make crds"


@pytest.mark.parametrize("name", sorted(rendered()))
def test_small_enough_for_any_apply(name: str) -> None:
    assert len(rendered()[name].encode()) < 64 * 1024


@pytest.mark.parametrize(("path", "schema"), _spec_nodes(), ids=lambda value: value if isinstance(value, str) else "")
def test_bounded_and_described(path: str, schema: dict[str, Any]) -> None:
    kind = schema.get("type")
    if kind == "string":
        assert "enum" in schema or "maxLength" in schema
    elif kind == "array":
        assert "maxItems" in schema
    elif kind in {"integer", "number"}:
        assert "minimum" in schema
        assert "maximum" in schema
    elif kind == "object":
        assert "properties" in schema or "maxProperties" in schema
    if not path.endswith("[]"):
        assert schema.get("description")


def test_a_pattern_never_needs_more_than_its_length_allows() -> None:
    """Repetitions are counted at their most; what stands in brackets is one character."""
    for path, schema in _spec_nodes():
        for rule in schema.get("x-kubernetes-validations", []):
            found = re.fullmatch(r"self\.matches\(r'(.*)'\)", rule["rule"])
            if found:
                assert "*" not in found[1] or "maxLength" in schema, path
                longest = re._parser.parse(found[1]).getwidth()[1]  # type: ignore[attr-defined]
                assert longest <= schema["maxLength"] or longest > 10_000, path
