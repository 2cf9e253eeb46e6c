"""docs/rules.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from christmas.analysis.indicators.registry import registry
from christmas.analysis.rules.rule import RuleError, canonical, compile_rule

PAGE = (Path(__file__).parents[4] / "docs" / "rules.md").read_text(encoding="utf-8")
INDICATORS = PAGE.partition("### Indicators")[2].partition("###")[0]
RULES = re.findall(r"```rule\n(.*?)```", PAGE, re.DOTALL)


def test_there_are_examples() -> None:
    assert len(RULES) >= 6


@pytest.mark.parametrize("text", RULES)
def test_every_example_is_a_rule(text: str) -> None:
    assert compile_rule(text).warm_up >= 1


@pytest.mark.parametrize("name", sorted(registry))
def test_every_indicator_is_listed_with_its_defaults_and_outputs(name: str) -> None:
    kind = registry[name]
    rows = [line for line in INDICATORS.splitlines() if line.startswith("| `") and f"`{name}(" in line]
    assert len(rows) == 1
    calls, reads, outputs = (cell.strip() for cell in rows[0].split("|")[1:4])
    [call] = [part for part in calls.split("`") if part.startswith(f"{name}(")]
    expected = [] if kind.outputs == ("value",) else list(kind.outputs)
    assert re.findall(r"`(\w+)`", outputs) == expected
    assert reads == {"series": "a series", "bar": "bars"}[kind.source_kind]
    suffix = "" if "value" in kind.outputs else f".{kind.outputs[0]}"
    as_documented = compile_rule(f"{call}{suffix} > 1")
    by_default = compile_rule(f"{name}(){suffix} > 1")
    assert canonical(as_documented) == canonical(by_default) == f"{call}{suffix} > 1"


def test_the_example_of_an_error_is_what_is_said() -> None:
    with pytest.raises(RuleError) as caught:
        compile_rule("rsy(14) < 30 and bollinger(20, 2) < close")
    assert f"```\n{caught.value}\n```" in PAGE
