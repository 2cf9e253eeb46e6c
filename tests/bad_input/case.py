"""One bad input: what is wrong with it, and the words that its user sees."""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    id: str
    wrong: str
    """What is wrong with it, for a reader."""
    give: tuple[str, ...] | str | bytes
    """The input; what it is depends on the section."""
    message: str
    """All that the user is told, to the letter."""


class Section(NamedTuple):
    """Cases that come in by the same door."""

    title: str
    given: str
    """How the input is given."""
    after: str
    """What holds afterwards; the section's test checks it."""
    cases: tuple[Case, ...]
