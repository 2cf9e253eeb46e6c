"""The rule compiler as validation sees it: what is wrong, and at which character."""

from __future__ import annotations

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
