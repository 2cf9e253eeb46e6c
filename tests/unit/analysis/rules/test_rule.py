"""What a compiled rule knows about itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from christmas.analysis.rules.rule import canonical, compile_rule
from christmas.analysis.rules.text import use_text
from tests.unit.analysis.rules.generators import rule_texts


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("rsi()<30", "rsi(14) < 30"),
        ("rsi(period=14) < 30.0", "rsi(14) < 30"),
        ("macd(signal=9).histogram > 0", "macd(12, 26, 9).histogram > 0"),
        ("bollinger(20, 2.5).lower > close", "bollinger(20, 2.5).lower > close"),
        ("sma(volume, 20) < sma(20, source=volume)", "sma(20, source=volume) < sma(20, source=volume)"),
        ("ema(source=rsi(14), period=9) > 50", "ema(rsi(14), 9) > 50"),
        ("ema(close - open, 9) > 0", "ema(close - open, 9) > 0"),
        ("adx(14).value > 20", "adx(14) > 20"),
        ("close > 2 * 3 + 1", "close > 7"),
        ("close - (open - 1) > 0", "close - (open - 1) > 0"),
        ("(close - open) - 1 > 0", "close - open - 1 > 0"),
        ("close / (open * 2) > (high)", "close / (open * 2) > high"),
        ("(close - open) * 2 > -(low + 1)", "(close - open) * 2 > -(low + 1)"),
        ("(close - open)[2] > close[0]", "(close - open)[2] > close"),
        ("1 < close <= 2", "1 < close and close <= 2"),
        ("close > 1 or open > 1 and low > 1", "close > 1 or open > 1 and low > 1"),
        ("(close > 1 or open > 1) and low > 1", "(close > 1 or open > 1) and low > 1"),
        ("close > 1 and (open > 1 and low > 1)", "close > 1 and open > 1 and low > 1"),
        ("not (close > 1 or open == 1)", "close <= 1 and open != 1"),
        ("not not close > 1", "close > 1"),
        ("not close crosses above 1", "not close crosses above 1"),
        ("not (not close crosses above 1 and open >= 2)", "close crosses above 1 or open < 2"),
        ("- 1 < -close", "-1 < -close"),
        ("close > open\n  and\tlow > 1", "close > open and low > 1"),
    ],
)
def test_precedence_defaults_and_negation(text: str, spelled: str) -> None:
    assert canonical(compile_rule(text)) == spelled


@settings(max_examples=150, deadline=None)
@given(text=rule_texts())
def test_the_canonical_text_is_the_same_rule(text: str) -> None:
    rule = compile_rule(text)
    again = compile_rule(canonical(rule))
    assert canonical(again) == canonical(rule)
    assert (again.warm_up, again.stable_after, again.anchor) == (rule.warm_up, rule.stable_after, rule.anchor)


@pytest.mark.parametrize(
    ("text", "warm_up"),
    [
        ("close > 1", 1),
        ("close[3] > 1", 4),
        ("sma(5) > 1", 5),
        ("rsi(14) < 30", 15),
        ("rsi(14)[2] < 30", 17),
        ("rsi(14) crosses below 30", 16),
        ("ema(rsi(14), 9) > 50", 23),
        ("sma(close[2], 5) > sma(3)", 7),
        ("sma(5) > 1 or position.age > 3", 5),
    ],
)
def test_warm_up_counts_the_bars_of_everything_below(text: str, warm_up: int) -> None:
    assert compile_rule(text).warm_up == warm_up


def test_a_window_is_stable_when_warm_and_a_recursion_later() -> None:
    assert compile_rule("sma(sma(5), 4) > 1").stable_after == 8
    rule = compile_rule("ema(5) > 1")
    assert rule.stable_after > rule.warm_up


def test_an_indicator_is_computed_once_however_often_it_is_named() -> None:
    rule = compile_rule(
        "rsi() < 30 and rsi(14)[1] < rsi(period=14) and bollinger(20, 2).lower > close"
        " and bollinger().upper < high and ema(rsi(14), 9) > 1"
    )
    assert sorted(use_text(use) for use in rule.indicators) == ["bollinger(20, 2)", "ema(rsi(14), 9)", "rsi(14)"]


def test_a_source_comes_before_what_reads_it() -> None:
    rule = compile_rule("ema(sma(rsi(3), 4), 5) > 1")
    assert [use.name for use in rule.indicators] == ["rsi", "sma", "ema"]


def test_the_strongest_anchor_counts() -> None:
    assert compile_rule("close > 1").anchor == "none"
    assert compile_rule("vwap() > close").anchor == "session"
    assert compile_rule("vwap() > close and ema(obv(), 3) > 1").anchor == "start"
