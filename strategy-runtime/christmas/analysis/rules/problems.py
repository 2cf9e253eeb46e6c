"""What is wrong with a rule, where, and how to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

_WINDOW: Final = 100
"""Characters of a long rule that are shown around a problem."""


class RuleProblem(msgspec.Struct, frozen=True):
    column: int
    """Of the first character at fault, counted from 1 over the whole text (line ends count as one)."""
    length: int
    """Characters at fault, at least 1."""
    message: str
    mend: str
    """What to write instead."""


class RuleError(ValueError):
    """The text is not a rule. ``problems`` is not empty and ordered by column; ``str()`` shows each with a caret."""

    def __init__(self, text: str, problems: Sequence[RuleProblem]) -> None:
        self.text = text
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.column, problem.length)))
        super().__init__("\n".join(_show(text, problem) for problem in self.problems))


def _show(text: str, problem: RuleProblem) -> str:
    """The text, a caret line under the fault, and what is to be done about it."""
    line = "".join(" " if character.isspace() or not character.isprintable() else character for character in text)
    start = problem.column - 1
    first = max(0, start - _WINDOW // 2) if len(line) > _WINDOW else 0
    shown = line[first : first + _WINDOW]
    head = "..." if first else ""
    tail = "..." if first + _WINDOW < len(line) else ""
    carets = "^" * max(1, min(problem.length, len(shown) - (start - first)))
    return (
        f"  {head}{shown}{tail}\n"
        f"  {' ' * (len(head) + start - first)}{carets}\n"
        f"column {problem.column}: {problem.message}; {problem.mend}"
    )
