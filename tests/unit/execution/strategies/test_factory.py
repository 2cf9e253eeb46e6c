from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from christmas.analysis.rules.rule import RuleError
from christmas.execution.strategies.base import StrategyError
from christmas.execution.strategies.factory import create_strategy
from christmas.execution.strategies.rules import RuleStrategy


def test_rules() -> None:
    strategy = create_strategy(entry="rsi(14) < 30", exit="position.profit > 1")
    assert isinstance(strategy, RuleStrategy)
    assert strategy.has_exit
    assert not create_strategy(entry="rsi(14) < 30").has_exit


def test_builtin() -> None:
    strategy = create_strategy(builtin="rsi-macd-bollinger", parameters={"rsi_period": 7})
    strategy_rules = [status.text for status in strategy.explain()]
    assert strategy_rules[0] == "rsi(7) < 30 and close < bollinger(20, 2).lower"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "exactly one of rules"),
        ({"entry": "close > 1", "builtin": "rsi-macd-bollinger"}, "exactly one of rules"),
        ({"builtin": "rsi-macd-bollinger", "exit": "close > 1"}, "an exit rule needs an entry rule"),
        ({"entry": "close > 1", "parameters": {"a": 1}}, "rules take no parameters"),
        ({"builtin": "rsi-macd-bollinger", "parameters": {"rsi_period": 0}}, "rsi_period must be from 2"),
        ({"class_name": "X"}, "exactly one of file, source and module"),
    ],
)
def test_what_does_not_go_together(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(StrategyError, match=message):
        create_strategy(**parts)


def test_a_wrong_rule_is_a_rule_error() -> None:
    with pytest.raises(RuleError, match="did you mean 'rsi'"):
        create_strategy(entry="rsy(14) < 30")
    with pytest.raises(RuleError, match="an entry is decided before"):
        create_strategy(entry="position.profit > 3")


def test_a_strategys_process_imports_no_numpy() -> None:
    code = (
        "import sys; from christmas.execution.strategies.factory import create_strategy;"
        "create_strategy(builtin='rsi-macd-bollinger');"
        "create_strategy(source='class A(Strategy): pass', class_name='A');"
        "print([name for name in sys.modules if name.split('.')[0] in ('numpy', 'yaml', 'click', 'rich')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
