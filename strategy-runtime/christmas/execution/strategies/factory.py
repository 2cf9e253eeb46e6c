"""From the plain parts of a manifest to a Strategy instance, one for each symbol."""

from __future__ import annotations

from collections.abc import Mapping

from christmas.analysis.indicators.parameters import ParameterError
from christmas.analysis.rules.rule import compile_rule
from christmas.execution.strategies.base import Strategy, StrategyError
from christmas.execution.strategies.builtin import builtin_strategy
from christmas.execution.strategies.code import load_class
from christmas.execution.strategies.parameters import ParameterValue
from christmas.execution.strategies.rules import RuleStrategy


def create_strategy(
    *,
    entry: str | None = None,
    exit: str | None = None,  # noqa: A002 - the manifest's word
    builtin: str | None = None,
    file: str | None = None,
    source: str | None = None,
    module: str | None = None,
    class_name: str | None = None,
    parameters: Mapping[str, ParameterValue] | None = None,
) -> Strategy:
    """A new instance from rules (``entry``, ``exit``), a ``builtin``, or code (``class_name`` and where it is).

    Exactly one of the three. Raises RuleError for a rule that is wrong, StrategyError for everything else.
    """
    if sum(part is not None for part in (entry, builtin, class_name)) != 1:
        raise StrategyError("a strategy is exactly one of rules (entry), builtin and code (class_name)")
    if entry is not None:
        if parameters:
            raise StrategyError("rules take no parameters; write the numbers into the rules")
        return RuleStrategy(compile_rule(entry, role="entry"), None if exit is None else compile_rule(exit))
    if exit is not None:
        raise StrategyError("an exit rule needs an entry rule")
    try:
        if builtin is not None:
            return builtin_strategy(builtin, parameters)
        return load_class(str(class_name), file=file, source=source, module=module)(parameters)
    except ParameterError as error:
        raise StrategyError(str(error)) from error
