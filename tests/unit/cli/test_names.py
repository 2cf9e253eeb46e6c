from __future__ import annotations

import click
import pytest

from christmas.cli.names import parse_one, parse_targets


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("strategies",), [("Strategy", None)]),
        (("strat",), [("Strategy", None)]),
        (("broker", "paper"), [("Broker", "paper")]),
        (("strategy/a", "broker/b"), [("Strategy", "a"), ("Broker", "b")]),
        (("strategies", "a", "b"), [("Strategy", "a"), ("Strategy", "b")]),
        (("all",), [("Strategy", None), ("Broker", None)]),
        (("brokers,strategies",), [("Broker", None), ("Strategy", None)]),
    ],
)
def test_kubectls_habits(words: tuple[str, ...], expected: list[tuple[str, str | None]]) -> None:
    assert parse_targets(words) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("a", "b"), [("Strategy", "a"), ("Strategy", "b")]),
        (("broker", "a"), [("Broker", "a")]),
        (("broker/a",), [("Broker", "a")]),
        ((), [("Strategy", None)]),
        # A strategy may be called like a type.
        (("strategy/broker",), [("Strategy", "broker")]),
        (("broker",), [("Strategy", "broker")]),
    ],
)
def test_with_a_default_a_plain_word_is_a_name(words: tuple[str, ...], expected: list[tuple[str, str | None]]) -> None:
    assert parse_targets(words, default="Strategy") == expected


def test_what_was_meant() -> None:
    with pytest.raises(click.UsageError, match="did you mean brokers"):
        parse_targets(("broekrs",))
    with pytest.raises(click.UsageError, match="name one resource"):
        parse_one(("a", "b"))
