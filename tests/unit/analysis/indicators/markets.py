"""Markets to try indicators on: regimes, scales of price, spikes, stand-stills, and recorded bars."""

from __future__ import annotations

import csv
import gzip
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from hypothesis import strategies as st

from christmas.analysis.indicators.bar_floats import BarFloats
from christmas.analysis.indicators.base import Indicator

Regime = Literal["walk", "trend", "stairs", "quiet", "spike"]
REGIMES: tuple[Regime, ...] = ("walk", "trend", "stairs", "quiet", "spike")

SMALL_ARGUMENTS: dict[str, dict[str, int | float]] = {
    "adx": {"period": 5},
    "atr": {"period": 7},
    "bollinger": {"period": 9, "deviations": 1.5},
    "donchian": {"period": 6},
    "ema": {"period": 8},
    "flow_imbalance": {"period": 5},
    "keltner": {"period": 6, "atr_period": 4, "multiplier": 1.5},
    "macd": {"fast": 3, "slow": 7, "signal": 4},
    "obv": {"period": 6},
    "relative_volume": {"period": 7},
    "roc": {"period": 4},
    "rsi": {"period": 6},
    "sma": {"period": 7},
    "stddev": {"period": 6},
    "stochastic": {"period": 5, "smooth": 3, "signal": 2},
    "vwap": {"period": 5},
    "wma": {"period": 7},
    "zscore": {"period": 6},
}


def make_bars(
    seed: int, length: int, *, regime: Regime = "walk", increment: float = 0.01, base: int = 6_000_000
) -> list[BarFloats]:
    """Five-second bars whose prices are whole increments around ``base`` increments."""
    randomness = random.Random(seed)
    price = base
    bars = []
    for index in range(length):
        opened = price
        step = _step(randomness, regime, index)
        price = max(1, price + step)
        high = max(opened, price) + randomness.choice((0, 0, 1, 3))
        low = max(1, min(opened, price) - randomness.choice((0, 0, 1, 3)))
        if regime == "spike" and index == length // 3:
            high = price * 1_000
        bought, sold, unknown = randomness.randrange(200), randomness.randrange(200), randomness.randrange(3)
        volume = bought + sold + unknown
        bars.append(
            BarFloats(
                start_us=1_723_000_000_000_000 + index * 5_000_000,
                end_us=1_723_000_000_000_000 + (index + 1) * 5_000_000,
                open=opened * increment,
                high=high * increment,
                low=low * increment,
                close=price * increment,
                volume=float(volume),
                buy_volume=float(bought),
                sell_volume=float(sold),
                notional=volume * price * increment,
            )
        )
    return bars


def _step(randomness: random.Random, regime: Regime, index: int) -> int:
    match regime:
        case "walk" | "spike":
            return round(randomness.gauss(0, 40))
        case "trend":
            return round(randomness.gauss(15, 20))
        case "stairs":
            return randomness.choice((0, 0, 0, 0, 1, -1))
        case "quiet":
            return round(randomness.gauss(0, 40)) if index % 60 < 30 else 0


def flat_bars(length: int, price: float = 100.1, volume: float = 10.0) -> list[BarFloats]:
    """A market that stands still."""
    return [
        BarFloats(i * 5_000_000, (i + 1) * 5_000_000, price, price, price, price, volume, 0.0, 0.0, price * volume)
        for i in range(length)
    ]


@st.composite
def bar_series(draw: st.DrawFn, maximum: int = 120) -> list[BarFloats]:
    """Any regime, at prices from 1e-8 to 1e12."""
    return make_bars(
        draw(st.integers(0, 2**32)),
        draw(st.integers(0, maximum)),
        regime=draw(st.sampled_from(REGIMES)),
        increment=draw(st.sampled_from((1e-8, 1e-5, 0.01, 0.1, 1.0, 1e5))),
        base=draw(st.sampled_from((5, 1_000, 6_000_000))),
    )


def minute_bars(path: Path) -> list[BarFloats]:
    """The recorded one-minute bars; they know no taker sides, and the close stands for all prices."""
    bars = []
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            moment = datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC)
            start = int(moment.timestamp()) * 1_000_000
            opened, high, low, close, volume = (
                float(row[field]) for field in ("open", "high", "low", "close", "volume")
            )
            bars.append(
                BarFloats(start, start + 60_000_000, opened, high, low, close, volume, 0.0, 0.0, close * volume)
            )
    return bars


def run(indicator: Indicator, bars: Sequence[BarFloats]) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Each output after each bar, nan while not defined."""
    columns: dict[str, list[float]] = {output: [] for output in indicator.outputs}
    for bar in bars:
        indicator.update_bar(bar)
        for output, column in columns.items():
            value = indicator.output(output)
            column.append(float("nan") if value is None else value)
    return {output: np.array(column, dtype=np.float64) for output, column in columns.items()}
