"""Warm-up and memory are declared, and true: a restarted runtime decides as if it had never stopped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from christmas.analysis.indicators.bar_floats import BarFloats
from christmas.analysis.indicators.registry import create, registry
from tests.unit.analysis.indicators.markets import SMALL_ARGUMENTS, make_bars, run

RECURSIVE = {"adx", "atr", "ema", "keltner", "macd", "rsi"}
PERCENT_OUTPUTS = {"rsi", "adx"}


def wild_then_calm(seed: int, wild: int, calm: int) -> list[BarFloats]:
    """A history whose start moved 1,000 times as much as its end, at prices that do not drift away."""
    start = make_bars(seed, wild, regime="walk", base=100_000_000)
    middle = round(start[-1].close * 100)
    return [_scaled(bar, 1_000.0, start[0].close) for bar in start[:-1]] + make_bars(
        seed + 1, calm, regime="walk", base=middle
    )


def _scaled(bar: BarFloats, factor: float, center: float) -> BarFloats:
    def far(price: float) -> float:
        return center + (price - center) * factor

    return BarFloats(
        bar.start_us,
        bar.end_us,
        far(bar.open),
        far(bar.high),
        far(bar.low),
        far(bar.close),
        bar.volume,
        bar.buy_volume,
        bar.sell_volume,
        bar.notional,
    )


def scale(name: str, bars: list[BarFloats]) -> float:
    """What 1e-12 is relative to: 100 for an index of 0 to 100, the range for ranges, else the price."""
    if name in PERCENT_OUTPUTS:
        return 100.0
    if name == "atr":
        return max(bar.high - bar.low for bar in bars)
    return max(abs(bar.close) for bar in bars)


@pytest.mark.parametrize("name", sorted(registry))
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), default=st.booleans())
def test_outputs_are_first_defined_with_the_declared_input(name: str, seed: int, default: bool) -> None:
    indicator = create(name, {} if default else SMALL_ARGUMENTS[name])
    outputs = run(indicator, make_bars(seed, indicator.warm_up + 5))
    for column in outputs.values():
        assert int(np.isnan(column).sum()) == indicator.warm_up - 1
        assert not np.isnan(column[indicator.warm_up - 1 :]).any()


@pytest.mark.parametrize("name", sorted(registry))
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_lies_before_stable_after_changes_nothing(name: str, seed: int) -> None:
    arguments = SMALL_ARGUMENTS[name]
    declared = create(name, arguments).stable_after
    bars = wild_then_calm(seed, 60, declared + 40)
    calm = bars[-(declared + 40) :]
    whole = run(create(name, arguments), bars)
    restarted = run(create(name, arguments), calm)
    for output, column in whole.items():
        before = column[-41:]
        after = restarted[output][-41:]
        if name in RECURSIVE:
            np.testing.assert_allclose(after, before, rtol=0, atol=1e-12 * scale(name, calm), err_msg=output)
        else:
            np.testing.assert_array_equal(after, before, err_msg=output)


@pytest.mark.parametrize("name", sorted(RECURSIVE))
def test_a_quarter_of_stable_after_is_not_enough(name: str) -> None:
    """The bound is not idle: at a quarter of it the start of history still shows."""
    arguments = SMALL_ARGUMENTS[name]
    declared = create(name, arguments)
    enough = declared.warm_up + (declared.stable_after - declared.warm_up) // 4
    bars = wild_then_calm(3, 60, enough)
    whole = run(create(name, arguments), bars)
    restarted = run(create(name, arguments), bars[-enough:])
    differences = [abs(whole[output][-1] - restarted[output][-1]) for output in whole]
    assert max(differences) > 1e-12 * scale(name, bars[-enough:])


def test_a_windowed_indicator_is_stable_when_warm() -> None:
    for name, kind in registry.items():
        indicator = create(name, SMALL_ARGUMENTS[name])
        assert indicator.stable_after >= indicator.warm_up
        assert (indicator.stable_after > indicator.warm_up) == (name in RECURSIVE), kind


def test_the_session_vwap_needs_the_session_and_nothing_before() -> None:
    day = 86_400_000_000
    bars = [
        BarFloats(start, start + 60_000_000, *(float(100 + i % 7),) * 4, 10.0 + i % 5, 1.0, 2.0, 1000.0 + i)
        for i, start in enumerate(range(20_000 * day - 600_000_000, 20_000 * day + 600_000_000, 60_000_000))
    ]
    vwap = create("vwap", {})
    assert vwap.anchor == "session"
    whole = run(vwap, bars)["value"]
    today = [bar for bar in bars if bar.start_us >= 20_000 * day]
    np.testing.assert_array_equal(whole[-len(today) :], run(create("vwap", {}), today)["value"])
    assert whole[-len(today)] == today[0].notional / today[0].volume
    assert create("vwap", {"period": 5}).anchor == "none"


def test_only_the_differences_of_a_cumulative_obv_survive_a_restart() -> None:
    bars = make_bars(2, 200)
    obv = create("obv", {})
    assert obv.anchor == "start"
    whole, restarted = run(obv, bars)["value"][-100:], run(create("obv", {}), bars[-100:])["value"]
    assert whole[0] != restarted[0]
    np.testing.assert_array_equal(np.diff(whole), np.diff(restarted))
    assert create("obv", {"period": 5}).anchor == "none"


@pytest.mark.parametrize("name", sorted(registry))
def test_reset_and_fresh_forget_everything(name: str) -> None:
    bars = make_bars(9, 150)
    used = create(name, SMALL_ARGUMENTS[name])
    expected = run(used, bars)
    again = used.fresh()
    assert again is not used
    assert not again.is_warm
    assert again.arguments == used.arguments
    used.reset()
    assert not used.is_warm
    for indicator in (used, again):
        for output, column in run(indicator, bars).items():
            np.testing.assert_array_equal(column, expected[output])
