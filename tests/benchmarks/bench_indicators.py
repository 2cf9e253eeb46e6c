"""What an indicator costs: one bar live, and a series in a backtest, side by side with TA-Lib.

    python tests/benchmarks/bench_indicators.py

Both sides take the same bars in the same run, in turns, so that a busy machine slows both; figures are
medians. TA-Lib is C; ours is plain Python on one side and numpy on the other, and differs where it says
so: it never carries rounding from one window to the next, which costs a pass over the window.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import talib
from talib import stream

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "strategy-runtime"))

from christmas.analysis.arrays.bars import BarArrays
from christmas.analysis.arrays.registry import compute
from christmas.analysis.indicators.bar_floats import BarFloats
from christmas.analysis.indicators.registry import create

HISTORY = 1_000
LIVE_BARS = 4_000
LIVE_ROUNDS = 7
ARRAY_BARS = 200_000
ARRAY_ROUNDS = 5


class Case(NamedTuple):
    """One indicator with TA-Lib's function for it and the columns that one takes, if it has one."""

    name: str
    arguments: dict[str, int | float]
    talib_name: str | None = None
    columns: tuple[str, ...] = ("close",)
    talib_arguments: tuple[float, ...] = ()


CASES = (
    Case("rsi", {"period": 14}, "RSI", talib_arguments=(14,)),
    Case("macd", {"fast": 12, "slow": 26, "signal": 9}, "MACD", talib_arguments=(12, 26, 9)),
    Case("bollinger", {"period": 20, "deviations": 2.0}, "BBANDS", talib_arguments=(20, 2.0, 2.0)),
    Case("sma", {"period": 20}, "SMA", talib_arguments=(20,)),
    Case("ema", {"period": 20}, "EMA", talib_arguments=(20,)),
    Case("wma", {"period": 20}, "WMA", talib_arguments=(20,)),
    Case("stddev", {"period": 20}, "STDDEV", talib_arguments=(20,)),
    Case("roc", {"period": 10}, "ROC", talib_arguments=(10,)),
    Case("atr", {"period": 14}, "ATR", ("high", "low", "close"), (14,)),
    Case("stochastic", {"period": 14, "smooth": 3, "signal": 3}, "STOCH", ("high", "low", "close"), (14, 3, 0, 3, 0)),
    Case("adx", {"period": 14}, "ADX", ("high", "low", "close"), (14,)),
    Case("donchian", {"period": 20}, "MIDPRICE", ("high", "low"), (20,)),
    Case("obv", {"period": 0}, "OBV", ("close", "volume")),
    Case("vwap", {"period": 0}),
    Case("vwap", {"period": 20}),
    Case("flow_imbalance", {"period": 20}),
    Case("relative_volume", {"period": 20}),
    Case("zscore", {"period": 20}),
    Case("keltner", {"period": 20, "atr_period": 10, "multiplier": 2.0}),
    Case("sma", {"period": 200}, "SMA", talib_arguments=(200,)),
    Case("bollinger", {"period": 200, "deviations": 2.0}, "BBANDS", talib_arguments=(200, 2.0, 2.0)),
    Case("donchian", {"period": 200}, "MIDPRICE", ("high", "low"), (200,)),
)
SEED_STRATEGY = CASES[:3]


def synthetic_bars(count: int) -> list[BarFloats]:
    randomness = random.Random(20_240_808)
    price = 6_000_000
    bars = []
    for index in range(count):
        opened = price
        price += round(randomness.gauss(0, 150))
        high = max(opened, price) + randomness.randrange(50)
        low = min(opened, price) - randomness.randrange(50)
        buys, sells = randomness.randrange(1_000), randomness.randrange(1_000)
        volume = buys + sells + 1
        bars.append(
            BarFloats(
                index * 5_000_000,
                (index + 1) * 5_000_000,
                opened / 100,
                high / 100,
                low / 100,
                price / 100,
                float(volume),
                float(buys),
                float(sells),
                volume * price / 100,
            )
        )
    return bars


def live_ours(case: Case, bars: Sequence[BarFloats]) -> Callable[[], None]:
    """Feeds all bars behind the history to a warm indicator."""
    update = _warm(case, bars)
    live = bars[HISTORY:]

    def run() -> None:
        for bar in live:
            update(bar)

    return run


def live_talib(case: Case, columns: BarArrays) -> Callable[[], None]:
    """The same through a TA-Lib stream, whose input is handed over as plain floats, converted before."""
    handle = _stream(case, columns)
    update = handle.update
    inputs = [getattr(columns, name)[HISTORY:].tolist() for name in case.columns]
    if len(inputs) == 1:
        (closes,) = inputs

        def run() -> None:
            for close in closes:
                update(close)

        return run
    rows = list(zip(*inputs, strict=True))

    def run_rows() -> None:
        for row in rows:
            update(*row)

    return run_rows


def _warm(case: Case, bars: Sequence[BarFloats]) -> Callable[[BarFloats], None]:
    indicator = create(case.name, case.arguments)
    for bar in bars[:HISTORY]:
        indicator.update_bar(bar)
    return indicator.update_bar


def _stream(case: Case, columns: BarArrays) -> Any:
    assert case.talib_name is not None
    history = [getattr(columns, name)[:HISTORY] for name in case.columns]
    return getattr(stream, case.talib_name)(*history, *case.talib_arguments)


def seed_strategy_ours(bars: Sequence[BarFloats]) -> Callable[[], None]:
    rsi, macd, bollinger = (_warm(case, bars) for case in SEED_STRATEGY)
    live = bars[HISTORY:]

    def run() -> None:
        for bar in live:
            rsi(bar)
            macd(bar)
            bollinger(bar)

    return run


def seed_strategy_talib(columns: BarArrays) -> Callable[[], None]:
    rsi, macd, bollinger = (_stream(case, columns).update for case in SEED_STRATEGY)
    closes = columns.close[HISTORY:].tolist()

    def run() -> None:
        for close in closes:
            rsi(close)
            macd(close)
            bollinger(close)

    return run


def median_ns(runs: Sequence[Callable[[], object] | None], rounds: int, points: int) -> list[float | None]:
    """The median time a point of each run, the runs taking turns."""
    times: list[list[int]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, taken in zip(runs, times, strict=True):
            if run is not None:
                began = time.perf_counter_ns()
                run()
                taken.append(time.perf_counter_ns() - began)
    return [statistics.median(taken) / points if taken else None for taken in times]


def row(label: str, ours: float | None, theirs: float | None) -> str:
    ratio = f"{ours / theirs:8.1f}" if ours is not None and theirs is not None else f"{'-':>8}"
    figures = "".join(f"{'-' if figure is None else format(figure, ',.1f'):>14}" for figure in (ours, theirs))
    return f"{label:<36}{figures}{ratio}"


def header(title: str, ours: str, theirs: str) -> str:
    return f"\n{title:<36}{ours:>14}{theirs:>14}{'ratio':>8}"


def main() -> None:
    bars = synthetic_bars(HISTORY + LIVE_BARS)
    columns = BarArrays.from_floats(bars)
    began = time.perf_counter()

    print(header("one bar, ns (median)", "christmas", "TA-Lib stream"))
    runs: list[Callable[[], object] | None] = [seed_strategy_ours(bars), seed_strategy_talib(columns)]
    print(row("rsi + macd + bollinger", *median_ns(runs, LIVE_ROUNDS, LIVE_BARS)))
    for case in CASES:
        theirs = live_talib(case, columns) if case.talib_name else None
        label = create(case.name, case.arguments).label
        print(row(label, *median_ns([live_ours(case, bars), theirs], LIVE_ROUNDS, LIVE_BARS)), flush=True)

    long = BarArrays.from_floats(synthetic_bars(ARRAY_BARS))
    print(header(f"{ARRAY_BARS:,} bars, ns a bar (median)", "christmas", "TA-Lib array"))
    for case in CASES:

        def ours(case: Case = case) -> object:
            return compute(case.name, long, case.arguments)

        def talibs(case: Case = case) -> object:
            function = getattr(talib, case.talib_name or "")
            return function(*(getattr(long, name) for name in case.columns), *case.talib_arguments)

        label = create(case.name, case.arguments).label
        both: list[Callable[[], object] | None] = [ours, talibs if case.talib_name else None]
        print(row(label, *median_ns(both, ARRAY_ROUNDS, ARRAY_BARS)), flush=True)

    print(
        f"\nPython {sys.version.split()[0]}, numpy {np.__version__}, TA-Lib {talib.__version__}; "
        f"{time.perf_counter() - began:.1f} s in all. donchian against MIDPRICE, its middle; adx with both "
        "directional indicators against ADX alone."
    )


if __name__ == "__main__":
    main()
