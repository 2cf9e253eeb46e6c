from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from christmas.analysis.arrays.bars import BarArrays
from christmas.analysis.rules.arrays import evaluate_arrays
from christmas.analysis.rules.rule import compile_rule
from tests.unit.analysis.rules.generators import random_bars, rule_texts


@settings(max_examples=200, deadline=None)
@example(text="sma((close / (high - low)), 3) > 1 or not (close / volume >= 1)", seed=3)
@example(text="not (open crosses below close) and ema((volume / sell_volume)[2], 3) != 1", seed=4)
@given(text=rule_texts(), seed=st.integers(0, 10_000))
def test_bar_by_bar_and_over_arrays_a_rule_says_the_same(text: str, seed: int) -> None:
    rule = compile_rule(text)
    bars = random_bars(seed)
    evaluator = rule.evaluator()
    one_by_one = []
    for bar in bars:
        evaluator.update(bar)
        one_by_one.append(evaluator.holds)
    assert one_by_one[: rule.warm_up - 1] == [None] * min(len(bars), rule.warm_up - 1)
    assert evaluate_arrays(rule, BarArrays.from_floats(bars)).tolist() == [holds is True for holds in one_by_one]


@settings(max_examples=50, deadline=None)
@given(text=rule_texts(), seed=st.integers(0, 10_000), cut=st.integers(0, 60))
def test_what_comes_later_changes_nothing_before(text: str, seed: int, cut: int) -> None:
    rule = compile_rule(text)
    bars = random_bars(seed)
    whole = evaluate_arrays(rule, BarArrays.from_floats(bars))
    part = evaluate_arrays(rule, BarArrays.from_floats(bars[:cut]))
    assert part.tolist() == whole[:cut].tolist()


def test_columns_may_be_a_mapping() -> None:
    arrays = BarArrays.from_floats(random_bars(7))
    rule = compile_rule("rsi(3) < 50 or vwap() > close")
    expected = evaluate_arrays(rule, arrays)
    assert expected.any()
    assert not expected.all()
    assert evaluate_arrays(rule, arrays._asdict()).tolist() == expected.tolist()


def test_missing_and_uneven_columns_are_named() -> None:
    columns = BarArrays.from_floats(random_bars(7))._asdict()
    rule = compile_rule("close > 1")
    with pytest.raises(ValueError, match="columns are missing: volume, notional"):
        evaluate_arrays(rule, {name: columns[name] for name in columns if name not in {"volume", "notional"}})
    with pytest.raises(ValueError, match=r"columns differ in length: \[3, 60\]"):
        evaluate_arrays(rule, columns | {"open": np.zeros(3)})


def test_a_rule_on_positions_has_no_array_form() -> None:
    with pytest.raises(ValueError, match="looks at positions"):
        evaluate_arrays(compile_rule("position.profit > 1"), BarArrays.from_floats(random_bars(7)))


def test_no_bars_give_no_answers() -> None:
    rule = compile_rule("sma((close / volume), 3) > 1 and close crosses above open")
    assert evaluate_arrays(rule, BarArrays.from_floats([])).tolist() == []
