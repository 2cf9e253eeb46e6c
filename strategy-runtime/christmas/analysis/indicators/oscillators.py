"""Oscillators: where the price stands within its own recent moves."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from christmas.analysis.indicators.bar_floats import BarFloats, Source
from christmas.analysis.indicators.base import BarIndicator, SeriesIndicator, inputs_to_forget
from christmas.analysis.indicators.parameters import ParameterError, period_parameter
from christmas.analysis.indicators.windows import RESOLUTION, HighestLowest, mean


class RSI(SeriesIndicator):
    """Wilder's relative strength index, 0 to 100 (New Concepts in Technical Trading Systems, 1978).

    100 * gain / (gain + loss), where gain and loss are Wilder averages of the rises and the falls,
    seeded with the means of the first ``period`` changes, as in TA-Lib. Without any move it is 50:
    a market that stands still is neither overbought nor oversold. (TA-Lib says 0 there, at which every
    rule of the kind ``rsi(14) < 30`` would buy.)
    """

    name = "rsi"
    parameters = (period_parameter(14, minimum=2),)

    def __init__(self, period: int = 14, *, source: Source = "close") -> None:
        super().__init__({"period": period}, source)
        self._period = period
        self.warm_up = period + 1
        self.stable_after = self.warm_up + inputs_to_forget(1.0 - 1.0 / period)
        self.reset()

    def reset(self) -> None:
        self.value: float | None = None
        self._previous: float | None = None
        self._gain = 0.0
        self._loss = 0.0
        self._changes = 0

    def update(self, value: float, /) -> None:
        previous = self._previous
        self._previous = value
        if previous is None:
            return
        change = value - previous
        period = self._period
        if self._changes < period:
            if change > 0.0:
                self._gain += change
            else:
                self._loss -= change
            self._changes += 1
            if self._changes < period:
                return
            gain = self._gain / period
            loss = self._loss / period
        else:
            gain = self._gain * (period - 1)
            loss = self._loss * (period - 1)
            if change > 0.0:
                gain += change
            else:
                loss -= change
            gain /= period
            loss /= period
        self._gain = gain
        self._loss = loss
        total = gain + loss
        self.value = 100.0 * (gain / total) if total > RESOLUTION * abs(value) else 50.0


class MACD(SeriesIndicator):
    """Moving average convergence divergence: fast EMA - slow EMA, an EMA of that, and the difference.

    Seeded as TA-Lib does it, which is not two independent EMAs: both are seeded at the same input, the
    ``slow``-th, the fast one with the mean of the last ``fast`` inputs up to it; the signal's seed is
    the mean of the first ``signal`` values of the line. All outputs start together.
    """

    name = "macd"
    outputs = ("line", "signal", "histogram")
    main = "line"
    parameters = (
        period_parameter(12, name="fast"),
        period_parameter(26, name="slow", minimum=2),
        period_parameter(9, name="signal"),
    )

    @classmethod
    def bind(cls, positional: Sequence[object], named: Mapping[str, object]) -> dict[str, int | float]:
        bound = super().bind(positional, named)
        if bound["slow"] <= bound["fast"]:
            raise ParameterError(
                f"macd: slow must be more than fast ({bound['fast']}), not {bound['slow']}",
                parameter="slow",
                position=1 if len(positional) > 1 else None,
            )
        return bound

    def __init__(self, fast: int = 12, slow: int = 26, signal: int = 9, *, source: Source = "close") -> None:
        super().__init__({"fast": fast, "slow": slow, "signal": signal}, source)
        self._fast_period = fast
        self._slow_period = slow
        self._signal_period = signal
        self._fast_weight = 2.0 / (fast + 1)
        self._slow_weight = 2.0 / (slow + 1)
        self._signal_weight = 2.0 / (signal + 1)
        self.warm_up = slow + signal - 1
        # The signal can only begin to forget when the line it averages has forgotten.
        self.stable_after = (
            self.warm_up + inputs_to_forget(1.0 - self._slow_weight) + inputs_to_forget(1.0 - self._signal_weight)
        )
        self.reset()

    def reset(self) -> None:
        self.value: float | None = None
        self.line: float | None = None
        self.signal: float | None = None
        self.histogram: float | None = None
        self._fast_seed: deque[float] = deque(maxlen=self._fast_period)
        self._slow_seed: deque[float] = deque(maxlen=self._slow_period)
        self._signal_seed: deque[float] = deque(maxlen=self._signal_period)
        self._fast: float | None = None
        self._slow = 0.0

    def update(self, value: float, /) -> None:
        fast = self._fast
        if fast is None:
            self._seed_averages(value)
            fast = self._fast
            if fast is None:
                return
            slow = self._slow
        else:
            slow = self._slow
            self._fast = fast = (value - fast) * self._fast_weight + fast
            self._slow = slow = (value - slow) * self._slow_weight + slow
        line = fast - slow
        signal = self.signal
        if signal is None:
            seed = self._signal_seed
            seed.append(line)
            if len(seed) < self._signal_period:
                return
            signal = mean(seed)
        else:
            signal = (line - signal) * self._signal_weight + signal
        self.value = self.line = line
        self.signal = signal
        self.histogram = line - signal

    def _seed_averages(self, value: float) -> None:
        self._fast_seed.append(value)
        self._slow_seed.append(value)
        if len(self._slow_seed) == self._slow_period:
            self._fast = mean(self._fast_seed)
            self._slow = mean(self._slow_seed)


class Stochastic(BarIndicator):
    """The slow stochastic oscillator, 0 to 100: where the close stands in the range of ``period`` bars.

    ``k`` is the mean over ``smooth`` bars of 100 * (close - lowest) / (highest - lowest), ``d`` the mean
    of ``k`` over ``signal``. A range of zero counts as 50, the middle. (TA-Lib counts it as 0, at which
    every rule of the kind ``stochastic().k < 20`` would buy in a market that stands still.)
    """

    name = "stochastic"
    outputs = ("k", "d")
    main = "k"
    parameters = (
        period_parameter(14),
        period_parameter(3, name="smooth"),
        period_parameter(3, name="signal"),
    )

    def __init__(self, period: int = 14, smooth: int = 3, signal: int = 3) -> None:
        super().__init__({"period": period, "smooth": smooth, "signal": signal})
        self._period = period
        self._smooth = smooth
        self._signal = signal
        self.warm_up = self.stable_after = period + smooth + signal - 2
        self.reset()

    def reset(self) -> None:
        self.value: float | None = None
        self.k: float | None = None
        self.d: float | None = None
        self._range = HighestLowest(self._period)
        self._fast_window: deque[float] = deque(maxlen=self._smooth)
        self._k_window: deque[float] = deque(maxlen=self._signal)

    def update(self, bar: BarFloats, /) -> None:
        window = self._range
        window.update(bar.high, bar.low)
        if not window.is_full:
            return
        width = window.highest - window.lowest
        self._fast_window.append(100.0 * ((bar.close - window.lowest) / width) if width > 0.0 else 50.0)
        if len(self._fast_window) < self._smooth:
            return
        k = mean(self._fast_window)
        self._k_window.append(k)
        if len(self._k_window) < self._signal:
            return
        self.value = self.k = k
        self.d = mean(self._k_window)


class ROC(SeriesIndicator):
    """The rate of change, in percent: 100 * (input / input ``period`` before - 1); 0 when that was 0."""

    name = "roc"
    parameters = (period_parameter(10),)

    def __init__(self, period: int = 10, *, source: Source = "close") -> None:
        super().__init__({"period": period}, source)
        self._length = period + 1
        self.warm_up = self.stable_after = period + 1
        self.reset()

    def reset(self) -> None:
        self.value: float | None = None
        self._window: deque[float] = deque(maxlen=self._length)

    def update(self, value: float, /) -> None:
        window = self._window
        window.append(value)
        if len(window) == self._length:
            before = window[0]
            self.value = 100.0 * (value / before - 1.0) if before != 0.0 else 0.0
