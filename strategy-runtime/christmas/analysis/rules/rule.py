"""A rule that has been checked: what it computes, and how many bars it needs.

``compile_rule("rsi(14) < 30 and close < bollinger(20, 2).lower")`` gives a `CompiledRule`; its ``evaluator()``
is fed bar by bar, and `christmas.analysis.rules.arrays.evaluate_arrays` evaluates the same rule over arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from christmas.analysis.indicators.base import Anchor, Indicator
from christmas.analysis.indicators.registry import create, registry
from christmas.analysis.rules.checker import Checker, Role
from christmas.analysis.rules.parser import parse
from christmas.analysis.rules.problems import RuleError, RuleProblem
from christmas.analysis.rules.terms import (
    Condition,
    Crossing,
    IndicatorUse,
    Output,
    Past,
    Term,
    children,
    looks_at_position,
    walk,
)
from christmas.analysis.rules.text import text_of, use_text

if TYPE_CHECKING:
    from christmas.analysis.rules.evaluator import RuleEvaluator

__all__ = ["CompiledRule", "RuleError", "RuleProblem", "compile_rule"]

_ANCHORS: Final[tuple[Anchor, ...]] = ("none", "session", "start")
"""From weak to strong."""


class CompiledRule(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    """As the user wrote it."""
    condition: Condition
    indicators: tuple[IndicatorUse, ...]
    """Each indicator once, however often the text names it; one comes after those that it reads."""
    warm_up: int
    """Bars before the rule first holds or does not, the last of them included."""
    stable_after: int
    """Bars after which no value depends on where history began (see `Indicator.stable_after`)."""
    anchor: Anchor
    """What else a restart needs (see `Indicator.anchor`): the strongest of its indicators'."""
    looks_at_position: bool
    """Whether it must be asked for each position (``position.profit``, ``position.age``)."""

    def evaluator(self) -> RuleEvaluator:
        """A new evaluation of this rule, fed bar by bar."""
        from christmas.analysis.rules.evaluator import RuleEvaluator, RuleGraph  # noqa: PLC0415 - it needs this module

        return RuleEvaluator(self, RuleGraph([self]))


def compile_rule(text: str, *, role: Role = "exit") -> CompiledRule:
    """Parse and check ``text``; raises RuleError with everything that is wrong.

    ``role="entry"`` refuses the terms of a position, since an entry has none.
    """
    tree, problems = parse(text)
    if tree is None:
        raise RuleError(text, problems)
    checker = Checker(registry, role)
    condition = checker.rule(tree)
    if condition is None or checker.problems:
        raise RuleError(text, checker.problems)
    uses = _uses(condition)
    built = {use_text(use): build(use) for use in uses}
    return CompiledRule(
        text=text,
        condition=condition,
        indicators=uses,
        warm_up=max(1, _bars(condition, {key: indicator.warm_up for key, indicator in built.items()})),
        stable_after=max(1, _bars(condition, {key: indicator.stable_after for key, indicator in built.items()})),
        anchor=strongest_anchor(indicator.anchor for indicator in built.values()),
        looks_at_position=looks_at_position(condition),
    )


def strongest_anchor(anchors: Iterable[Anchor]) -> Anchor:
    """What a restart needs so that all of them are right."""
    return max(anchors, key=_ANCHORS.index, default="none")


def build(use: IndicatorUse) -> Indicator:
    """A fresh indicator; one that reads a series is fed by its evaluation, whatever the series is."""
    return create(use.name, dict(use.arguments))


def _uses(condition: Condition) -> tuple[IndicatorUse, ...]:
    found: dict[str, IndicatorUse] = {}
    for term in reversed(list(walk(condition))):
        if isinstance(term, Output):
            found.setdefault(use_text(term.use), term.use)
    return tuple(found.values())


def _bars(term: Term, inputs: Mapping[str, int]) -> int:
    """The bars after which ``term`` has what it needs, when each indicator needs ``inputs`` by its text."""
    below = max((_bars(child, inputs) for child in children(term)), default=1)
    match term:
        case Output(use=use):
            return below - 1 + inputs[use_text(use)]
        case Past(bars=bars):
            return below + bars
        case Crossing():
            return below + 1
    return below


def canonical(rule: CompiledRule) -> str:
    """The rule in the one spelling of its meaning: equal for rules that evaluate alike term by term."""
    return text_of(rule.condition)
