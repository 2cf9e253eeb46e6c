"""The incremental and the array forms are one formula: a backtest decides as the live engine does."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from christmas.analysis.arrays.bars import BarArrays
from christmas.analysis.arrays.registry import compute, compute_series
from christmas.analysis.arrays.rolling import FloatArray
from christmas.analysis.indicators.bar_floats import SOURCES, BarFloats, Source
from christmas.analysis.indicators.registry import create, registry
from tests.support.data import MINUTE_BARS
from tests.unit.analysis.indicators.markets import SMALL_ARGUMENTS, bar_series, flat_bars, make_bars, minute_bars, run

# Everything but what is divided by, or made of, a standard deviation is the same to the last bit.
ROUNDED_TWICE = {"bollinger", "stddev", "zscore"}


def assert_same(name: str, arguments: dict[str, int | float], bars: list[BarFloats], source: Source = "close") -> None:
    expected = run(create(name, arguments, source), bars)
    actual = compute(name, BarArrays.from_floats(bars), arguments, source)
    assert actual.keys() == expected.keys()
    for output, column in expected.items():
        assert len(actual[output]) == len(bars)
        if name in ROUNDED_TWICE:
            # A %b of 0 is a difference of halves: its scale is 1.
            floor = 1e-12 if output == "percent_b" else 0.0
            np.testing.assert_allclose(actual[output], column, rtol=1e-12, atol=floor, err_msg=output)
        else:
            np.testing.assert_array_equal(actual[output], column, err_msg=output)


@pytest.mark.parametrize("name", sorted(registry))
@settings(max_examples=60, deadline=None)
@given(bars=bar_series())
def test_array_form_equals_incremental_form(name: str, bars: list[BarFloats]) -> None:
    assert_same(name, SMALL_ARGUMENTS[name], bars)


@pytest.mark.parametrize("name", sorted(registry))
def test_forms_agree_with_default_parameters_over_several_sessions(name: str) -> None:
    bars = make_bars(7, 2_000, regime="quiet")
    stretched = [
        BarFloats(bar.start_us + i * 120_000_000, bar.end_us + i * 120_000_000, *_numbers(bar))
        for i, bar in enumerate(bars)
    ]
    assert_same(name, {}, stretched)


@pytest.mark.parametrize("name", sorted(registry))
def test_forms_agree_on_recorded_minutes(name: str, shared_data: Path) -> None:
    assert_same(name, {}, minute_bars(shared_data / MINUTE_BARS)[:12_000])


@pytest.mark.parametrize("name", ["obv", "vwap"])
@given(bars=bar_series())
@settings(max_examples=40, deadline=None)
def test_cumulative_forms_agree(name: str, bars: list[BarFloats]) -> None:
    assert_same(name, {"period": 0}, bars)


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_reaches_both_forms(source: Source) -> None:
    assert_same("sma", {"period": 3}, make_bars(3, 40), source)


@pytest.mark.parametrize("name", sorted(registry))
def test_forms_agree_when_the_market_stands_still(name: str) -> None:
    assert_same(name, SMALL_ARGUMENTS[name], flat_bars(60))


@given(
    st.lists(st.integers(-(10**11), 10**11), max_size=80),
    st.sampled_from((1e-10, 0.01, 1.0)),
    st.integers(1, 30),
)
@settings(max_examples=150, deadline=None)
def test_averages_of_any_prices_are_the_same_to_the_last_bit(counts: list[int], unit: float, period: int) -> None:
    for name in ("sma", "wma", "ema"):
        expected, actual = both_averages(name, [count * unit for count in counts], period)
        np.testing.assert_array_equal(actual, expected)


@given(st.lists(st.floats(-1e12, 1e12), max_size=80), st.integers(1, 30))
@settings(max_examples=150, deadline=None)
def test_averages_of_any_numbers_differ_by_a_rounding_at_most(values: list[float], period: int) -> None:
    """Where a window spans more than 1e12 : 1, even 106 bits do not hold the sum."""
    for name in ("sma", "wma", "ema"):
        expected, actual = both_averages(name, values, period)
        largest = max(map(abs, values), default=0.0)
        np.testing.assert_allclose(actual, expected, rtol=1e-15, atol=1e-31 * largest)


def both_averages(name: str, values: list[float], period: int) -> tuple[list[float], FloatArray]:
    indicator = create(name, {"period": period})
    expected = []
    for value in values:
        indicator.update(value)
        expected.append(float(indicator))
    return expected, compute_series(name, np.array(values), {"period": period})["value"]


@pytest.mark.parametrize("period", [1, 1_023, 1_024, 5_000, 10_000])
def test_windows_longer_than_a_chunk_and_series_of_many_chunks_agree(period: int) -> None:
    closes = [bar.close for bar in make_bars(11, 30_000)]
    actual = compute_series("sma", np.array(closes), {"period": period})["value"]
    assert int(np.isnan(actual).sum()) == period - 1
    for end in range(period, len(closes) + 1, 997):
        assert actual[end - 1] == math.fsum(closes[end - period : end]) / period


def test_a_series_may_begin_with_nan() -> None:
    bars = make_bars(5, 60)
    inner, outer = create("rsi", {"period": 6}), create("sma", {"period": 4})
    expected = []
    for bar in bars:
        inner.update_bar(bar)
        if inner.value is not None:
            outer.update(inner.value)
        expected.append(float(outer))
    rsi = compute("rsi", BarArrays.from_floats(bars), {"period": 6})["value"]
    np.testing.assert_array_equal(compute_series("sma", rsi, {"period": 4})["value"], np.array(expected))


def test_a_series_of_nothing_but_nan_has_no_values() -> None:
    assert np.isnan(compute_series("rsi", np.full(30, np.nan), {})["value"]).all()


def _numbers(bar: BarFloats) -> tuple[float, ...]:
    return (
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
        bar.buy_volume,
        bar.sell_volume,
        bar.notional,
    )
