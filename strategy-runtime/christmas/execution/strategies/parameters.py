"""A strategy's parameters: declared by class attributes, set by the manifest, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from christmas.analysis.indicators.parameters import ParameterError
from christmas.analysis.rules.suggest import did_you_mean

ParameterValue = int | float | str | bool | Decimal
_KINDS = (bool, int, float, str, Decimal)
_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", Decimal: "a decimal number"}


def declared_parameters(kind: type, *, stop: type) -> dict[str, ParameterValue]:
    """Public class attributes of ``kind`` and its parents below ``stop`` that hold plain values, with their defaults."""
    found: dict[str, ParameterValue] = {}
    reserved = set(vars(stop))
    for parent in reversed(kind.__mro__):
        if not issubclass(parent, stop) or parent is stop:
            continue
        for name, value in vars(parent).items():
            if not name.startswith("_") and name not in reserved and type(value) in _KINDS:
                found[name] = value
    return found


def apply_parameters(
    owner: str, declared: Mapping[str, ParameterValue], given: Mapping[str, ParameterValue]
) -> dict[str, ParameterValue]:
    """The declared defaults with what was given; raises ParameterError that names all that is wrong."""
    values = dict(declared)
    problems = []
    for name, value in given.items():
        if name not in declared:
            known = ", ".join(sorted(declared)) or "none"
            problems.append(f"{owner} has no parameter {name!r}{did_you_mean(name, declared)} (it has: {known})")
            continue
        try:
            values[name] = _convert(value, type(declared[name]))
        except (TypeError, InvalidOperation):
            problems.append(f"{owner}: parameter {name!r} must be {_NAMES[type(declared[name])]}, not {value!r}")
    if problems:
        raise ParameterError("; ".join(problems))
    return values


def _convert(value: ParameterValue, kind: type) -> ParameterValue:
    if kind is float and type(value) in (int, float):
        return float(value)
    if kind is Decimal and type(value) in (int, float, str, Decimal):
        number = Decimal(str(value))
        if not number.is_finite():
            raise TypeError
        return number
    if type(value) is not kind:
        raise TypeError
    return value
