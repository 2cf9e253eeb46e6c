"""What an indicator's call may say: declared parameters, and errors that name the argument at fault."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

NumberType = type[int] | type[float]
MAXIMUM_PERIOD: Final = 10_000


class Parameter(NamedTuple):
    """One numeric argument of an indicator, in the order in which a call gives them."""

    name: str
    type: NumberType
    default: int | float
    minimum: int | float
    maximum: int | float


class ParameterError(ValueError):
    """An argument is not what the indicator takes.

    ``parameter`` is the name of the argument at fault, ``None`` when there are too many arguments;
    ``position`` is its index among the positional arguments, ``None`` when it was given by name or
    not at all. With them a rule's checker points at the column.
    """

    def __init__(self, message: str, *, parameter: str | None = None, position: int | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter
        self.position = position


def period_parameter(default: int, *, name: str = "period", minimum: int = 1) -> Parameter:
    """A number of inputs."""
    return Parameter(name, int, default, minimum, MAXIMUM_PERIOD)


def bind(
    indicator: str,
    parameters: Sequence[Parameter],
    positional: Sequence[object],
    named: Mapping[str, object],
) -> dict[str, int | float]:
    """The value of each parameter, defaults filled in, each of its declared type and within its bounds.

    Raises ParameterError for the first argument at fault.
    """
    if len(positional) > len(parameters):
        takes = f"at most {len(parameters)} argument{'s' if len(parameters) > 1 else ''}"
        raise ParameterError(f"{indicator} takes {takes}, not {len(positional)}", position=len(parameters))
    names = [parameter.name for parameter in parameters]
    for name in named:
        if name not in names:
            known = f"it has {', '.join(names)}"
            raise ParameterError(f"{indicator} has no parameter {name!r}; {known}", parameter=name)
    bound: dict[str, int | float] = {}
    for position, parameter in enumerate(parameters):
        if position < len(positional):
            if parameter.name in named:
                raise ParameterError(f"{indicator}: {parameter.name} is given twice", parameter=parameter.name)
            bound[parameter.name] = _checked(indicator, parameter, positional[position], position)
        elif parameter.name in named:
            bound[parameter.name] = _checked(indicator, parameter, named[parameter.name], None)
        else:
            bound[parameter.name] = parameter.default
    return bound


def _checked(indicator: str, parameter: Parameter, value: object, position: int | None) -> int | float:
    def fault(expectation: str) -> ParameterError:
        message = f"{indicator}: {parameter.name} must be {expectation}, not {value}"
        return ParameterError(message, parameter=parameter.name, position=position)

    if isinstance(value, bool) or not isinstance(value, int | float):
        raise fault("a number")
    if not math.isfinite(value):
        raise fault("a finite number")
    if parameter.type is int and value != int(value):
        raise fault("a whole number")
    if value < parameter.minimum:
        raise fault(f"at least {parameter.minimum}")
    if value > parameter.maximum:
        raise fault(f"at most {parameter.maximum}")
    return parameter.type(value)
