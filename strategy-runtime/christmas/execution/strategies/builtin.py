"""The builtin ``rsi-macd-bollinger``: parameters in, rules out, so that it explains itself like any rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from christmas.analysis.indicators.parameters import MAXIMUM_PERIOD, ParameterError
from christmas.analysis.rules.rule import compile_rule
from christmas.analysis.rules.suggest import did_you_mean
from christmas.analysis.rules.text import number_text
from christmas.execution.strategies.parameters import ParameterValue, resolve_parameters
from christmas.execution.strategies.rules import RuleStrategy

RSI_MACD_BOLLINGER: Final = "rsi-macd-bollinger"


class BuiltinParameter(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    default: int | float | str | bool
    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()


PARAMETERS: Final[tuple[BuiltinParameter, ...]] = (
    BuiltinParameter(
        name="rsi_period", default=14, minimum=2, maximum=MAXIMUM_PERIOD, meaning="Wilder's RSI over so many bars"
    ),
    BuiltinParameter(
        name="rsi_entry", default=30.0, minimum=0, maximum=100, meaning="buy only with the RSI below this"
    ),
    BuiltinParameter(name="rsi_exit", default=60.0, minimum=0, maximum=100, meaning="close with the RSI above this"),
    BuiltinParameter(
        name="bollinger_period", default=20, minimum=2, maximum=MAXIMUM_PERIOD, meaning="the bands over so many bars"
    ),
    BuiltinParameter(
        name="bollinger_deviations", default=2.0, minimum=0.1, maximum=10, meaning="the bands' half width in deviations"
    ),
    BuiltinParameter(
        name="macd_fast", default=12, minimum=2, maximum=MAXIMUM_PERIOD, meaning="the MACD's fast average"
    ),
    BuiltinParameter(
        name="macd_slow", default=26, minimum=2, maximum=MAXIMUM_PERIOD, meaning="the MACD's slow average"
    ),
    BuiltinParameter(
        name="macd_signal", default=9, minimum=1, maximum=MAXIMUM_PERIOD, meaning="the MACD's signal line"
    ),
    BuiltinParameter(
        name="macd_filter", default=False, meaning="buy only when the MACD's histogram rises: the fall has lost force"
    ),
    BuiltinParameter(
        name="macd_exit",
        default="below",
        choices=("below", "above", "none"),
        meaning="close also when the MACD's histogram crosses zero in this direction",
    ),
)


class BuiltinRules(NamedTuple):
    entry: str
    exit: str


def builtin_faults(name: str, parameters: Mapping[str, ParameterValue] | None = None) -> dict[str, str]:
    """By parameter, what is wrong with it; the empty name stands for the builtin's own."""
    return _resolve(name, parameters or {})[1]


def builtin_rules(name: str, parameters: Mapping[str, ParameterValue] | None = None) -> BuiltinRules:
    """The rules that the builtin stands for; raises ParameterError that tells all of `builtin_faults`."""
    values, faults = _resolve(name, parameters or {})
    if faults:
        raise ParameterError("; ".join(f"{name}: {fault}" for fault in faults.values()))
    text = {key: value if isinstance(value, str) else number_text(float(value)) for key, value in values.items()}
    rsi = f"rsi({text['rsi_period']})"
    band = f"bollinger({text['bollinger_period']}, {text['bollinger_deviations']}).lower"
    histogram = f"macd({text['macd_fast']}, {text['macd_slow']}, {text['macd_signal']}).histogram"
    entry = f"{rsi} < {text['rsi_entry']} and close < {band}"
    if values["macd_filter"]:
        entry += f" and {histogram} > {histogram}[1]"
    leave = f"{rsi} > {text['rsi_exit']}"
    if values["macd_exit"] != "none":
        leave += f" or {histogram} crosses {values['macd_exit']} 0"
    return BuiltinRules(entry, leave)


def builtin_strategy(name: str, parameters: Mapping[str, ParameterValue] | None = None) -> RuleStrategy:
    """The builtin with ``parameters``; raises like `builtin_rules`."""
    rules = builtin_rules(name, parameters)
    return RuleStrategy(compile_rule(rules.entry, role="entry"), compile_rule(rules.exit))


def _resolve(name: str, parameters: Mapping[str, ParameterValue]) -> tuple[dict[str, ParameterValue], dict[str, str]]:
    if name != RSI_MACD_BOLLINGER:
        return {}, {"": f"there is no builtin {name!r}{did_you_mean(name, [RSI_MACD_BOLLINGER])}"}
    values, faults = resolve_parameters({parameter.name: parameter.default for parameter in PARAMETERS}, parameters)
    for parameter in PARAMETERS:
        fault = _fault(parameter, values[parameter.name])
        if fault is not None:
            faults.setdefault(parameter.name, fault)
    fast, slow = values["macd_fast"], values["macd_slow"]
    if not faults and isinstance(fast, int) and isinstance(slow, int) and slow <= fast:
        faults["macd_slow"] = f"macd_slow must be more than macd_fast ({fast}), not {slow}"
    return values, faults


def _fault(parameter: BuiltinParameter, value: ParameterValue) -> str | None:
    if parameter.choices and value not in parameter.choices:
        return f"{parameter.name} must be one of {', '.join(parameter.choices)}, not {value!r}"
    if parameter.minimum is None or parameter.maximum is None or isinstance(value, str):
        return None
    if not parameter.minimum <= value <= parameter.maximum:
        least, most = number_text(parameter.minimum), number_text(parameter.maximum)
        return f"{parameter.name} must be from {least} to {most}, not {value}"
    return None
