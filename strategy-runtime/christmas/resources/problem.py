"""What is wrong in a manifest, where, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Literal

import msgspec

Severity = Literal["error", "warning"]
FieldPath = tuple[str | int, ...]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A problem by the field it is in; who has read the file can tell the line."""

    kind: str
    name: str
    path: FieldPath
    what: str
    mend: str = ""
    severity: Severity = "error"
    offset: int | None = None
    """Within the field's text, in characters from 0: where in a rule."""
    on_key: bool = False
    """The key is wrong, not its value."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A problem by its place in a file; lines and columns count from 1."""

    file: str
    line: int
    column: int
    path: str
    what: str
    mend: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        field = f"{self.path}: " if self.path else ""
        mend = f" ({self.mend})" if self.mend else ""
        warning = "warning: " if self.severity == "warning" else ""
        return f"{self.file}:{self.line}:{self.column}: {warning}{field}{self.what}{mend}"


class ManifestError(ValueError):
    """Manifests that cannot be taken, with every problem that was found in them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def path_text(path: FieldPath) -> str:
    """``("spec", "symbols", 0)`` as ``spec.symbols[0]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """A mend for a mistyped word, or the list of what is known when nothing is near."""
    names = sorted(known)
    near = get_close_matches(str(word), names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"known: {', '.join(names)}" if names else ""
