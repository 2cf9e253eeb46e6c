"""What the rule language and the Strategy class build upon."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import pytest

from christmas.analysis.arrays.bars import BarArrays
from christmas.analysis.indicators.averages import SMA
from christmas.analysis.indicators.bar_floats import BarFloats
from christmas.analysis.indicators.base import Indicator
from christmas.analysis.indicators.oscillators import MACD, RSI, Stochastic
from christmas.analysis.indicators.parameters import ParameterError
from christmas.analysis.indicators.registry import create, registry
from christmas.analysis.indicators.volatility import BollingerBands
from christmas.market.bar import Bar
from tests.unit.analysis.indicators.markets import SMALL_ARGUMENTS, make_bars

BAR = Bar(
    symbol="BTC/USDT",
    start_us=5_000_000,
    end_us=10_000_000,
    open=Decimal("61837.63"),
    high=Decimal("61840.01"),
    low=Decimal("61830.00"),
    close=Decimal("61835.50"),
    lots=12,
    buy_lots=7,
    sell_lots=4,
    price_lots=Decimal("742026.00"),
    ticks=3,
)


def warm(indicator: Indicator, *values: float) -> Indicator:
    for value in values:
        indicator.update(value)
    return indicator


def test_a_bar_is_converted_once() -> None:
    floats = BarFloats.from_bar(BAR)
    assert floats == BarFloats(5_000_000, 10_000_000, 61837.63, 61840.01, 61830.0, 61835.5, 12.0, 7.0, 4.0, 742026.0)
    assert floats.typical == pytest.approx((61840.01 + 61830.0 + 61835.5) / 3)
    columns = BarArrays.from_bars([BAR])
    assert columns.close.tolist() == [61835.5]
    assert columns.start_us.tolist() == [5_000_000]
    assert columns.typical.tolist() == [floats.typical]


def test_a_series_indicator_reads_its_source() -> None:
    floats = BarFloats.from_bar(BAR)
    for source, expected in (("close", 61835.5), ("volume", 12.0), ("typical", floats.typical), ("sell_volume", 4.0)):
        average = create("sma", {"period": 1}, source)  # type: ignore[arg-type]
        average.update_bar(floats)
        assert average.value == expected


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(ParameterError, match="source must be one of open, high") as caught:
        SMA(3, source="median")  # type: ignore[arg-type]
    assert caught.value.parameter == "source"


def test_comparisons_are_false_until_warm() -> None:
    cold = SMA(2)
    bound = warm(SMA(1), 5.0)
    for other in (3, 3.0, Decimal(3), bound, None):
        assert not cold < other
        assert not cold <= other
        assert not cold > other
        assert not cold >= other
        assert cold != other
    assert not bound < cold
    assert not bound >= cold
    assert float(cold) != float(cold)


def test_a_warm_indicator_compares_by_value() -> None:
    average, higher = warm(SMA(1), 29.5), warm(SMA(1), 30.5)
    assert average < 30
    assert average <= 29.5
    assert average > Decimal("29.4")
    assert average >= 29
    assert average == 29.5
    assert average < higher
    assert Decimal("29.6") > average
    assert float(average) == 29.5
    # An output that is not warm is None.
    assert not average < BollingerBands(20).lower


def test_indicators_are_equal_only_to_themselves_and_can_be_keys() -> None:
    one, other = warm(SMA(1), 5.0), warm(SMA(1), 5.0)
    assert one != other
    assert one == one  # noqa: PLR0124 - its own equality is what is tested
    assert {one: 1, other: 2}[other] == 2


def test_an_indicator_does_not_compare_with_text() -> None:
    for comparison in ("__lt__", "__le__", "__gt__", "__ge__"):
        assert getattr(warm(SMA(1), 1.0), comparison)("30") is NotImplemented


@pytest.mark.parametrize("name", sorted(registry))
def test_declarations_are_complete(name: str) -> None:
    indicator = create(name, SMALL_ARGUMENTS[name])
    assert registry[name].name == name
    assert indicator.main in indicator.outputs
    assert indicator.source_kind in {"bar", "series"}
    assert indicator.arguments == SMALL_ARGUMENTS[name]
    assert all(indicator.output(output) is None for output in indicator.outputs)
    for parameter in indicator.parameters:
        assert parameter.minimum <= parameter.default <= parameter.maximum
        assert type(parameter.default) is parameter.type
    for bar in make_bars(1, 200):
        indicator.update_bar(bar)
    assert indicator.value == indicator.output(indicator.main)
    with pytest.raises(KeyError):
        indicator.output("reset")


@pytest.mark.parametrize("name", sorted(registry))
def test_constructors_have_the_declared_parameters_in_their_order(name: str) -> None:
    kind: type = registry[name]
    values = list(SMALL_ARGUMENTS[name].values())
    assert kind(*values).arguments == SMALL_ARGUMENTS[name]
    assert kind().arguments == {parameter.name: parameter.default for parameter in registry[name].parameters}


def test_labels_are_what_a_rule_writes() -> None:
    assert RSI(14).label == "rsi(14)"
    assert MACD(12, 26, 9).label == "macd(12, 26, 9)"
    assert BollingerBands(20, 2).label == "bollinger(20, 2)"
    assert BollingerBands(20, 2.5, source="typical").label == "bollinger(20, 2.5, source=typical)"
    assert repr(Stochastic(5)) == "<stochastic(5, 3, 3) = None>"


@pytest.mark.parametrize(
    ("positional", "named", "message", "parameter", "position"),
    [
        ((1,), {}, "rsi: period must be at least 2, not 1", "period", 0),
        ((14.5,), {}, "rsi: period must be a whole number, not 14.5", "period", 0),
        ((True,), {}, "rsi: period must be a number, not True", "period", 0),
        (("14",), {}, "rsi: period must be a number, not 14", "period", 0),
        ((float("inf"),), {}, "rsi: period must be a finite number, not inf", "period", 0),
        ((), {"period": 10_001}, "rsi: period must be at most 10000, not 10001", "period", None),
        ((14, 3), {}, "rsi takes at most 1 argument, not 2", None, 1),
        ((), {"length": 3}, "rsi has no parameter 'length'; it has period", "length", None),
        ((14,), {"period": 3}, "rsi: period is given twice", "period", None),
    ],
)
def test_faulty_arguments_are_named(
    positional: tuple[object, ...],
    named: dict[str, object],
    message: str,
    parameter: str | None,
    position: int | None,
) -> None:
    with pytest.raises(ParameterError) as caught:
        RSI.bind(positional, named)
    assert str(caught.value) == message
    assert (caught.value.parameter, caught.value.position) == (parameter, position)


def test_arguments_take_their_declared_types() -> None:
    bound = BollingerBands.bind((20.0, 2), {})
    assert bound == {"period": 20, "deviations": 2.0}
    assert [type(value) for value in bound.values()] == [int, float]
    assert MACD.bind((5,), {"slow": 9}) == {"fast": 5, "slow": 9, "signal": 9}


def test_macd_needs_a_slower_slow_average() -> None:
    with pytest.raises(ParameterError, match=r"slow must be more than fast \(26\), not 12") as caught:
        MACD.bind((26, 12), {})
    assert (caught.value.parameter, caught.value.position) == ("slow", 1)
    with pytest.raises(ParameterError) as by_default:
        MACD(fast=30)
    assert by_default.value.position is None


def test_unknown_indicators_are_key_errors() -> None:
    with pytest.raises(KeyError):
        create("rsx", {})


def test_a_runtime_does_not_load_numpy_for_indicators() -> None:
    program = "import sys; import christmas.analysis.indicators.registry; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
