"""The arithmetic of rules on single floats: IEEE's, but that a division by zero is undefined (not a number)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from christmas.analysis.rules.syntax import ArithmeticOperator


def calculate(operator: ArithmeticOperator, left: float, right: float) -> float:
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    return divide(left, right)


def divide(left: float, right: float) -> float:
    return left / right if right else math.nan


def least(*values: float) -> float:
    """The smallest; undefined when one of them is."""
    return math.nan if any(math.isnan(value) for value in values) else min(values)


def greatest(*values: float) -> float:
    """The largest; undefined when one of them is."""
    return math.nan if any(math.isnan(value) for value in values) else max(values)
