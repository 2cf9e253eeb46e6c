"""A rule in its numbers: each comparison's value and what it needs, for ``rsi(14) = 41.2, needs < 30``."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from christmas.analysis.rules.terms import Comparison, Condition, Constant, Crossing, Logical, Number
from christmas.analysis.rules.text import number_text, text_of
from christmas.telemetry.status import TermStatus

ValueOf = Callable[[Number, int], float]
"""The value of a term some bars ago (0 or 1); nan where it is undefined."""

_DIGITS: Final = 6
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def explain_condition(condition: Condition, value_of: ValueOf, *, is_warm: bool) -> tuple[TermStatus, ...]:
    """One status for each comparison and crossing, in the rule's order; nothing holds before it is warm."""
    match condition:
        case Comparison():
            return (_comparison(condition, value_of, is_warm),)
        case Crossing():
            return (_crossing(condition, value_of, is_warm),)
        case Logical(operands=operands):
            return tuple(status for part in operands for status in explain_condition(part, value_of, is_warm=is_warm))
    raise TypeError(f"not a condition: {condition!r}")


def _comparison(term: Comparison, value_of: ValueOf, is_warm: bool) -> TermStatus:
    left, right, sign = value_of(term.left, 0), value_of(term.right, 0), str(term.operator)
    holds = {
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
        "==": left == right,
        "!=": left < right or left > right,
    }[sign]
    asked, asked_term, other, other_term = left, term.left, right, term.right
    if isinstance(term.left, Constant):  # 30 > rsi(14) is told as rsi(14) < 30
        asked, asked_term, other, other_term, sign = right, term.right, left, term.left, _MIRRORED[sign]
    value, bound = _apart(asked, other)
    return TermStatus(
        text=text_of(term),
        subject=text_of(asked_term),
        value=_missing(is_warm) if math.isnan(asked) else value,
        needs=f"{sign} {_bound(other_term, other, bound)}",
        holds=is_warm and holds,
    )


def _crossing(term: Crossing, value_of: ValueOf, is_warm: bool) -> TermStatus:
    was, now = value_of(term.left, 1), value_of(term.left, 0)
    was_right, now_right = value_of(term.right, 1), value_of(term.right, 0)
    was_text, was_bound = _apart(was, was_right)
    now_text, now_bound = _apart(now, now_right)
    if term.direction == "above":
        happened, signs = was <= was_right and now > now_right, ("<=", ">")
    else:
        happened, signs = was >= was_right and now < now_right, (">=", "<")
    are_defined = not any(math.isnan(value) for value in (was, now, was_right, now_right))
    needs = (
        f"was {signs[0]} {_bound(term.right, was_right, was_bound)}"
        f" and now {signs[1]} {_bound(term.right, now_right, now_bound)}"
    )
    missing = _missing(is_warm)
    return TermStatus(
        text=text_of(term),
        subject=text_of(term.left),
        value=f"{missing if math.isnan(was) else was_text} -> {missing if math.isnan(now) else now_text}",
        needs=f"not ({needs})" if term.negated else needs,
        holds=is_warm and are_defined and happened != term.negated,
    )


def _bound(term: Number, value: float, shown: str) -> str:
    """What a value is compared with: a number, or the term itself while it has none."""
    if isinstance(term, Constant):
        return number_text(term.value)
    return text_of(term) if math.isnan(value) else shown


def _missing(is_warm: bool) -> str:
    return "undefined" if is_warm else "warming up"


def _apart(one: float, other: float) -> tuple[str, str]:
    """Both rounded to a few digits, or in full where that would make two different numbers look alike."""
    first, second = _rounded(one), _rounded(other)
    if first == second and one != other and math.isfinite(one) and math.isfinite(other):
        return number_text(one), number_text(other)
    return first, second


def _rounded(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    text = format(Decimal(f"{value:.{_DIGITS}g}"), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
