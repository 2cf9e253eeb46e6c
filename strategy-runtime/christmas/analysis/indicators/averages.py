"""Moving averages: simple, exponential and weighted."""

from __future__ import annotations

import math
from collections import deque
from operator import mul

from christmas.analysis.indicators.bar_floats import Source
from christmas.analysis.indicators.base import SeriesIndicator, inputs_to_forget
from christmas.analysis.indicators.parameters import period_parameter
from christmas.analysis.indicators.windows import mean


class SMA(SeriesIndicator):
    """The arithmetic mean of the last ``period`` inputs."""

    name = "sma"
    parameters = (period_parameter(20),)

    def __init__(self, period: int = 20, *, source: Source = "close") -> None:
        super().__init__({"period": period}, source)
        self._period = period
        self.warm_up = self.stable_after = period
        self.reset()

    def reset(self) -> None:
        self.value: float | None = None
        self._window: deque[float] = deque(maxlen=self._period)

    def update(self, value: float, /) -> None:
        window = self._window
        window.append(value)
        if len(window) == self._period:
            self.value = mean(window)


class EMA(SeriesIndicator):
    """The exponential average: each input moves it by 2 / (period + 1) of the distance.

    The seed is the mean of the first ``period`` inputs, as in TA-Lib.
    """

    name = "ema"
    parameters = (period_parameter(20),)

    def __init__(self, period: int = 20, *, source: Source = "close") -> None:
        super().__init__({"period": period}, source)
        self._period = period
        self._weight = 2.0 / (period + 1)
        self.warm_up = period
        self.stable_after = period + inputs_to_forget(1.0 - self._weight)
        self.reset()

    def reset(self) -> None:
        self.value: float | None = None
        self._seed: deque[float] = deque(maxlen=self._period)

    def update(self, value: float, /) -> None:
        average = self.value
        if average is not None:
            self.value = (value - average) * self._weight + average
            return
        seed = self._seed
        seed.append(value)
        if len(seed) == self._period:
            self.value = mean(seed)
            seed.clear()


class WMA(SeriesIndicator):
    """The mean of the last ``period`` inputs with weights 1, 2, ... period, the newest the heaviest."""

    name = "wma"
    parameters = (period_parameter(20),)

    def __init__(self, period: int = 20, *, source: Source = "close") -> None:
        super().__init__({"period": period}, source)
        self._period = period
        self._weights = tuple(float(weight) for weight in range(1, period + 1))
        self._total_weight = period * (period + 1) / 2.0
        self.warm_up = self.stable_after = period
        self.reset()

    def reset(self) -> None:
        self.value: float | None = None
        self._window: deque[float] = deque(maxlen=self._period)

    def update(self, value: float, /) -> None:
        window = self._window
        window.append(value)
        if len(window) < self._period:
            return
        result = math.fsum(map(mul, self._weights, window)) / self._total_weight
        # Equal inputs average to themselves, see windows.mean.
        if result != value and abs(result - value) <= 1e-13 * abs(value) and window.count(value) == self._period:
            result = value
        self.value = result
