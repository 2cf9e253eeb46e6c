"""Random rules and random bars."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from christmas.analysis.indicators.bar_floats import BarFloats

FIELDS = ("open", "high", "low", "close", "volume", "typical", "buy_volume", "sell_volume")
PERIODS = st.integers(2, 7)
LITERALS = st.sampled_from(["0", "1", "0.5", "2", "3", "30", "70", "100", "-1", "1e-3"])
SERIES_CALLS = (
    "ema({source}, {n})",
    "sma({source}, {n})",
    "wma({source}, {n})",
    "rsi({source}, {n})",
    "roc({source}, {n})",
    "stddev({source}, {n})",
    "bollinger({source}, {n}, 1.5).lower",
    "bollinger({source}, {n}).upper",
    "macd({source}, 2, {m}, 3).histogram",
)
FIELD_CALLS = (
    "ema({n})",
    "sma({n}, source={field})",
    "rsi(period={n})",
    "atr({n})",
    "stochastic({n}).k",
    "donchian({n}).upper",
    "vwap({n})",
    "vwap().deviation",
    "obv()",
    "flow_imbalance({n}).delta",
    "adx({n})",
    "relative_volume({n})",
    "keltner({n}).lower",
)


@st.composite
def number_texts(draw: st.DrawFn, depth: int) -> str:
    """A number that is not constant."""
    kinds = ["field", "indicator"]
    if depth > 0:
        kinds += ["arithmetic", "past", "negative", "function", "nested"]
    kind = draw(st.sampled_from(kinds))
    if kind == "field":
        return draw(st.sampled_from(FIELDS))
    if kind == "indicator":
        call = draw(st.sampled_from(FIELD_CALLS))
        return call.format(n=draw(PERIODS), field=draw(st.sampled_from(FIELDS)))
    below = number_texts(depth - 1)
    if kind == "nested":
        n = draw(PERIODS)
        return draw(st.sampled_from(SERIES_CALLS)).format(source=draw(below), n=n, m=n + 2)
    if kind == "past":
        return f"({draw(below)})[{draw(st.integers(0, 4))}]"
    if kind == "negative":
        return f"-{draw(below)}" if draw(st.booleans()) else f"-({draw(below)})"
    if kind == "function":
        name = draw(st.sampled_from(["min", "max", "abs"]))
        return f"abs({draw(below)})" if name == "abs" else f"{name}({draw(below)}, {draw(LITERALS)}, {draw(below)})"
    other = draw(st.one_of(LITERALS.filter(lambda text: text != "0"), below))
    operator = draw(st.sampled_from(["+", "-", "*", "/"]))
    left, right = draw(st.permutations([draw(below), other]))
    return f"({left} {operator} {right})"


@st.composite
def rule_texts(draw: st.DrawFn, depth: int = 2) -> str:
    """A condition that the checker takes."""
    kinds = ["comparison", "crossing"] + (["and", "or", "not", "chain"] if depth > 0 else [])
    kind = draw(st.sampled_from(kinds))
    numbers = number_texts(2)
    if kind == "comparison":
        sides = draw(st.permutations([draw(numbers), draw(st.one_of(LITERALS, numbers))]))
        return f"{sides[0]} {draw(st.sampled_from(['<', '<=', '>', '>=', '==', '!=']))} {sides[1]}"
    if kind == "crossing":
        direction = draw(st.sampled_from(["above", "below"]))
        return f"{draw(numbers)} crosses {direction} {draw(st.one_of(LITERALS, numbers))}"
    if kind == "chain":
        return f"{draw(LITERALS)} < {draw(numbers)} <= {draw(numbers)}"
    below = rule_texts(depth - 1)
    if kind == "not":
        return f"not ({draw(below)})"
    return f"({draw(below)}) {kind} ({draw(below)})"


def random_bars(seed: int, count: int = 60, increment: float = 0.5) -> list[BarFloats]:
    """A walk on a coarse price grid with flat stretches and bars without known sides, so that ties and zeros occur."""
    generator = random.Random(seed)
    bars, price, start = [], 100.0, 86_400_000_000 - 20_000_000
    for _ in range(count):
        start += generator.choice([1, 1, 1, 2]) * 1_000_000
        is_flat = generator.random() < 0.3
        path = [price] + [price if is_flat else price + increment * generator.randint(-3, 3) for _ in range(4)]
        price = path[-1]
        buys, sells = generator.choice([0, 0, 1, 5]), generator.choice([0, 0, 2, 3])
        volume = buys + sells + generator.choice([0, 1])
        bars.append(
            BarFloats(
                start_us=start,
                end_us=start + 1_000_000,
                open=path[0],
                high=max(path),
                low=min(path),
                close=price,
                volume=float(volume),
                buy_volume=float(buys),
                sell_volume=float(sells),
                notional=volume * (max(path) + min(path)) / 2,
            )
        )
    return bars
