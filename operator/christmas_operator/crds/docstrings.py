"""What a model says about its fields: the text that stands below each, as `kubectl explain` shows it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache

import msgspec


@cache
def field_texts(model: type[msgspec.Struct]) -> dict[str, str]:
    """By the field's name in Python."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    if not isinstance(body, ast.ClassDef):
        raise TypeError(f"{model} is no class")
    texts = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            text = _text(following)
            if text is not None:
                texts[statement.target.id] = text
    return texts


def class_text(model: type[msgspec.Struct]) -> str:
    """The first paragraph of its docstring."""
    return " ".join((inspect.getdoc(model) or "").partition("\n\n")[0].replace("``", "").split())


def _text(statement: ast.stmt) -> str | None:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        value = statement.value.value
        return " ".join(value.replace("``", "").split()) if isinstance(value, str) else None
    return None
