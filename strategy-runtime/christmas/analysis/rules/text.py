"""A checked term as text: one spelling for each meaning, so that it also serves as the term's key."""

from __future__ import annotations

from typing import Final

from christmas.analysis.rules.terms import (
    Arithmetic,
    BarField,
    Comparison,
    Constant,
    Crossing,
    Function,
    IndicatorUse,
    Logical,
    Negate,
    Output,
    Past,
    PositionField,
    Term,
)

_OR, _AND, _COMPARISON, _SUM, _PRODUCT, _UNARY, _ATOM = range(7)
_EXACT_INTEGERS: Final = 2**53


def text_of(term: Term) -> str:
    """The rule language's text of ``term``, with all defaults written out and no needless parenthesis."""
    return _write(term)[0]


def use_text(use: IndicatorUse) -> str:
    """``rsi(14)``, ``sma(20, source=volume)``, ``ema(rsi(14), 9)``."""
    arguments = [number_text(value) for _, value in use.arguments]
    if isinstance(use.source, BarField):
        if use.source.name != "close":
            arguments.append(f"source={use.source.name}")
    elif use.source is not None:
        arguments.insert(0, text_of(use.source))
    return f"{use.name}({', '.join(arguments)})"


def number_text(value: int | float) -> str:
    """The shortest text that reads back as the same number, without a needless ``.0``."""
    if abs(value) < _EXACT_INTEGERS and value == int(value):
        return str(int(value))
    return repr(float(value))


def _write(term: Term) -> tuple[str, int]:
    """The text and how strongly its outermost operator binds."""
    match term:
        case Constant(value=value):
            return number_text(value), _UNARY if value < 0 else _ATOM
        case BarField(name=name):
            return name, _ATOM
        case PositionField(name=name):
            return f"position.{name}", _ATOM
        case Output(use=use, output=output):
            return use_text(use) + ("" if output == "value" else f".{output}"), _ATOM
        case Past(operand=operand, bars=bars):
            return f"{_within(operand, _ATOM)}[{bars}]", _ATOM
        case Negate(operand=operand):
            return f"-{_within(operand, _UNARY)}", _UNARY
        case Function(name=name, arguments=arguments):
            return f"{name}({', '.join(text_of(argument) for argument in arguments)})", _ATOM
        case Arithmetic(operator=operator, left=left, right=right):
            strength = _SUM if operator in {"+", "-"} else _PRODUCT
            return f"{_within(left, strength)} {operator} {_within(right, strength + 1)}", strength
        case Comparison(operator=operator, left=left, right=right):
            return f"{text_of(left)} {operator} {text_of(right)}", _COMPARISON
        case Crossing(direction=direction, left=left, right=right, negated=negated):
            word = "not " if negated else ""
            return f"{word}{text_of(left)} crosses {direction} {text_of(right)}", _COMPARISON
        case Logical(operator=operator, operands=operands):
            strength = _AND if operator == "and" else _OR
            return f" {operator} ".join(_within(operand, strength + 1) for operand in operands), strength
    raise TypeError(f"not a term: {term!r}")


def _within(term: Term, strength: int) -> str:
    text, own = _write(term)
    return text if own >= strength else f"({text})"
