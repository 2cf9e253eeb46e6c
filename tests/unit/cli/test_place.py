from __future__ import annotations

from pathlib import Path

import click
import pytest

from christmas.cli.place import InCluster, OnMachine, Where, place_of


@pytest.mark.parametrize(
    ("where", "environment", "expected"),
    [
        (Where(), {}, OnMachine(None)),
        (Where(), {"CHRISTMAS_CONTEXT": ""}, OnMachine(None)),
        (Where(), {"CHRISTMAS_CONTEXT": "kind"}, InCluster("kind", None, None)),
        (Where(context="test"), {"CHRISTMAS_CONTEXT": "kind"}, InCluster("test", None, None)),
        # What was said wins over what is set.
        (Where(state=Path("x")), {"CHRISTMAS_CONTEXT": "kind"}, OnMachine(Path("x"))),
        (Where(kubeconfig=Path("k"), namespace="n"), {}, InCluster(None, Path("k"), "n")),
        (Where(plugin=True), {}, InCluster(None, None, None)),
    ],
)
def test_a_cluster_only_where_one_is_named(
    where: Where, environment: dict[str, str], expected: OnMachine | InCluster
) -> None:
    assert place_of(where, environment) == expected


@pytest.mark.parametrize("where", [Where(state=Path("x"), context="c"), Where(namespace="n")])
def test_what_contradicts_itself_is_refused(where: Where) -> None:
    with pytest.raises(click.UsageError):
        place_of(where, {})


def test_options_after_the_verb_win_over_those_before_it() -> None:
    before, after = Where(context="a", namespace="n", plugin=True), Where(context="b")
    assert after.over(before) == Where(context="b", namespace="n", plugin=True)
