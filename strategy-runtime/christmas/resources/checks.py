"""The rule compiler and the builtins as validation sees them: what is wrong, and at which character."""

from __future__ import annotations

from collections.abc import Mapping

from christmas.resources.strategy import ParameterValue
from christmas.resources.validate import Role, RuleFault


def check_rule(text: str, role: Role) -> list[RuleFault]:
    """The faults of a rule; empty when it compiles."""
    # Only where rules are checked: it brings all indicators with it.
    from christmas.analysis.rules.problems import RuleError  # noqa: PLC0415
    from christmas.analysis.rules.rule import compile_rule  # noqa: PLC0415

    try:
        compile_rule(text, role=role)
    except RuleError as error:
        return [
            RuleFault(what=problem.message, offset=problem.column - 1, mend=problem.mend) for problem in error.problems
        ]
    return []


def check_builtin(name: str, parameters: Mapping[str, ParameterValue]) -> Mapping[str, str]:
    """What is wrong with a builtin's parameters, by name; under the empty name what belongs to none."""
    # Only where builtins are checked: they bring the execution layer with them.
    from christmas.execution.strategies.builtin import builtin_faults  # noqa: PLC0415

    return builtin_faults(name, parameters)
