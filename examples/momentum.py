"""Buys when the price has just risen quickly and buyers were behind it."""

from christmas.analysis.indicators.averages import EMA
from christmas.analysis.indicators.oscillators import ROC
from christmas.analysis.indicators.volume import FlowImbalance
from christmas.execution.strategies.base import Strategy


class Momentum(Strategy):
    lookback = 5
    threshold = 0.02  # percent

    def on_start(self):
        self.change = ROC(self.lookback)
        self.flow = FlowImbalance(self.lookback)
        self.trend = EMA(20)

    def on_bar(self, bar):
        if self.position.is_flat and self.change > self.threshold and self.flow > 0 and bar.close > self.trend:
            self.buy(reason="quick rise with buyers behind it")
