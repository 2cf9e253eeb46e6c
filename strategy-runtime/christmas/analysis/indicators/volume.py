"""What volume says: at which prices it traded, who took, and how much against the usual.

Volumes are whole lots. Ratios and prices do not depend on the lot's size; levels (OBV, the flow's
delta) are in lots.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from christmas.analysis.indicators.bar_floats import BarFloats
from christmas.analysis.indicators.base import BarIndicator
from christmas.analysis.indicators.parameters import MAXIMUM_PERIOD, Parameter, period_parameter
from christmas.analysis.indicators.windows import mean

SESSION_US: Final = 86_400_000_000
"""A session is a day in UTC, the convention of markets that never close."""


class VWAP(BarIndicator):
    """The volume-weighted average price: of the session (00:00 UTC on) or of the last ``period`` bars.

    From the prints' own prices and volumes, not from the bars' typical prices. ``deviation`` is
    100 * (close / vwap - 1), in percent. Without volume the value is the close.
    """

    name = "vwap"
    outputs = ("value", "deviation")
    parameters = (Parameter("period", int, 0, 0, MAXIMUM_PERIOD),)

    def __init__(self, period: int = 0) -> None:
        super().__init__({"period": period})
        self._period = period
        self.warm_up = self.stable_after = max(period, 1)
        self.anchor = "none" if period else "session"
        self.reset()

    def reset(self) -> None:
        self.value: float | None = None
        self.deviation: float | None = None
        self._session = -1
        self._notional = 0.0
        self._volume = 0.0
        self._notionals: deque[float] = deque(maxlen=self._period)
        self._volumes: deque[float] = deque(maxlen=self._period)

    def update(self, bar: BarFloats, /) -> None:
        if self._period:
            self._notionals.append(bar.notional)
            self._volumes.append(bar.volume)
            if len(self._volumes) < self._period:
                return
            notional = math.fsum(self._notionals)
            volume = math.fsum(self._volumes)
        else:
            session = bar.start_us // SESSION_US
            if session != self._session:
                self._session = session
                self._notional = self._volume = 0.0
            self._notional = notional = self._notional + bar.notional
            self._volume = volume = self._volume + bar.volume
        close = bar.close
        value = notional / volume if volume > 0.0 else close
        self.value = value
        self.deviation = 100.0 * (close / value - 1.0) if value != 0.0 else 0.0


class OBV(BarIndicator):
    """On-balance volume, in lots: the volumes of rising bars less those of falling ones.

    Without ``period`` it counts from the first bar ever, whose volume it takes as rising (TA-Lib's
    convention), so that its level depends on where history begins; only its differences mean
    something. With ``period`` it is the balance of that many bars, and independent of history.
    """

    name = "obv"
    parameters = (Parameter("period", int, 0, 0, MAXIMUM_PERIOD),)

    def __init__(self, period: int = 0) -> None:
        super().__init__({"period": period})
        self._period = period
        self.warm_up = self.stable_after = period + 1
        self.anchor = "none" if period else "start"
        self.reset()

    def reset(self) -> None:
        self.value: float | None = None
        self._previous_close: float | None = None
        self._window: deque[float] = deque(maxlen=self._period)

    def update(self, bar: BarFloats, /) -> None:
        previous = self._previous_close
        close = bar.close
        self._previous_close = close
        if previous is None:
            if not self._period:
                self.value = bar.volume
            return
        signed = bar.volume if close > previous else -bar.volume if close < previous else 0.0
        if not self._period:
            self.value = signed if self.value is None else self.value + signed
            return
        window = self._window
        window.append(signed)
        if len(window) == self._period:
            self.value = math.fsum(window)


class FlowImbalance(BarIndicator):
    """Order-flow imbalance from taker sides over ``period`` bars: (buy - sell) / (buy + sell), -1 to 1.

    ``delta`` is buy - sell, in lots. Volume of unknown side counts as neither; without any known
    side the imbalance is 0.
    """

    name = "flow_imbalance"
    outputs = ("value", "delta")
    parameters = (period_parameter(20),)

    def __init__(self, period: int = 20) -> None:
        super().__init__({"period": period})
        self._period = period
        self.warm_up = self.stable_after = period
        self.reset()

    def reset(self) -> None:
        self.value: float | None = None
        self.delta: float | None = None
        self._buys: deque[float] = deque(maxlen=self._period)
        self._sells: deque[float] = deque(maxlen=self._period)

    def update(self, bar: BarFloats, /) -> None:
        buys = self._buys
        buys.append(bar.buy_volume)
        self._sells.append(bar.sell_volume)
        if len(buys) < self._period:
            return
        bought = math.fsum(buys)
        sold = math.fsum(self._sells)
        both = bought + sold
        self.delta = bought - sold
        self.value = (bought - sold) / both if both > 0.0 else 0.0


class RelativeVolume(BarIndicator):
    """The bar's volume over the mean volume of ``period`` bars, this one included: 0 to ``period``.

    1 when there was no volume at all.
    """

    name = "relative_volume"
    parameters = (period_parameter(20),)

    def __init__(self, period: int = 20) -> None:
        super().__init__({"period": period})
        self._period = period
        self.warm_up = self.stable_after = period
        self.reset()

    def reset(self) -> None:
        self.value: float | None = None
        self._window: deque[float] = deque(maxlen=self._period)

    def update(self, bar: BarFloats, /) -> None:
        window = self._window
        window.append(bar.volume)
        if len(window) < self._period:
            return
        usual = mean(window)
        self.value = bar.volume / usual if usual > 0.0 else 1.0
