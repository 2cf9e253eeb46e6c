"""How directed a market moves."""

from __future__ import annotations

from christmas.analysis.indicators.bar_floats import BarFloats
from christmas.analysis.indicators.base import BarIndicator, inputs_to_forget
from christmas.analysis.indicators.parameters import period_parameter
from christmas.analysis.indicators.windows import RESOLUTION


class ADX(BarIndicator):
    """Wilder's average directional index with both directional indicators, each 0 to 100.

    Wilder's sums, not averages, of directional moves and true ranges over ``period``; the index is the
    Wilder average of 100 * abs(plus - minus) / (plus + minus), seeded with the mean of the first
    ``period`` of them (TA-Lib's convention, in which the first sum holds period - 1 bars). A market
    that does not move has no direction: the indicators are 0 then, and so is what the average takes.
    """

    name = "adx"
    outputs = ("value", "plus_di", "minus_di")
    parameters = (period_parameter(14, minimum=2),)

    def __init__(self, period: int = 14) -> None:
        super().__init__({"period": period})
        self._period = period
        self.warm_up = 2 * period
        # The average can only begin to forget when the sums it is made of have forgotten.
        self.stable_after = self.warm_up + 2 * inputs_to_forget(1.0 - 1.0 / period)
        self.reset()

    def reset(self) -> None:
        self.value: float | None = None
        self.plus_di: float | None = None
        self.minus_di: float | None = None
        self._previous: BarFloats | None = None
        self._moves = 0
        self._plus = 0.0
        self._minus = 0.0
        self._range = 0.0
        self._seed = 0.0

    def update(self, bar: BarFloats, /) -> None:
        before = self._previous
        self._previous = bar
        if before is None:
            return
        high = bar.high
        low = bar.low
        close_before = before.close
        up = high - before.high
        down = before.low - low
        true_range = max(high, close_before) - min(low, close_before)
        period = self._period
        seeding = self._moves + 1 < period
        if not seeding:
            self._plus -= self._plus / period
            self._minus -= self._minus / period
            self._range -= self._range / period
        if up > down:
            if up > 0.0:
                self._plus += up
        elif down > up and down > 0.0:
            self._minus += down
        self._range += true_range
        if seeding:
            self._moves += 1
            return
        plus_di = minus_di = direction = 0.0
        if self._range > RESOLUTION * abs(bar.close):
            plus_di = 100.0 * (self._plus / self._range)
            minus_di = 100.0 * (self._minus / self._range)
            both = plus_di + minus_di
            if both > 0.0:
                direction = 100.0 * (abs(plus_di - minus_di) / both)
        average = self.value
        if average is not None:
            self.value = (average * (period - 1) + direction) / period
        else:
            self._moves += 1
            self._seed += direction
            if self._moves < 2 * period - 1:
                return
            self.value = self._seed / period
        self.plus_di = plus_di
        self.minus_di = minus_di
