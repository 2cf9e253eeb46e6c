"""The values are those of TA-Lib, the reference everyone else's indicators are held against."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import talib
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from talib._ta_lib import MA_Type

from christmas.analysis.arrays.bars import BarArrays
from christmas.analysis.arrays.registry import compute
from christmas.analysis.indicators.bar_floats import BarFloats
from christmas.analysis.indicators.registry import create
from tests.support.data import MINUTE_BARS
from tests.unit.analysis.indicators.markets import make_bars, minute_bars, run

RELATIVE = 1e-9


class Case(NamedTuple):
    """An indicator, its arguments, and TA-Lib's outputs under our names."""

    name: str
    arguments: dict[str, int | float]
    reference: Callable[[BarArrays], dict[str, Any]]
    scale: str
    """What 1e-9 is relative to: ``percent`` (0 to 100), ``price`` or ``value``."""


def _named(*names: str) -> Callable[[Any], dict[str, Any]]:
    return lambda columns: dict(zip(names, columns, strict=True))


CASES = [
    Case("rsi", {"period": 14}, lambda b: {"value": talib.RSI(b.close, 14)}, "percent"),
    Case("rsi", {"period": 2}, lambda b: {"value": talib.RSI(b.close, 2)}, "percent"),
    Case(
        "macd",
        {},
        lambda b: _named("line", "signal", "histogram")(talib.MACD(b.close, 12, 26, 9)),
        "price",
    ),
    Case(
        "macd",
        {"fast": 5, "slow": 6, "signal": 2},
        lambda b: _named("line", "signal", "histogram")(talib.MACD(b.close, 5, 6, 2)),
        "price",
    ),
    Case("bollinger", {}, lambda b: _named("upper", "middle", "lower")(talib.BBANDS(b.close, 20, 2.0, 2.0)), "price"),
    Case("sma", {"period": 20}, lambda b: {"value": talib.SMA(b.close, 20)}, "value"),
    Case("ema", {"period": 20}, lambda b: {"value": talib.EMA(b.close, 20)}, "value"),
    Case("wma", {"period": 20}, lambda b: {"value": talib.WMA(b.close, 20)}, "value"),
    Case("stddev", {"period": 20}, lambda b: {"value": talib.STDDEV(b.close, 20, 1.0)}, "price"),
    Case("atr", {"period": 14}, lambda b: {"value": talib.ATR(b.high, b.low, b.close, 14)}, "value"),
    Case("atr", {"period": 1}, lambda b: {"value": talib.ATR(b.high, b.low, b.close, 1)}, "price"),
    Case(
        "stochastic",
        {"period": 14, "smooth": 3, "signal": 3},
        lambda b: _named("k", "d")(talib.STOCH(b.high, b.low, b.close, 14, 3, MA_Type.SMA, 3, MA_Type.SMA)),
        "percent",
    ),
    Case("obv", {"period": 0}, lambda b: {"value": talib.OBV(b.close, b.volume)}, "value"),
    Case(
        "adx",
        {"period": 14},
        lambda b: {
            "value": talib.ADX(b.high, b.low, b.close, 14),
            "plus_di": talib.PLUS_DI(b.high, b.low, b.close, 14),
            "minus_di": talib.MINUS_DI(b.high, b.low, b.close, 14),
        },
        "percent",
    ),
    Case(
        "donchian",
        {"period": 20},
        lambda b: {
            "upper": talib.MAX(b.high, 20),
            "lower": talib.MIN(b.low, 20),
            "middle": talib.MIDPRICE(b.high, b.low, 20),
        },
        "value",
    ),
    Case("roc", {"period": 10}, lambda b: {"value": talib.ROC(b.close, 10)}, "percent"),
]
IDS = [f"{case.name}{tuple(case.arguments.values())}" for case in CASES]


def assert_like_talib(case: Case, bars: list[BarFloats]) -> None:
    columns = BarArrays.from_floats(bars)
    reference = case.reference(columns)
    floor = {"percent": 100.0, "price": float(np.max(columns.high)), "value": 0.0}[case.scale] * RELATIVE
    incremental = run(create(case.name, case.arguments), bars)
    arrays = compute(case.name, columns, case.arguments)
    first = create(case.name, case.arguments).warm_up - 1
    for output, expected in reference.items():
        for ours in (incremental[output], arrays[output]):
            np.testing.assert_allclose(ours[first:], expected[first:], rtol=RELATIVE, atol=floor, err_msg=output)
    main = reference[create(case.name, case.arguments).main if len(reference) > 1 else "value"]
    assert int(np.isnan(main).sum()) == first, "warm-up is TA-Lib's lookback + 1"


@pytest.mark.parametrize("case", CASES, ids=IDS)
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    regime=st.sampled_from(("walk", "trend", "spike")),
    increment=st.sampled_from((1e-4, 0.01, 1.0, 1e5)),
    base=st.sampled_from((2_000, 6_000_000)),
)
def test_values_are_those_of_talib(case: Case, seed: int, regime: Any, increment: float, base: int) -> None:
    bars = make_bars(seed, 150, regime=regime, increment=increment, base=base)
    # A price at its floor stands still, where RSI and Stochastic differ from TA-Lib on purpose.
    assume(min(bar.low for bar in bars) > 50 * increment)
    assert_like_talib(case, bars)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_values_on_recorded_minutes_are_those_of_talib(case: Case, shared_data: Path) -> None:
    assert_like_talib(case, minute_bars(shared_data / MINUTE_BARS)[:12_000])
