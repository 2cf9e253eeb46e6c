"""Every indicator by its name in the rule language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from christmas.analysis.indicators.averages import EMA, SMA, WMA
from christmas.analysis.indicators.bar_floats import Source
from christmas.analysis.indicators.base import Indicator, SeriesIndicator
from christmas.analysis.indicators.oscillators import MACD, ROC, RSI, Stochastic
from christmas.analysis.indicators.trend import ADX
from christmas.analysis.indicators.volatility import (
    ATR,
    BollingerBands,
    Donchian,
    Keltner,
    StandardDeviation,
    ZScore,
)
from christmas.analysis.indicators.volume import OBV, VWAP, FlowImbalance, RelativeVolume

registry: Final[dict[str, type[Indicator]]] = {
    kind.name: kind
    for kind in (
        ADX,
        ATR,
        BollingerBands,
        Donchian,
        EMA,
        FlowImbalance,
        Keltner,
        MACD,
        OBV,
        RelativeVolume,
        ROC,
        RSI,
        SMA,
        StandardDeviation,
        Stochastic,
        VWAP,
        WMA,
        ZScore,
    )
}


def create(name: str, arguments: Mapping[str, object], source: Source = "close") -> Indicator:
    """The indicator of that name; raises KeyError for an unknown name, ParameterError for a bad argument.

    ``source`` counts only for series indicators.
    """
    kind = registry[name]
    bound = kind.bind((), arguments)
    build = cast("Any", kind)
    if issubclass(kind, SeriesIndicator):
        return cast("Indicator", build(**bound, source=source))
    return cast("Indicator", build(**bound))
