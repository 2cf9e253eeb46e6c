"""The checked tree: every name resolved, every call bound, ``not`` pushed into the comparisons.

Numbers are floats; an undefined number (division by zero, an indicator without a value) is not-a-number. As
every ``not`` stands in a comparison's own operator (``not a < b`` is ``a >= b``), a comparison with an undefined
side never holds, whichever way the rule puts it, and ``and`` and ``or`` need only know what holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from christmas.analysis.rules.syntax import ArithmeticOperator, ComparisonOperator, CrossDirection

FunctionName = Literal["abs", "max", "min"]
PositionFieldName = Literal["profit", "age"]


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """``start`` and ``end`` are indices into the rule's text, ``end`` exclusive."""

    start: int
    end: int


class Number(Term, frozen=True, kw_only=True):
    """A term that has a number at every bar."""


class Condition(Term, frozen=True, kw_only=True):
    """A term that holds at a bar or does not."""


class Constant(Number, frozen=True, kw_only=True):
    value: float


class BarField(Number, frozen=True, kw_only=True):
    name: str


class PositionField(Number, frozen=True, kw_only=True):
    name: PositionFieldName


class IndicatorUse(msgspec.Struct, frozen=True, kw_only=True):
    """One indicator that a rule computes, however often its text names it."""

    name: str
    arguments: tuple[tuple[str, int | float], ...]
    source: Number | None
    """The series that it reads; None for an indicator of whole bars."""


class Output(Number, frozen=True, kw_only=True):
    use: IndicatorUse
    output: str


class Past(Number, frozen=True, kw_only=True):
    """``operand`` as it was ``bars`` bars ago."""

    operand: Number
    bars: int


class Negate(Number, frozen=True, kw_only=True):
    operand: Number


class Arithmetic(Number, frozen=True, kw_only=True):
    operator: ArithmeticOperator
    left: Number
    right: Number


class Function(Number, frozen=True, kw_only=True):
    name: FunctionName
    arguments: tuple[Number, ...]


class Comparison(Condition, frozen=True, kw_only=True):
    operator: ComparisonOperator
    left: Number
    right: Number


class Crossing(Condition, frozen=True, kw_only=True):
    """``left`` was on the other side of ``right`` (or on it) a bar ago and is beyond it now."""

    direction: CrossDirection
    left: Number
    right: Number
    negated: bool = False


class Logical(Condition, frozen=True, kw_only=True):
    operator: Literal["and", "or"]
    operands: tuple[Condition, ...]


def children(term: Term) -> tuple[Term, ...]:
    """The terms directly below, an indicator's source included."""
    match term:
        case Output(use=use):
            return () if use.source is None else (use.source,)
        case Past(operand=operand) | Negate(operand=operand):
            return (operand,)
        case Arithmetic(left=left, right=right) | Comparison(left=left, right=right) | Crossing(left=left, right=right):
            return (left, right)
        case Function(arguments=arguments):
            return arguments
        case Logical(operands=operands):
            return operands
        case _:
            return ()


def walk(term: Term) -> Iterator[Term]:
    """The term and all below it."""
    yield term
    for child in children(term):
        yield from walk(child)


def looks_at_position(term: Term) -> bool:
    return any(isinstance(below, PositionField) for below in walk(term))
