"""Rules over whole arrays: the same checked tree as bar by bar, the same answer at every bar.

The only module of the rule language that imports numpy; a running strategy's process never imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from christmas.analysis.arrays.bars import BarArrays
from christmas.analysis.arrays.registry import compute, compute_series
from christmas.analysis.rules.rule import CompiledRule
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
)
from christmas.analysis.rules.text import text_of, use_text

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_COMPARISONS: Final[dict[str, Callable[[FloatArray, FloatArray], BoolArray]]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": lambda left, right: (left < right) | (left > right),
}
_ARITHMETIC: Final[dict[str, Callable[[FloatArray, FloatArray], FloatArray]]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": lambda left, right: np.divide(left, right, out=np.full(len(left), np.nan), where=right != 0),
}


def evaluate_arrays(rule: CompiledRule, columns: BarArrays | Mapping[str, npt.NDArray[Any]]) -> BoolArray:
    """Whether ``rule`` holds at each bar; False for the bars before ``rule.warm_up``.

    ``columns`` are one symbol's bars in order of time: ``start_us`` (int64) and as floats ``open``, ``high``,
    ``low``, ``close``, ``volume``, ``buy_volume``, ``sell_volume`` (lots) and ``notional``, all of one length n.
    Returns a boolean array of length n. Raises ValueError when a column is missing or of another length, or
    when the rule looks at positions, of which bars know nothing.
    """
    if rule.looks_at_position:
        raise ValueError(f"the rule looks at positions, which arrays of bars do not have: {rule.text}")
    bars = columns if isinstance(columns, BarArrays) else _bar_arrays(columns)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        holds = _Arrays(bars).condition(rule.condition)
    holds[: rule.warm_up - 1] = False
    return holds


def _bar_arrays(columns: Mapping[str, npt.NDArray[Any]]) -> BarArrays:
    missing = [name for name in BarArrays._fields if name not in columns]
    if missing:
        raise ValueError(f"columns are missing: {', '.join(missing)}")
    lengths = {len(columns[name]) for name in BarArrays._fields}
    if len(lengths) > 1:
        raise ValueError(f"columns differ in length: {sorted(lengths)}")
    floats = {name: np.asarray(columns[name], np.float64) for name in BarArrays._fields if name != "start_us"}
    return BarArrays(start_us=np.asarray(columns["start_us"], np.int64), **floats)


class _Arrays:
    """One evaluation; equal numbers are computed once."""

    def __init__(self, bars: BarArrays) -> None:
        self._bars = bars
        self._length = len(bars.close)
        self._numbers: dict[str, FloatArray] = {}
        self._indicators: dict[str, dict[str, FloatArray]] = {}

    def condition(self, term: Condition) -> BoolArray:
        match term:
            case Comparison(operator=sign, left=left, right=right):
                return _COMPARISONS[sign](self.number(left), self.number(right))
            case Crossing(direction=direction, left=left, right=right, negated=negated):
                a, b = self.number(left), self.number(right)
                return _crossings(*((a, b) if direction == "above" else (b, a)), negated=negated)
            case Logical(operator=word, operands=operands):
                join = np.logical_and if word == "and" else np.logical_or
                return reduce(join, [self.condition(operand) for operand in operands])
        raise TypeError(f"not a condition: {term!r}")

    def number(self, term: Number) -> FloatArray:
        key = text_of(term)
        if key not in self._numbers:
            self._numbers[key] = self._compute(term)
        return self._numbers[key]

    def _compute(self, term: Number) -> FloatArray:
        match term:
            case Constant(value=value):
                return np.full(self._length, value)
            case BarField(name=name):
                return cast("FloatArray", getattr(self._bars, name))
            case Output(use=use, output=output):
                return self._indicator(use)[output]
            case Past(operand=operand, bars=bars):
                return _shifted(self.number(operand), bars)
            case Negate(operand=operand):
                return -self.number(operand)
            case Arithmetic(operator=sign, left=left, right=right):
                return _ARITHMETIC[sign](self.number(left), self.number(right))
            case Function(name=name, arguments=arguments):
                values = [self.number(argument) for argument in arguments]
                if name == "abs":
                    return np.abs(values[0])
                return reduce(np.minimum if name == "min" else np.maximum, values)
        raise TypeError(f"not a number: {term!r}")

    def _indicator(self, use: IndicatorUse) -> dict[str, FloatArray]:
        key = use_text(use)
        if key not in self._indicators:
            arguments = dict(use.arguments)
            if use.source is None:
                self._indicators[key] = compute(use.name, self._bars, arguments)
            else:
                source = _carried_on(self.number(use.source))
                self._indicators[key] = compute_series(use.name, source, arguments)
        return self._indicators[key]


def _crossings(left: FloatArray, right: FloatArray, *, negated: bool) -> BoolArray:
    """Where ``left`` crosses above ``right``; negated, where it is defined and does not."""
    was_left, was_right = _shifted(left, 1), _shifted(right, 1)
    crosses = (was_left <= was_right) & (left > right)
    if not negated:
        return crosses
    return ~crosses & ~(np.isnan(was_left) | np.isnan(was_right) | np.isnan(left) | np.isnan(right))


def _shifted(values: FloatArray, bars: int) -> FloatArray:
    shifted = np.full(len(values), np.nan)
    if bars < len(values):
        shifted[bars:] = values[: len(values) - bars]
    return shifted


def _carried_on(values: FloatArray) -> FloatArray:
    """Each undefined value replaced by the last one that was defined; undefined before the first."""
    if not len(values):
        return values
    last = np.maximum.accumulate(np.where(np.isfinite(values), np.arange(len(values)), -1))
    return np.where(last >= 0, values[np.maximum(last, 0)], np.nan)
