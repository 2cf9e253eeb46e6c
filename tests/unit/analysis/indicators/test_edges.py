"""What the formulas leave open, decided and written down; and what rounding must not decide."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from christmas.analysis.arrays.bars import BarArrays
from christmas.analysis.arrays.registry import compute, compute_series
from christmas.analysis.indicators.averages import EMA, SMA, WMA
from christmas.analysis.indicators.bar_floats import BarFloats
from christmas.analysis.indicators.oscillators import MACD, ROC, RSI, Stochastic
from christmas.analysis.indicators.registry import create, registry
from christmas.analysis.indicators.trend import ADX
from christmas.analysis.indicators.volatility import BollingerBands, Donchian, Keltner, StandardDeviation, ZScore
from christmas.analysis.indicators.volume import OBV, VWAP, FlowImbalance, RelativeVolume
from tests.unit.analysis.indicators.markets import SMALL_ARGUMENTS, flat_bars, make_bars, run

prices = st.floats(1e-8, 1e12, allow_subnormal=False)


def bar(close: float, *, volume: float = 1.0, buys: float = 0.0, sells: float = 0.0, start_us: int = 0) -> BarFloats:
    return BarFloats(start_us, start_us + 1, close, close, close, close, volume, buys, sells, close * volume)


def test_rsi_of_a_market_that_stands_still_is_neutral() -> None:
    rsi = RSI(14)
    for _ in range(15):
        rsi.update(100.0)
    assert rsi.value == 50.0


def test_rsi_of_a_market_that_only_rises_is_100_and_of_one_that_only_falls_0() -> None:
    up, down = RSI(5), RSI(5)
    for step in range(10):
        up.update(100.0 + step)
        down.update(100.0 - step)
    assert up.value == 100.0
    assert down.value == 0.0


def test_rsi_forgets_its_last_move_in_a_market_that_stands_still_for_long() -> None:
    rsi = RSI(14)
    for price in [100.0] * 15 + [101.0] + [101.0] * (rsi.stable_after - 1):
        rsi.update(price)
    assert rsi.value == 50.0


def test_rsi_remembers_a_move_of_one_increment_for_a_while() -> None:
    """However low the price: what counts as no move is relative to it."""
    rsi = RSI(14)
    for price in [2e-13] * 15 + [2.1e-13]:
        rsi.update(price)
    assert rsi.value == 100.0


def test_a_stochastic_without_a_range_is_in_the_middle() -> None:
    stochastic = Stochastic(5, 3, 3)
    assert set(run(stochastic, flat_bars(20))["k"][8:].tolist()) == {50.0}
    assert stochastic.d == 50.0


def test_adx_of_a_market_that_stands_still_is_0() -> None:
    adx = ADX(5)
    run(adx, flat_bars(20))
    assert (adx.value, adx.plus_di, adx.minus_di) == (0.0, 0.0, 0.0)


@given(price=prices, period=st.integers(2, 60))
@example(price=0.1, period=49)
@settings(max_examples=200)
def test_averages_of_one_price_are_that_price_exactly(price: float, period: int) -> None:
    """Else a flat market crosses its own average by a rounding."""
    averages = [SMA(period), EMA(period), WMA(period), BollingerBands(period)]
    macd, deviation, score = MACD(period, period + 1, 3), StandardDeviation(period), ZScore(period)
    for _ in range(period + 5):
        for indicator in (*averages, macd, deviation, score):
            indicator.update(price)
    assert [average.value for average in averages] == [price] * 4
    assert (macd.line, macd.signal, macd.histogram) == (0.0, 0.0, 0.0)
    assert (deviation.value, score.value) == (0.0, 0.0)
    for name in ("sma", "wma", "ema"):
        column = compute_series(name, np.full(period + 3, price), {"period": period})["value"]
        assert set(column[period - 1 :].tolist()) == {price}


def test_bands_without_width_touch_the_price() -> None:
    bands = BollingerBands(4, 2.0)
    for _ in range(4):
        bands.update(0.1)
    assert (bands.lower, bands.upper, bands.width, bands.percent_b) == (0.1, 0.1, 0.0, 0.5)


@pytest.mark.parametrize("spike", [1e9, 1e15])
def test_nothing_is_left_of_a_spike_that_left_the_window(spike: float) -> None:
    """A running variance would be off by 1e2 here: (1e9)^2 leaves 16 digits behind."""
    values = [1.0 + index % 5 * 0.01 for index in range(20)]
    bands, average, weighted, deviation = BollingerBands(20, 2.0), SMA(20), WMA(20), StandardDeviation(20)
    for value in [1.0] * 10 + [spike] + values:
        for indicator in (bands, average, weighted, deviation):
            indicator.update(value)
    exact_mean = float(sum(map(Fraction, values)) / 20)
    exact_sigma = statistics.pstdev(map(Fraction, values))
    assert average.value == exact_mean
    assert bands.middle == exact_mean
    assert deviation.value == pytest.approx(exact_sigma, rel=1e-15)
    assert bands.lower == pytest.approx(exact_mean - 2 * exact_sigma, rel=1e-15)
    series = np.array([1.0] * 10 + [spike] + values)
    assert compute_series("sma", series, {"period": 20})["value"][-1] == exact_mean
    assert compute_series("stddev", series, {"period": 20})["value"][-1] == pytest.approx(exact_sigma, rel=1e-15)


@given(
    base=st.sampled_from((1e-8, 1.0, 60_000.0, 1e12)),
    steps=st.lists(st.integers(-1_000, 1_000), min_size=20, max_size=20),
    fineness=st.sampled_from((1e-3, 1e-6, 1e-8)),
)
@settings(max_examples=150)
def test_deviation_is_right_however_small_against_the_price(base: float, steps: list[int], fineness: float) -> None:
    values = [base * (1.0 + step * fineness) for step in steps]
    deviation = StandardDeviation(20)
    for value in values:
        deviation.update(value)
    exact = statistics.pstdev(map(Fraction, values))
    assert deviation.value == pytest.approx(exact, rel=1e-12)
    column = compute_series("stddev", np.array(values), {"period": 20})["value"]
    assert column[-1] == pytest.approx(exact, rel=1e-12)


@given(st.lists(prices, min_size=5, max_size=60))
@settings(max_examples=150)
def test_bounded_indicators_keep_their_bounds(closes: list[float]) -> None:
    bars = [bar(close, volume=index % 3, buys=index % 2, sells=(index + 1) % 2) for index, close in enumerate(closes)]
    for indicator in (RSI(3), Stochastic(3, 2, 2), ADX(2)):
        for column in run(indicator, bars).values():
            defined = column[~np.isnan(column)]
            assert ((defined >= 0.0) & (defined <= 100.0 + 1e-9)).all(), indicator
    flow = run(FlowImbalance(3), bars)["value"]
    assert (np.abs(flow[2:]) <= 1.0).all()
    relative = run(RelativeVolume(3), bars)["value"]
    assert ((relative[2:] >= 0.0) & (relative[2:] <= 3.0 + 1e-12)).all()


@given(st.lists(prices, min_size=3, max_size=60))
@settings(max_examples=100)
def test_channels_hold_what_they_are_made_of(closes: list[float]) -> None:
    donchian, average, weighted = Donchian(3), SMA(3), WMA(3)
    for index, close in enumerate(closes):
        for indicator in (donchian, average, weighted):
            indicator.update_bar(bar(close))
        if index < 2:
            continue
        window = closes[index - 2 : index + 1]
        assert (donchian.lower, donchian.upper) == (min(window), max(window))
        for mean in (average.value, weighted.value):
            assert mean is not None
            assert min(window) * (1 - 1e-15) <= mean <= max(window) * (1 + 1e-15)


def test_vwap_without_volume_is_the_close() -> None:
    for vwap in (VWAP(), VWAP(2)):
        vwap.update(bar(100.0, volume=0.0))
        vwap.update(bar(101.0, volume=0.0))
        assert (vwap.value, vwap.deviation) == (101.0, 0.0)


def test_vwap_weighs_prices_by_volume_and_starts_anew_at_midnight() -> None:
    vwap = VWAP()
    vwap.update(bar(100.0, volume=1.0))
    vwap.update(bar(104.0, volume=3.0))
    assert vwap.value == 103.0
    assert vwap.deviation == pytest.approx(100 * (104 / 103 - 1))
    vwap.update(bar(50.0, volume=2.0, start_us=86_400_000_000))
    assert vwap.value == 50.0


def test_rolling_vwap_forgets_what_left_its_window() -> None:
    vwap = VWAP(2)
    for close, volume in ((1e9, 1e9), (100.0, 1.0), (104.0, 3.0)):
        vwap.update(bar(close, volume=volume))
    assert vwap.value == 103.0


def test_flow_imbalance_counts_known_sides_only() -> None:
    flow = FlowImbalance(2)
    flow.update(bar(1.0, volume=100.0, buys=30.0, sells=10.0))
    assert not flow.is_warm
    flow.update(bar(1.0, volume=100.0, buys=0.0, sells=0.0))
    assert (flow.value, flow.delta) == (0.5, 20.0)
    flow.update(bar(1.0, volume=5.0))
    assert (flow.value, flow.delta) == (0.0, 0.0)


def test_relative_volume_without_any_volume_is_1() -> None:
    relative = RelativeVolume(2)
    for volume, expected in ((0.0, None), (0.0, 1.0), (8.0, 2.0), (8.0, 1.0), (0.0, 0.0)):
        relative.update(bar(1.0, volume=volume))
        assert relative.value == expected


def test_obv_counts_rising_volume_less_falling_volume() -> None:
    obv, rolling = OBV(), OBV(2)
    for close, volume in ((10.0, 5.0), (11.0, 3.0), (11.0, 9.0), (10.0, 4.0)):
        obv.update(bar(close, volume=volume))
        rolling.update(bar(close, volume=volume))
    assert obv.value == 5.0 + 3.0 - 4.0
    assert rolling.value == -4.0


def test_rate_of_change_from_zero_is_0() -> None:
    roc = ROC(1)
    roc.update(0.0)
    roc.update(5.0)
    assert roc.value == 0.0
    roc.update(6.0)
    assert roc.value == pytest.approx(20.0)
    assert compute_series("roc", np.array([0.0, 5.0, 6.0]), {"period": 1})["value"][1:] == pytest.approx([0.0, 20.0])


def test_keltner_is_an_average_and_true_ranges_around_it() -> None:
    keltner, average, atr = Keltner(6, 4, 1.5), EMA(6), create("atr", {"period": 4})
    for item in make_bars(4, 40):
        for indicator in (keltner, average, atr):
            indicator.update_bar(item)
    assert keltner.middle == average.value
    assert keltner.upper == float(average) + 1.5 * float(atr)
    assert keltner.lower == float(average) - 1.5 * float(atr)


@pytest.mark.parametrize("name", sorted(registry))
@pytest.mark.parametrize("length", [0, 1, 2])
def test_short_histories_have_no_values(name: str, length: int) -> None:
    bars = make_bars(1, length)
    indicator = create(name, {"period": 5} if "period" in SMALL_ARGUMENTS[name] else {})
    outputs = run(indicator, bars)
    assert not indicator.is_warm
    for output, column in compute(name, BarArrays.from_floats(bars), indicator.arguments).items():
        assert len(column) == length
        assert np.isnan(column).all()
        assert np.isnan(outputs[output]).all()


def test_macd_is_seeded_as_talib_seeds_it() -> None:
    """By hand: both averages begin at the slow period's last input."""
    macd = MACD(2, 3, 1)
    values = [1.0, 2.0, 6.0, 7.0]
    lines = []
    for value in values:
        macd.update(value)
        lines.append(macd.line)
    fast_seed, slow_seed = (2.0 + 6.0) / 2, (1.0 + 2.0 + 6.0) / 3
    fast, slow = fast_seed + (7.0 - fast_seed) * 2 / 3, slow_seed + (7.0 - slow_seed) * 2 / 4
    assert lines[:3] == [None, None, fast_seed - slow_seed]
    assert lines[3] == pytest.approx(fast - slow)
    assert math.isclose(float(macd), fast - slow)
