"""How far prices move: deviation, true range, and the bands made of them."""

from __future__ import annotations

from collections import deque

from christmas.analysis.indicators.averages import EMA
from christmas.analysis.indicators.bar_floats import BarFloats, Source
from christmas.analysis.indicators.base import BarIndicator, SeriesIndicator, inputs_to_forget
from christmas.analysis.indicators.parameters import Parameter, period_parameter
from christmas.analysis.indicators.windows import HighestLowest, mean, mean_and_deviation


class StandardDeviation(SeriesIndicator):
    """The population standard deviation of the last ``period`` inputs."""

    name = "stddev"
    parameters = (period_parameter(20, minimum=2),)

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
            self.value = mean_and_deviation(window)[1]


class ZScore(SeriesIndicator):
    """How many population standard deviations the input lies above the mean of ``period`` inputs.

    0 when all of them are equal.
    """

    name = "zscore"
    parameters = (period_parameter(20, minimum=2),)

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
            middle, deviation = mean_and_deviation(window)
            self.value = (value - middle) / deviation if deviation > 0.0 else 0.0


class BollingerBands(SeriesIndicator):
    """The mean of ``period`` inputs, and ``deviations`` population standard deviations around it.

    ``width`` is (upper - lower) / middle, 0 when middle is 0; ``percent_b`` is (input - lower) /
    (upper - lower), 0.5 when the bands have no width.
    """

    name = "bollinger"
    outputs = ("lower", "middle", "upper", "width", "percent_b")
    main = "middle"
    parameters = (period_parameter(20, minimum=2), Parameter("deviations", float, 2.0, 0.01, 100.0))

    def __init__(self, period: int = 20, deviations: float = 2.0, *, source: Source = "close") -> None:
        super().__init__({"period": period, "deviations": deviations}, source)
        self._period = period
        self._deviations = float(deviations)
        self.warm_up = self.stable_after = period
        self.reset()

    def reset(self) -> None:
        self.value: float | None = None
        self.lower: float | None = None
        self.middle: float | None = None
        self.upper: float | None = None
        self.width: float | None = None
        self.percent_b: float | None = None
        self._window: deque[float] = deque(maxlen=self._period)

    def update(self, value: float, /) -> None:
        window = self._window
        window.append(value)
        if len(window) < self._period:
            return
        middle, deviation = mean_and_deviation(window)
        reach = self._deviations * deviation
        self.value = self.middle = middle
        self.lower = middle - reach
        self.upper = middle + reach
        # Of the reach, not of upper - lower: that difference of prices would lose half its digits.
        self.width = 2.0 * reach / middle if middle != 0.0 else 0.0
        self.percent_b = 0.5 + (value - middle) / (2.0 * reach) if reach > 0.0 else 0.5


class ATR(BarIndicator):
    """Wilder's average true range, in quote currency, seeded with the mean of the first ``period``.

    A true range needs the close before, so the first bar has none, as in TA-Lib.
    """

    name = "atr"
    parameters = (period_parameter(14),)

    def __init__(self, period: int = 14) -> None:
        super().__init__({"period": period})
        self._period = period
        self.warm_up = period + 1
        self.stable_after = self.warm_up + inputs_to_forget(1.0 - 1.0 / period)
        self.reset()

    def reset(self) -> None:
        self.value: float | None = None
        self._previous_close: float | None = None
        self._seed: deque[float] = deque(maxlen=self._period)

    def update(self, bar: BarFloats, /) -> None:
        previous = self._previous_close
        self._previous_close = bar.close
        if previous is None:
            return
        high = bar.high
        low = bar.low
        true_range = max(high, previous) - min(low, previous)
        average = self.value
        if average is not None:
            self.value = (average * (self._period - 1) + true_range) / self._period
            return
        seed = self._seed
        seed.append(true_range)
        if len(seed) == self._period:
            self.value = mean(seed)
            seed.clear()


class Keltner(BarIndicator):
    """Keltner's channel as Linda Raschke draws it: an EMA of the close and ``multiplier`` ATRs around it."""

    name = "keltner"
    outputs = ("lower", "middle", "upper")
    main = "middle"
    parameters = (
        period_parameter(20),
        period_parameter(10, name="atr_period"),
        Parameter("multiplier", float, 2.0, 0.01, 100.0),
    )

    def __init__(self, period: int = 20, atr_period: int = 10, multiplier: float = 2.0) -> None:
        super().__init__({"period": period, "atr_period": atr_period, "multiplier": multiplier})
        self._multiplier = float(multiplier)
        self._average = EMA(period)
        self._range = ATR(atr_period)
        self.warm_up = max(self._average.warm_up, self._range.warm_up)
        self.stable_after = max(self._average.stable_after, self._range.stable_after)
        self.reset()

    def reset(self) -> None:
        self.value: float | None = None
        self.lower: float | None = None
        self.middle: float | None = None
        self.upper: float | None = None
        self._average.reset()
        self._range.reset()

    def update(self, bar: BarFloats, /) -> None:
        self._average.update(bar.close)
        self._range.update(bar)
        middle = self._average.value
        true_range = self._range.value
        if middle is None or true_range is None:
            return
        reach = self._multiplier * true_range
        self.value = self.middle = middle
        self.lower = middle - reach
        self.upper = middle + reach


class Donchian(BarIndicator):
    """Donchian's channel: the highest high and the lowest low of ``period`` bars, this one included.

    A close can touch a channel that includes its own bar, never leave it: a rule for a breakout
    compares with the channel of the bar before, by ``crosses above`` on the price.
    """

    name = "donchian"
    outputs = ("upper", "lower", "middle")
    main = "middle"
    parameters = (period_parameter(20),)

    def __init__(self, period: int = 20) -> None:
        super().__init__({"period": period})
        self._period = period
        self.warm_up = self.stable_after = period
        self.reset()

    def reset(self) -> None:
        self.value: float | None = None
        self.upper: float | None = None
        self.lower: float | None = None
        self.middle: float | None = None
        self._range = HighestLowest(self._period)

    def update(self, bar: BarFloats, /) -> None:
        window = self._range
        window.update(bar.high, bar.low)
        if window.is_full:
            upper = window.highest
            lower = window.lowest
            self.upper = upper
            self.lower = lower
            self.value = self.middle = (upper + lower) / 2.0
