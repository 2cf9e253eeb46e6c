"""The words of a rule: a tokenizer that finds every character that no rule can contain."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from christmas.analysis.rules.problems import RuleProblem

TokenKind = Literal["number", "name", "operator", "end"]
KEYWORDS: Final = frozenset({"and", "or", "not", "crosses"})

_TOKEN: Final = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<operator><=|>=|==|!=|[-+*/<>=()\[\],.])"
)
_MENDS: Final = {
    "&": "write 'and'",
    "|": "write 'or'",
    "!": "write 'not'",
    "%": "write a plain number: 30 for the 30 of rsi(14) < 30, 0.005 for half a per cent of a price",
    "^": "multiply: write close * close",
    "≤": "write <=",
    "≥": "write >=",
    "≠": "write !=",
    "\N{MULTIPLICATION SIGN}": "write *",
    "÷": "write /",
    "'": "names stand without quotes: rsi(14) < 30",
    '"': "names stand without quotes: rsi(14) < 30",
    "$": "names stand without a sign before them: close",
}


class Token(NamedTuple):
    kind: TokenKind
    text: str
    start: int
    """Index in the rule's text, from 0."""

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def tokenize(text: str) -> tuple[list[Token], list[RuleProblem]]:
    """The tokens, an ``end`` token last, and a problem for each run of characters that is none."""
    tokens: list[Token] = []
    problems: list[RuleProblem] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            position = _skip(text, position, problems)
            continue
        if match.lastgroup == "number":
            tokens.append(Token("number", match.group(), position))
        elif match.lastgroup == "name":
            tokens.append(Token("name", match.group(), position))
        elif match.lastgroup == "operator":
            tokens.append(Token("operator", match.group(), position))
        position = match.end()
    tokens.append(Token("end", "", len(text)))
    return tokens, problems


def _skip(text: str, position: int, problems: list[RuleProblem]) -> int:
    """Report the same character repeated (``&&``) as one problem; returns the index behind it."""
    end = position + 1
    while end < len(text) and text[end] == text[position]:
        end += 1
    found = text[position:end] if text[position].isprintable() else f"character {ord(text[position])}"
    mend = _MENDS.get(text[position], "take it out")
    problems.append(RuleProblem(position + 1, end - position, f"{found} means nothing in a rule", mend))
    return end
