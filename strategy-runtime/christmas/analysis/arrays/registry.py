"""Array indicators by their names in the rule language, with the arguments that the incremental ones take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import numpy as np

from christmas.analysis.arrays.averages import ema, sma, wma
from christmas.analysis.arrays.bars import BarArrays
from christmas.analysis.arrays.oscillators import macd, roc, rsi, stochastic
from christmas.analysis.arrays.rolling import FloatArray, floats, padded
from christmas.analysis.arrays.trend import adx
from christmas.analysis.arrays.volatility import atr, bollinger, donchian, keltner, stddev, zscore
from christmas.analysis.arrays.volume import flow_imbalance, obv, relative_volume, vwap
from christmas.analysis.indicators.bar_floats import Source
from christmas.analysis.indicators.registry import registry

_SERIES: Final[dict[str, Callable[..., Any]]] = {
    "bollinger": bollinger,
    "ema": ema,
    "macd": macd,
    "roc": roc,
    "rsi": rsi,
    "sma": sma,
    "stddev": stddev,
    "wma": wma,
    "zscore": zscore,
}

_BARS: Final[dict[str, tuple[Callable[..., Any], tuple[str, ...]]]] = {
    "adx": (adx, ("high", "low", "close")),
    "atr": (atr, ("high", "low", "close")),
    "donchian": (donchian, ("high", "low")),
    "flow_imbalance": (flow_imbalance, ("buy_volume", "sell_volume")),
    "keltner": (keltner, ("high", "low", "close")),
    "obv": (obv, ("close", "volume")),
    "relative_volume": (relative_volume, ("volume",)),
    "stochastic": (stochastic, ("high", "low", "close")),
    "vwap": (vwap, ("notional", "volume", "close", "start_us")),
}


def compute(
    name: str, bars: BarArrays, arguments: Mapping[str, object], source: Source = "close"
) -> dict[str, FloatArray]:
    """The outputs of that indicator by name, each as long as ``bars`` and nan before warm-up.

    Raises KeyError for an unknown name, ParameterError for a bad argument.
    """
    if name in _SERIES:
        return compute_series(name, getattr(bars, source), arguments)
    bound = registry[name].bind((), arguments)
    function, columns = _BARS[name]
    return _by_output(function(*(getattr(bars, column) for column in columns), **bound))


def compute_series(name: str, values: FloatArray, arguments: Mapping[str, object]) -> dict[str, FloatArray]:
    """The outputs of a series indicator over any series, such as another indicator's output.

    The series may begin with nan, as outputs do: the indicator begins behind that. Raises KeyError
    when no series indicator has that name, ParameterError for a bad argument.
    """
    function = _SERIES[name]
    bound = registry[name].bind((), arguments)
    series = floats(values)
    defined = np.flatnonzero(~np.isnan(series))
    begin = int(defined[0]) if len(defined) else len(series)
    outputs = _by_output(function(series[begin:], **bound))
    return {output: padded(len(series), column) for output, column in outputs.items()}


def _by_output(result: Any) -> dict[str, FloatArray]:
    if isinstance(result, np.ndarray):
        return {"value": result}
    return cast("dict[str, FloatArray]", result._asdict())
