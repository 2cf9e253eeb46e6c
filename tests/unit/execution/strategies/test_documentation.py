"""docs/rules.md on strategies says what is so."""

from __future__ import annotations

import re
from pathlib import Path

from christmas.analysis.rules.text import number_text
from christmas.execution.strategies.builtin import PARAMETERS, RSI_MACD_BOLLINGER, builtin_rules
from christmas.execution.strategies.factory import create_strategy
from tests.unit.execution.strategies.market import run

PAGE = (Path(__file__).parents[4] / "docs" / "rules.md").read_text(encoding="utf-8")


def test_the_class_of_the_page_trades() -> None:
    [source] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    strategy = create_strategy(source=source, class_name="Scalper", parameters={"threshold": 25})
    found = run(strategy, [100 + index % 2 for index in range(30)] + [80])
    assert [signal.reason for signal in found[-1]] == ["oversold"]


def test_the_builtins_rules_and_parameters_are_those_of_the_page() -> None:
    for rule in builtin_rules(RSI_MACD_BOLLINGER):
        assert f"```rule\n{rule}\n```" in PAGE
    for parameter in PARAMETERS:
        [row] = [line for line in PAGE.splitlines() if line.startswith("| `") and f"`{parameter.name}`" in line]
        default = parameter.default
        shown = str(default).lower() if isinstance(default, bool | str) else number_text(default)
        assert shown in row.split("|")[2]
