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
    """Public class attributes with plain values, and these as defaults, of ``kind`` and its parents below ``stop``."""
    reserved = set(vars(stop))
    return {
        name: value
        for parent in reversed(kind.__mro__)
        if issubclass(parent, stop) and parent is not stop
        for name, value in vars(parent).items()
        if not name.startswith("_") and name not in reserved and type(value) in _KINDS
    }


def resolve_parameters(
    declared: Mapping[str, ParameterValue], given: Mapping[str, ParameterValue]
) -> tuple[dict[str, ParameterValue], dict[str, str]]:
    """The declared defaults with what was given, each of its default's type; and by name what is wrong."""
    values = dict(declared)
    faults: dict[str, str] = {}
    for name, value in given.items():
        if name not in declared:
            known = ", ".join(sorted(declared)) or "none"
            faults[name] = f"there is no parameter {name!r}{did_you_mean(name, declared)}; known are: {known}"
            continue
        try:
            values[name] = _convert(value, type(declared[name]))
        except (TypeError, InvalidOperation):
            faults[name] = f"{name} must be {_NAMES[type(declared[name])]}, not {value!r}"
    return values, faults


def apply_parameters(
    owner: str, declared: Mapping[str, ParameterValue], given: Mapping[str, ParameterValue]
) -> dict[str, ParameterValue]:
    """`resolve_parameters`, raising ParameterError that tells everything that is wrong."""
    values, faults = resolve_parameters(declared, given)
    if faults:
        raise ParameterError("; ".join(f"{owner}: {fault}" for fault in faults.values()))
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
