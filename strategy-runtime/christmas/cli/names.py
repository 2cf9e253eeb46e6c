"""What people call resources: plural, singular, short, ``kind/name``."""

from __future__ import annotations

from typing import Final, Literal

import click

from christmas.resources.problem import did_you_mean

Kind = Literal["Strategy", "Broker"]

_KINDS: Final[dict[str, Kind]] = {
    "strategies": "Strategy",
    "strategy": "Strategy",
    "strat": "Strategy",
    "strats": "Strategy",
    "st": "Strategy",
    "brokers": "Broker",
    "broker": "Broker",
    "br": "Broker",
}
PLURALS: Final[dict[Kind, str]] = {"Strategy": "strategies", "Broker": "brokers"}


def parse_kind(word: str) -> Kind:
    """Raises UsageError with what was perhaps meant."""
    kind = _KINDS.get(word.lower().removesuffix(".christmas.dev"))
    if kind is None:
        raise click.UsageError(f"there is no resource type {word} ({did_you_mean(word, _KINDS)})")
    return kind


def parse_targets(words: tuple[str, ...], *, default: Kind | None = None) -> list[tuple[Kind, str | None]]:
    """``strategies``, ``strategy a b``, ``strategy/a broker/b``, and with ``default`` also plain names.

    A name of None stands for all of a kind.
    """
    if not words:
        return [] if default is None else [(default, None)]
    targets: list[tuple[Kind, str | None]] = []
    kind: Kind | None = None
    for position, word in enumerate(words):
        if "/" in word:
            head, _, name = word.partition("/")
            targets.append((parse_kind(head), name))
        elif position == 0 and (
            default is None or (word.lower() in _KINDS and len(words) > 1) or word.lower() in PLURALS.values()
        ):
            if word.lower() == "all":
                return [("Strategy", None), ("Broker", None)]
            for part in word.split(","):
                kind = parse_kind(part)
                if len(words) == 1:
                    targets.append((kind, None))
        else:
            chosen = kind or default
            if chosen is None:
                raise click.UsageError(f"of which type is {word}? Write strategy/{word} or broker/{word}")
            targets.append((chosen, word))
    return targets


def parse_one(words: tuple[str, ...], *, default: Kind = "Strategy") -> tuple[Kind, str]:
    """Exactly one named resource."""
    targets = parse_targets(words, default=default)
    if len(targets) != 1 or targets[0][1] is None:
        raise click.UsageError("name one resource, for example strategy/btc-scalper")
    kind, name = targets[0]
    assert name is not None  # noqa: S101 (looked at above)
    return kind, name


def strategy_names(words: tuple[str, ...]) -> list[str] | None:
    """The strategies that are named; None: all of them."""
    names = []
    for kind, name in parse_targets(words, default="Strategy"):
        if kind != "Strategy":
            raise click.UsageError("name strategies, for example btc-scalper")
        if name is None:
            return None
        names.append(name)
    return names
