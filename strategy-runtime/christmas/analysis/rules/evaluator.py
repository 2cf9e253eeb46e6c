"""Rules bar by bar: a list of steps over a list of numbers, each number computed once a bar.

Equal sub-expressions, within a rule and across the rules of one graph, share one slot and so one indicator.
"""

from __future__ import annotations

import math
import operator
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from christmas.analysis.indicators.bar_floats import BarFloats
from christmas.analysis.rules.arithmetic import divide, greatest, least
from christmas.analysis.rules.explain import explain_condition
from christmas.analysis.rules.rule import CompiledRule, build
from christmas.analysis.rules.terms import (
    Arithmetic,
    BarField,
    Comparison,
    Condition,
    Constant,
    Crossing,
    Function,
    IndicatorUse,
    Logical,
    Negate,
    Number,
    Output,
    Past,
    PositionField,
    looks_at_position,
)
from christmas.analysis.rules.text import text_of
from christmas.market.bar import Bar
from christmas.telemetry.status import TermStatus


class PositionTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule may ask of a position."""

    profit: float
    """Unrealised, fees paid so far included, in percent of the entry's notional; nan before a fill."""
    age: float
    """Seconds of market time since the entry was decided."""


_NO_POSITION: Final = PositionTerms(profit=math.nan, age=math.nan)
_ARITHMETIC: Final[dict[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": divide,
}
_FUNCTIONS: Final[dict[str, Callable[..., float]]] = {"abs": abs, "max": greatest, "min": least}
_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    # Python's own holds for an undefined number.
    "!=": lambda left, right: left < right or left > right,
}

_Step = Callable[[BarFloats], None]
_PositionStep = Callable[[PositionTerms], None]
_Test = Callable[[], bool]


class RuleGraph:
    """What several rules compute together; `update` it once a bar, then ask each rule's evaluator."""

    def __init__(self, rules: Sequence[CompiledRule]) -> None:
        self.bars = 0
        """Bars taken in so far."""
        self._values: list[float] = []
        self._slots: dict[str, int] = {}
        self._steps: list[_Step] = []
        self._position_steps: list[_PositionStep] = []
        self._tests = {id(rule): self._test(rule.condition) for rule in rules}
        self._rules = tuple(rules)

    def update(self, bar: Bar | BarFloats) -> None:
        """Take the next bar in."""
        floats = BarFloats.from_bar(bar) if isinstance(bar, Bar) else bar
        for step in self._steps:
            step(floats)
        self.bars += 1

    def holds(self, rule: CompiledRule, position: PositionTerms | None) -> bool | None:
        """Whether ``rule``, one of this graph's, holds at the last bar; None while it is warming up."""
        if self.bars < rule.warm_up:
            return None
        self._look_at(position)
        return self._tests[id(rule)]()

    def explain(self, rule: CompiledRule, position: PositionTerms | None) -> tuple[TermStatus, ...]:
        self._look_at(position)
        return explain_condition(rule.condition, self._value_of, is_warm=self.bars >= rule.warm_up)

    def _look_at(self, position: PositionTerms | None) -> None:
        for step in self._position_steps:
            step(position or _NO_POSITION)

    def _value_of(self, term: Number, bars_ago: int) -> float:
        """Of a term of one of the rules; ``bars_ago`` 1 only for the sides of a crossing."""
        found = (
            Past(start=0, end=0, operand=term, bars=bars_ago) if bars_ago and not isinstance(term, Constant) else term
        )
        return self._values[self._slots[text_of(found)]]

    # --- building --------------------------------------------------------------------------------

    def _test(self, condition: Condition) -> _Test:
        values = self._values
        match condition:
            case Comparison(operator=sign, left=left, right=right):
                compare, a, b = _COMPARISONS[sign], self._slot(left), self._slot(right)
                return lambda: compare(values[a], values[b])
            case Crossing(direction=direction, left=left, right=right, negated=negated):
                a, b, was_a, was_b = self._slot(left), self._slot(right), self._past_slot(left), self._past_slot(right)
                if direction == "below":
                    a, b, was_a, was_b = b, a, was_b, was_a
                if negated:
                    return lambda: _does_not_cross(values[was_a], values[was_b], values[a], values[b])
                return lambda: values[was_a] <= values[was_b] and values[a] > values[b]
            case Logical(operator=word, operands=operands):
                tests = tuple(self._test(operand) for operand in operands)
                if word == "and":
                    return lambda: all(test() for test in tests)
                return lambda: any(test() for test in tests)
        raise TypeError(f"not a condition: {condition!r}")

    def _past_slot(self, term: Number) -> int:
        if isinstance(term, Constant):
            return self._slot(term)
        return self._slot(Past(start=0, end=0, operand=term, bars=1))

    def _slot(self, term: Number) -> int:
        """Where the term's value stands in ``_values``; the first call for it adds the step that puts it there."""
        key = text_of(term)
        if key not in self._slots:
            if isinstance(term, Output):
                self._add_indicator(term.use)
            else:
                self._add(key, term)
        return self._slots[key]

    def _reserve(self, key: str, value: float = math.nan) -> int:
        self._values.append(value)
        self._slots[key] = len(self._values) - 1
        return self._slots[key]

    def _add(self, key: str, term: Number) -> None:
        match term:
            case Constant(value=value):
                self._reserve(key, value)
            case BarField(name=name):
                self._steps.append(_read_field(self._values, self._reserve(key), name))
            case PositionField(name=name):
                self._position_steps.append(_read_position(self._values, self._reserve(key), name))
            case Past(operand=operand, bars=bars):
                source = self._slot(operand)
                self._steps.append(_look_back(self._values, self._reserve(key), source, bars))
            case Negate(operand=operand):
                self._compute(key, term, operator.neg, (operand,))
            case Arithmetic(operator=sign, left=left, right=right):
                self._compute(key, term, _ARITHMETIC[sign], (left, right))
            case Function(name=name, arguments=arguments):
                self._compute(key, term, _FUNCTIONS[name], arguments)

    def _compute(self, key: str, term: Number, function: Callable[..., float], operands: Sequence[Number]) -> None:
        values, sources = self._values, tuple(self._slot(operand) for operand in operands)
        slot = self._reserve(key)

        def step(_: object) -> None:
            values[slot] = function(*[values[source] for source in sources])

        if looks_at_position(term):
            self._position_steps.append(step)
        else:
            self._steps.append(step)

    def _add_indicator(self, use: IndicatorUse) -> None:
        """One step that feeds the indicator and puts all its outputs into their slots."""
        indicator, values = build(use), self._values
        source = None if use.source is None else self._slot(use.source)
        outputs = tuple(
            (self._reserve(text_of(Output(start=0, end=0, use=use, output=name))), operator.attrgetter(name))
            for name in indicator.outputs
        )
        last_defined = math.nan

        def step(bar: BarFloats) -> None:
            nonlocal last_defined
            if source is None:
                indicator.update(bar)
            else:
                # Where its series is undefined, an indicator goes on with the last value that was defined.
                value = values[source]
                if math.isfinite(value):
                    last_defined = value
                if not math.isfinite(last_defined):
                    return
                indicator.update(last_defined)
            for slot, read in outputs:
                found = read(indicator)
                values[slot] = math.nan if found is None else found

        self._steps.append(step)


class RuleEvaluator:
    """One rule's evaluation over the bars that its graph was fed."""

    def __init__(self, rule: CompiledRule, graph: RuleGraph) -> None:
        self.rule = rule
        self._graph = graph

    def update(self, bar: Bar | BarFloats) -> None:
        """Take the next bar in; evaluators that share a graph are all moved on by it."""
        self._graph.update(bar)

    @property
    def holds(self) -> bool | None:
        """At the last bar; None before ``rule.warm_up`` bars. Terms of a position do not hold without one."""
        return self._graph.holds(self.rule, None)

    def holds_for(self, position: PositionTerms) -> bool | None:
        """Like ``holds``, with the numbers of one position."""
        return self._graph.holds(self.rule, position)

    def explain(self, position: PositionTerms | None = None) -> tuple[TermStatus, ...]:
        """Every comparison of the rule in its order: its values, and what it needs to hold."""
        return self._graph.explain(self.rule, position)


def _read_field(values: list[float], slot: int, name: str) -> _Step:
    read = operator.attrgetter(name)

    def step(bar: BarFloats) -> None:
        values[slot] = read(bar)

    return step


def _read_position(values: list[float], slot: int, name: str) -> _PositionStep:
    read = operator.attrgetter(name)

    def step(position: PositionTerms) -> None:
        values[slot] = read(position)

    return step


def _look_back(values: list[float], slot: int, source: int, bars: int) -> _Step:
    kept: deque[float] = deque([math.nan] * (bars + 1), maxlen=bars + 1)

    def step(_: BarFloats) -> None:
        kept.append(values[source])
        values[slot] = kept[0]

    return step


def _does_not_cross(was_left: float, was_right: float, left: float, right: float) -> bool:
    """With all four defined: not (was at or below, and is above)."""
    if was_left <= was_right:
        return left <= right
    return was_left > was_right and (left <= right or left > right)
