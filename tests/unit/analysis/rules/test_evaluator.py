"""Rules bar by bar: warm-up, history, crossings, undefined values, positions, and what is missing to fire."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

import pytest

from christmas.analysis.indicators.bar_floats import BarFloats
from christmas.analysis.indicators.oscillators import RSI
from christmas.analysis.rules.evaluator import PositionTerms, RuleEvaluator, RuleGraph
from christmas.analysis.rules.rule import compile_rule
from christmas.market.bar import Bar
from tests.unit.analysis.rules.generators import random_bars


def bars_of(closes: Sequence[float], volumes: Sequence[float] | None = None) -> list[BarFloats]:
    return [
        BarFloats(
            start_us=index * 1_000_000,
            end_us=(index + 1) * 1_000_000,
            open=close,
            high=close,
            low=close,
            close=close,
            volume=volumes[index] if volumes else 1.0,
            buy_volume=0.0,
            sell_volume=0.0,
            notional=close,
        )
        for index, close in enumerate(closes)
    ]


def answers(text: str, closes: Sequence[float], volumes: Sequence[float] | None = None) -> list[bool | None]:
    evaluator = compile_rule(text).evaluator()
    found = []
    for bar in bars_of(closes, volumes):
        evaluator.update(bar)
        found.append(evaluator.holds)
    return found


def test_a_rule_neither_holds_nor_fails_before_everything_in_it_is_warm() -> None:
    assert answers("close > 0 or sma(3) > 100", [1, 1, 1, 1]) == [None, None, True, True]
    assert answers("not close > 5 and close[2] > 0", [1, 1, 1]) == [None, None, True]


def test_history_counts_bars() -> None:
    assert answers("close > close[2]", [1, 2, 3, 1, 1]) == [None, None, True, False, False]
    assert answers("close[0] == close", [1, 2]) == [True, True]


def test_a_crossing_is_from_at_or_below_to_above() -> None:
    above = answers("close crosses above 2", [1, 3, 2, 2, 3, 4, 1])
    assert above == [None, True, False, False, True, False, False]
    below = answers("close crosses below 2", [3, 1, 2, 2, 1, 0, 3])
    assert below == [None, True, False, False, True, False, False]
    assert answers("not close crosses above 2", [1, 3, 2, 2, 3]) == [None, False, True, True, False]


def test_two_series_cross_each_other() -> None:
    assert answers("close crosses above close[1]", [3, 2, 1, 2, 3]) == [None, None, False, True, False]


def test_chained_comparisons_and_arithmetic() -> None:
    assert answers("1 < close * 2 - 1 <= 5", [1, 2, 3, 4]) == [False, True, True, False]
    assert answers("max(close, 3) - min(close, 3) == abs(close - 3)", [1, 5]) == [True, True]


@pytest.mark.parametrize("comparison", ["> 0", "< 0", ">= 0", "<= 0", "== 0", "!= 0"])
@pytest.mark.parametrize("wrapper", ["{}", "not ({})", "not (not ({}))"])
@pytest.mark.parametrize(
    "number", ["close / volume", "-(close / volume)", "min(close / volume, 1)", "max(1, close / volume)"]
)
def test_a_division_by_zero_lets_no_comparison_hold(number: str, comparison: str, wrapper: str) -> None:
    assert answers(wrapper.format(f"{number} {comparison}"), [1], [0]) == [False]


def test_an_undefined_side_does_not_spoil_the_other_one() -> None:
    assert answers("close / volume > 0 or close > 0", [1], [0]) == [True]
    assert answers("not (close / volume > 0 and close > 5)", [1], [0]) == [True]


def test_a_crossing_needs_all_four_numbers() -> None:
    volumes = [1.0, 0.0, 1.0, 1.0]
    assert answers("close / volume crosses above 2", [1, 3, 3, 3], volumes) == [None, False, False, False]
    assert answers("not close / volume crosses above 2", [1, 3, 3, 3], volumes) == [None, False, False, True]


def test_an_indicator_goes_on_with_the_last_defined_value_of_its_series() -> None:
    closes, volumes = [4, 4, 8, 2], [2.0, 0.0, 2.0, 2.0]
    # close / volume: 2, undefined, 4, 1
    assert answers("sma(close / volume, 2) == 2", closes, volumes) == [None, True, False, False]
    assert answers("sma(close / volume, 2) == 3", closes, volumes) == [None, False, True, False]


def test_an_indicator_of_a_series_that_begins_undefined_starts_later() -> None:
    found = answers("sma(close / volume, 2) > 0", [4, 4, 8, 2], [0.0, 2.0, 2.0, 2.0])
    assert found == [None, False, True, True]


def test_an_indicators_value_is_the_indicators() -> None:
    evaluator = compile_rule("rsi(3) == rsi(3, source=close) and rsi(3) > 0").evaluator()
    indicator = RSI(3)
    for bar in random_bars(11):
        evaluator.update(bar)
        indicator.update(bar.close)
        [_, status] = evaluator.explain()
        if indicator.value is not None:
            assert float(status.value) == pytest.approx(indicator.value, rel=1e-5)
    assert indicator.value is not None


def test_a_bar_in_decimals_is_taken_too() -> None:
    bar = Bar(
        symbol="BTC/USDT",
        start_us=0,
        end_us=1_000_000,
        open=Decimal("1.5"),
        high=Decimal(3),
        low=Decimal(1),
        close=Decimal(2),
        lots=7,
        buy_lots=4,
        sell_lots=3,
        price_lots=Decimal(14),
        ticks=2,
    )
    text = "open == 1.5 and high == 3 and low == 1 and close == 2 and typical == 2 and volume == 7"
    evaluator = compile_rule(f"{text} and buy_volume == 4 and sell_volume == 3 and vwap() == 2").evaluator()
    evaluator.update(bar)
    assert evaluator.holds is True


def test_rules_of_one_graph_move_on_together() -> None:
    entry, leave = compile_rule("sma(2) > 2"), compile_rule("sma(2) < 2")
    graph = RuleGraph([entry, leave])
    first, second = RuleEvaluator(entry, graph), RuleEvaluator(leave, graph)
    for bar in bars_of([1, 1]):
        graph.update(bar)
    assert (first.holds, second.holds) == (False, True)
    first.update(bars_of([9])[0])
    assert (first.holds, second.holds) == (True, False)


def test_a_position_is_asked_about_at_each_call() -> None:
    evaluator = compile_rule("position.profit > 0.5 or position.age >= 60 and close > 1").evaluator()
    evaluator.update(bars_of([2])[0])
    assert evaluator.holds_for(PositionTerms(profit=0.6, age=0)) is True
    assert evaluator.holds_for(PositionTerms(profit=0.5, age=59.9)) is False
    assert evaluator.holds_for(PositionTerms(profit=math.nan, age=60)) is True
    assert evaluator.holds is False


def test_arithmetic_with_a_position() -> None:
    evaluator = compile_rule("max(position.profit * 2, 1) + close > 4").evaluator()
    evaluator.update(bars_of([2])[0])
    assert evaluator.holds_for(PositionTerms(profit=1.1, age=0)) is True
    assert evaluator.holds_for(PositionTerms(profit=1.0, age=0)) is False


# --- explanations ----------------------------------------------------------------------------


def explained(text: str, closes: Sequence[float], volumes: Sequence[float] | None = None) -> list[tuple[str, ...]]:
    evaluator = compile_rule(text).evaluator()
    for bar in bars_of(closes, volumes):
        evaluator.update(bar)
    return [(status.text, status.value, status.needs, str(status.holds)) for status in evaluator.explain()]


def test_a_comparison_tells_its_value_and_what_it_needs() -> None:
    assert explained("close < 30", [41.25]) == [("close < 30", "41.25", "< 30", "False")]
    assert explained("30 > close", [41.25]) == [("30 > close", "41.25", "< 30", "False")]
    assert explained("close[1] <= close", [3, 2]) == [("close[1] <= close", "3", "<= 2", "False")]
    assert explained("not close > 3", [2]) == [("close <= 3", "2", "<= 3", "True")]


def test_a_crossing_tells_both_bars() -> None:
    text = "close crosses above 0"
    assert explained(text, [-1.2, -0.3]) == [(text, "-1.2 -> -0.3", "was <= 0 and now > 0", "False")]
    assert explained(text, [-1.2, 0.3]) == [(text, "-1.2 -> 0.3", "was <= 0 and now > 0", "True")]
    text = "close crosses below close[1]"
    assert explained(text, [1, 2, 1]) == [(text, "2 -> 1", "was >= 1 and now < 2", "True")]
    text = "not close crosses above 0"
    assert explained(text, [-1, 1]) == [(text, "-1 -> 1", "not (was <= 0 and now > 0)", "False")]


def test_what_is_not_known_yet_and_what_is_undefined() -> None:
    assert explained("sma(3) > 1 and close > sma(3)", [1]) == [
        ("sma(3) > 1", "warming up", "> 1", "False"),
        ("close > sma(3)", "1", "> sma(3)", "False"),
    ]
    assert explained("close / volume > 1", [1], [0]) == [("close / volume > 1", "undefined", "> 1", "False")]


def test_numbers_that_differ_never_look_alike() -> None:
    [(_, value, needs, _)] = explained("close < close[1]", [60000.12345678, 60000.12345679])
    assert value == "60000.12345679"
    assert needs == "< 60000.12345678"
    assert explained("close < 1", [12345678.9])[0][1] == "12345700"
    assert explained("close < 1", [0.00001234])[0][1] == "0.00001234"


def test_every_comparison_is_told_in_the_rules_order() -> None:
    found = explained("(close > 1 or 1 < close < 5) and not (close == 2 or close crosses above 1)", [1, 2])
    assert [(text, holds) for text, _, _, holds in found] == [
        ("close > 1", "True"),
        ("1 < close", "True"),
        ("close < 5", "True"),
        ("close != 2", "False"),
        ("not close crosses above 1", "False"),
    ]
