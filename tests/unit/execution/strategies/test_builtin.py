from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from christmas.analysis.indicators.parameters import ParameterError
from christmas.analysis.rules.rule import canonical, compile_rule
from christmas.execution.strategies.builtin import (
    PARAMETERS,
    RSI_MACD_BOLLINGER,
    builtin_faults,
    builtin_rules,
    builtin_strategy,
)
from christmas.execution.strategies.parameters import ParameterValue
from tests.unit.execution.strategies.market import run


def test_the_default_rules() -> None:
    assert builtin_rules(RSI_MACD_BOLLINGER) == (
        "rsi(14) < 30 and close < bollinger(20, 2).lower",
        "rsi(14) > 60 or macd(12, 26, 9).histogram crosses below 0",
    )


def test_every_parameter_shows_in_the_rules() -> None:
    given: dict[str, ParameterValue] = {
        "rsi_period": 7,
        "rsi_entry": 35,
        "rsi_exit": 55.5,
        "bollinger_period": 15,
        "bollinger_deviations": 1.5,
        "macd_fast": 5,
        "macd_slow": 13,
        "macd_signal": 4,
        "macd_filter": True,
        "macd_exit": "above",
    }
    assert set(given) == {parameter.name for parameter in PARAMETERS}
    assert builtin_rules(RSI_MACD_BOLLINGER, given) == (
        "rsi(7) < 35 and close < bollinger(15, 1.5).lower and macd(5, 13, 4).histogram > macd(5, 13, 4).histogram[1]",
        "rsi(7) > 55.5 or macd(5, 13, 4).histogram crosses above 0",
    )
    assert builtin_rules(RSI_MACD_BOLLINGER, {"macd_exit": "none"}).exit == "rsi(14) > 60"


@pytest.mark.parametrize(
    ("parameters", "at", "message"),
    [
        ({"rsi_perod": 3}, "rsi_perod", "did you mean 'rsi_period'?"),
        ({"rsi_period": 1}, "rsi_period", "rsi_period must be from 2 to 10000, not 1"),
        ({"rsi_period": 14.5}, "rsi_period", "rsi_period must be a whole number"),
        ({"rsi_entry": "30"}, "rsi_entry", "rsi_entry must be a number"),
        ({"rsi_entry": float("nan")}, "rsi_entry", "must be from 0 to 100"),
        ({"macd_exit": "sideways"}, "macd_exit", "must be one of below, above, none, not 'sideways'"),
        ({"macd_fast": 26}, "macd_slow", "macd_slow must be more than macd_fast (26), not 26"),
    ],
)
def test_a_bad_parameter_is_named(parameters: dict[str, int | float | str], at: str, message: str) -> None:
    faults = builtin_faults(RSI_MACD_BOLLINGER, parameters)
    assert list(faults) == [at]
    assert message in faults[at]
    with pytest.raises(ParameterError) as caught:
        builtin_rules(RSI_MACD_BOLLINGER, parameters)
    assert message in str(caught.value)


def test_all_faults_are_told() -> None:
    assert set(builtin_faults(RSI_MACD_BOLLINGER, {"rsi_period": 1, "macd_exit": "no", "x": 1})) == {
        "rsi_period",
        "macd_exit",
        "x",
    }


def test_an_unknown_builtin() -> None:
    assert list(builtin_faults("rsi")) == [""]
    with pytest.raises(ParameterError, match="there is no builtin 'rsi-macd'"):
        builtin_strategy("rsi-macd")


def values(name: str) -> st.SearchStrategy[int | float | str | bool]:
    [parameter] = [parameter for parameter in PARAMETERS if parameter.name == name]
    if parameter.choices:
        return st.sampled_from(parameter.choices)
    if isinstance(parameter.default, bool):
        return st.booleans()
    assert parameter.minimum is not None
    assert parameter.maximum is not None
    if isinstance(parameter.default, int):
        return st.integers(int(parameter.minimum), int(parameter.maximum))
    return st.floats(parameter.minimum, parameter.maximum)


@settings(max_examples=100, deadline=None)
@given(st.fixed_dictionaries({}, optional={parameter.name: values(parameter.name) for parameter in PARAMETERS}))
def test_parameters_without_a_fault_always_give_rules_that_compile(
    parameters: dict[str, int | float | str | bool],
) -> None:
    if builtin_faults(RSI_MACD_BOLLINGER, parameters):
        assert parameters.get("macd_slow", 26) <= parameters.get("macd_fast", 12)  # type: ignore[operator]
        return
    for rule in builtin_rules(RSI_MACD_BOLLINGER, parameters):
        assert canonical(compile_rule(rule))


def test_it_trades_and_explains_itself() -> None:
    strategy = builtin_strategy(RSI_MACD_BOLLINGER, {"rsi_period": 3, "bollinger_period": 4, "bollinger_deviations": 1})
    closes = [100.0 + (index % 2) for index in range(40)] + [90.0]
    found = run(strategy, closes)
    [signal] = found[-1]
    assert signal.kind == "entry"
    assert signal.reason.startswith("entry: rsi(3) < 30 (")
    assert [status.holds for status in strategy.explain()] == [True, True]
    [crossing] = [term for term in strategy.explain()[1].terms if "crosses below" in term.text]
    assert crossing.holds
