"""What a strategy's own code needs, in one import: ``from christmas.execution.strategies.api import *``.

A class that is loaded from a file or from source text finds these names without importing them.
"""

from __future__ import annotations

from decimal import Decimal

from christmas.analysis.indicators.averages import EMA, SMA, WMA
from christmas.analysis.indicators.oscillators import MACD, ROC, RSI, Stochastic
from christmas.analysis.indicators.trend import ADX
from christmas.analysis.indicators.volatility import ATR, BollingerBands, Donchian, Keltner, StandardDeviation, ZScore
from christmas.analysis.indicators.volume import OBV, VWAP, FlowImbalance, RelativeVolume
from christmas.execution.order import Fill
from christmas.execution.strategies.base import Position, PositionView, Strategy
from christmas.market.bar import Bar
from christmas.market.tick import Tick

__all__ = [
    "ADX",
    "ATR",
    "EMA",
    "MACD",
    "OBV",
    "ROC",
    "RSI",
    "SMA",
    "VWAP",
    "WMA",
    "Bar",
    "BollingerBands",
    "Decimal",
    "Donchian",
    "Fill",
    "FlowImbalance",
    "Keltner",
    "Position",
    "PositionView",
    "RelativeVolume",
    "StandardDeviation",
    "Stochastic",
    "Strategy",
    "Tick",
    "ZScore",
]
