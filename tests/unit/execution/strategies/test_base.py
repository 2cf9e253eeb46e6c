from __future__ import annotations

from decimal import Decimal

import pytest

from christmas.analysis.indicators.averages import EMA, SMA
from christmas.analysis.indicators.oscillators import RSI
from christmas.analysis.indicators.parameters import ParameterError
from christmas.analysis.indicators.volatility import BollingerBands
from christmas.analysis.indicators.volume import OBV, VWAP
from christmas.execution.order import Fill
from christmas.execution.strategies.base import PositionView, Signal, Strategy, StrategyError
from christmas.execution.strategies.parameters import ParameterValue
from christmas.market.bar import Bar
from christmas.market.tick import Tick
from tests.unit.execution.strategies.market import INSTRUMENT, SYMBOL, bar, fill, run, tick, view


class Scalper(Strategy):
    """DESIGN.md's example."""

    rsi, bands = RSI(3), BollingerBands(4, 1)

    def on_bar(self, bar: Bar) -> None:
        if self.position.is_flat and self.rsi < 30 and bar.close < self.bands.lower:  # type: ignore[operator]
            self.buy()


class Recorder(Strategy):
    """Writes down what it is told."""

    mean = SMA(3)

    def on_start(self) -> None:
        self.seen: list[object] = ["start"]

    def on_bar(self, bar: Bar) -> None:
        self.seen.append(("bar", bar.close, self.mean.value, self.now_us))

    def on_stop(self) -> None:
        self.seen.append("stop")


def test_the_designs_example_buys_below_the_band() -> None:
    signals = run(Scalper(), [100, 101, 100, 101, 100, 101, 90])
    assert signals[:-1] == [[]] * 6
    assert signals[-1] == [Signal(symbol=SYMBOL, kind="entry", reason="Scalper buys")]


def test_the_designs_example_does_nothing_with_an_entry_on_its_way() -> None:
    assert run(Scalper(), [100, 101, 100, 101, 100, 101, 90], [view(lots=0)])[-1] == []


def test_on_bar_runs_from_the_bar_with_which_everything_is_warm() -> None:
    strategy = Recorder()
    run(strategy, [1, 2, 3, 4])
    assert strategy.warm_up_bars == 3
    assert strategy.seen == [
        "start",
        ("bar", Decimal(3), 2.0, 3_000_000),
        ("bar", Decimal(4), 3.0, 4_000_000),
    ]


def test_a_class_may_ask_for_more_bars() -> None:
    class Patient(Recorder):
        warm_up = 2

    strategy = Patient()
    run(strategy, [1, 2, 3, 4, 5])
    assert strategy.warm_up_bars == 5
    assert len(strategy.seen) == 2


def test_history_is_absorbed_without_any_hook() -> None:
    strategy = Recorder()
    strategy.bind(SYMBOL, INSTRUMENT)
    for index, close in enumerate([1, 2, 3]):
        strategy.absorb_bar(bar(index, close))
    assert strategy.is_warm
    assert strategy.seen == ["start"]
    assert list(strategy.history) == [1, 2, 3]
    strategy.handle_bar(bar(3, 4))
    assert strategy.seen[1:] == [("bar", Decimal(4), 3.0, 4_000_000)]


def test_the_history_of_closes_is_bounded() -> None:
    class Short(Strategy):
        history_length = 2

    strategy = Short()
    run(strategy, [1, 2, 3])
    assert list(strategy.history) == [2, 3]


def test_indicators_are_copied_for_each_instance() -> None:
    first, second = Recorder(), Recorder()
    run(first, [1, 2, 3])
    assert first.mean.value == 2.0
    assert second.mean.value is None
    assert Recorder.mean.value is None


def test_indicators_of_parents_count_and_may_be_replaced() -> None:
    class Longer(Recorder):
        mean = SMA(5)
        other = EMA(4)

    strategy = Longer()
    strategy.bind(SYMBOL, INSTRUMENT)
    assert strategy.warm_up_bars == 5


def test_indicators_may_depend_on_parameters() -> None:
    class Tuned(Strategy):
        period = 10

        def on_start(self) -> None:
            self.mean = self.again = SMA(self.period)

    strategy = Tuned({"period": 2})
    run(strategy, [1, 2, 4])
    assert strategy.warm_up_bars == 2
    # Under two names it is still one indicator, fed once a bar.
    assert strategy.mean.value == 3.0


def test_what_a_restart_needs() -> None:
    class Anchored(Strategy):
        vwap, obv, ema = VWAP(), OBV(), EMA(3)

    strategy = Anchored()
    strategy.bind(SYMBOL, INSTRUMENT)
    assert strategy.anchor == "start"
    assert strategy.stable_bars == EMA(3).stable_after
    plain = Strategy()
    plain.bind(SYMBOL, INSTRUMENT)
    assert (plain.anchor, plain.warm_up_bars, plain.stable_bars) == ("none", 1, 1)


# --- orders ----------------------------------------------------------------------------------


class Buyer(Strategy):
    """Calls ``buy`` with what the test sets."""

    arguments: dict[str, object] = {}

    def on_bar(self, bar: Bar) -> None:
        self.buy(**self.arguments)  # type: ignore[arg-type]


def bought(**arguments: object) -> Signal:
    strategy = Buyer()
    strategy.arguments = arguments
    [[signal]] = run(strategy, [100])
    return signal


def test_an_entrys_size_and_limit() -> None:
    assert bought() == Signal(symbol=SYMBOL, kind="entry", reason="Buyer buys")
    assert bought(lots=3).lots == 3
    assert bought(quantity=Decimal("0.0029")).lots == 2
    assert bought(notional=Decimal(50), limit=Decimal("99.5"), reason="dip") == Signal(
        symbol=SYMBOL, kind="entry", reason="dip", notional=Decimal(50), limit=Decimal("99.5")
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lots": 1, "notional": Decimal(5)}, "at most one of lots, quantity and notional"),
        ({"lots": 0}, "lots must be at least 1"),
        ({"quantity": Decimal("0.0009")}, "less than one lot of 0.001"),
        ({"notional": Decimal(0)}, "notional must be positive"),
    ],
)
def test_a_size_that_makes_no_sense_is_the_strategys_error(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(StrategyError, match=message):
        bought(**arguments)


class Closer(Strategy):
    def on_bar(self, bar: Bar) -> None:
        self.close(reason="enough")


def test_close_asks_for_all_positions_or_one() -> None:
    assert run(Closer(), [1]) == [[]]
    assert run(Closer(), [1], [view("a"), view("b")]) == [[Signal(symbol=SYMBOL, kind="exit", reason="enough")]]

    class Picky(Strategy):
        def on_bar(self, bar: Bar) -> None:
            self.close(position=self.positions[1])

    assert run(Picky(), [1], [view("a"), view("b")]) == [
        [Signal(symbol=SYMBOL, kind="exit", reason="Picky closes", position_id="b")]
    ]


def test_orders_are_refused_outside_the_market() -> None:
    class Early(Strategy):
        def on_start(self) -> None:
            self.buy()

    class Late(Strategy):
        def on_stop(self) -> None:
            self.buy()

    with pytest.raises(StrategyError, match=r"Early\.on_start, line \d+: buy\(\) and close\(\) work in on_bar"):
        Early().bind(SYMBOL, INSTRUMENT)
    late = Late()
    late.bind(SYMBOL, INSTRUMENT)
    with pytest.raises(StrategyError, match=r"Late\.on_stop"):
        late.handle_stop()


def test_before_bind_there_is_no_instrument() -> None:
    with pytest.raises(StrategyError, match="Scalper is not bound"):
        _ = Scalper().instrument


def test_positions_are_asked_for_at_each_bar() -> None:
    held: list[PositionView] = []
    strategy = Closer()
    strategy.bind(SYMBOL, INSTRUMENT, lambda: held)
    assert strategy.handle_bar(bar(0, 1)) == []
    held.append(view(opened_us=1_000_000))
    assert len(strategy.handle_bar(bar(1, 101))) == 1
    assert strategy.position.age_us == 1_000_000
    assert strategy.position.unrealised_pnl == Decimal("0.9")


# --- ticks, fills, stop ----------------------------------------------------------------------


class Ticking(Strategy):
    mean = SMA(2)

    def on_tick(self, tick: Tick) -> None:
        if tick.price < self.mean.value:  # type: ignore[operator]
            self.buy(reason=f"tick at {self.now_us}")

    def on_fill(self, fill: Fill) -> None:
        self.close(reason=f"filled at {self.now_us}")


def test_ticks_act_only_when_on_tick_is_overridden_and_all_is_warm() -> None:
    strategy = Ticking()
    run(strategy, [5])
    assert strategy.acts_on_ticks
    assert strategy.handle_tick(tick(1_500_000, "1")) == []
    assert strategy.last_price == 1
    strategy.handle_bar(bar(1, 5))
    assert strategy.handle_tick(tick(2_500_000, "7")) == []
    [signal] = strategy.handle_tick(tick(2_600_000, "4.99"))
    assert signal.reason == "tick at 2600000"
    assert not Scalper().acts_on_ticks


def test_a_fill_may_lead_to_an_exit() -> None:
    strategy = Ticking()
    run(strategy, [5, 5], [view()])
    [signal] = strategy.handle_fill(fill(2_200_000))
    assert (signal.kind, signal.reason) == ("exit", "filled at 2200000")


def test_time_never_goes_back() -> None:
    strategy = Ticking()
    run(strategy, [5, 5])
    strategy.handle_fill(fill(1))
    assert strategy.now_us == 2_000_000


def test_on_stop() -> None:
    strategy = Recorder()
    run(strategy, [1])
    strategy.handle_stop()
    assert strategy.seen == ["start", "stop"]


# --- whether it closes by itself -------------------------------------------------------------


def test_a_class_that_never_calls_close_has_no_exit() -> None:
    assert not Scalper.has_exit
    assert Closer.has_exit
    assert Ticking.has_exit


def test_calls_in_helpers_parents_and_inner_functions_count() -> None:
    class Helper(Scalper):
        def leave(self) -> None:
            for position in self.positions:
                self.close(position=position)

    class Child(Closer):
        pass

    class Inner(Strategy):
        def on_bar(self, bar: Bar) -> None:
            def leave(position: PositionView) -> None:
                self.close(position=position)

            for position in self.positions:
                leave(position)

    class BarClose(Strategy):
        def on_bar(self, bar: Bar) -> None:
            if bar.close > self.history[0]:
                self.buy()

    assert Helper.has_exit
    assert Child.has_exit
    assert Inner.has_exit
    assert not BarClose.has_exit


def test_the_class_may_say_itself() -> None:
    class Never(Closer):
        has_exit = False

    class Always(Scalper):
        has_exit = True

    assert not Never.has_exit
    assert Always.has_exit


# --- parameters and errors -------------------------------------------------------------------


class Parameters(Strategy):
    period = 10
    threshold = 0.5
    name = "a"
    eager = False
    size = Decimal("0.1")
    _hidden = 3
    rsi = RSI(3)


def test_plain_class_attributes_are_the_parameters() -> None:
    given: dict[str, ParameterValue] = {"period": 3, "threshold": 1, "eager": True, "size": "0.25"}
    strategy = Parameters(given)
    assert dict(strategy.parameters) == {
        "period": 3,
        "threshold": 1.0,
        "name": "a",
        "eager": True,
        "size": Decimal("0.25"),
    }
    assert (strategy.period, strategy.size, Parameters.period) == (3, Decimal("0.25"), 10)
    assert type(strategy.threshold) is float


def test_parameters_of_parents_count() -> None:
    class Child(Parameters):
        period = 7
        extra = 1

    assert Child({"threshold": 2.0}).parameters["period"] == 7
    assert "extra" in Child().parameters


def test_all_wrong_parameters_are_named() -> None:
    with pytest.raises(ParameterError) as caught:
        Parameters({"perod": 3, "period": 3.5, "eager": 1, "name": 4, "size": "x", "rsi": 3})
    message = str(caught.value)
    assert "no parameter 'perod' (did you mean 'period'?)" in message
    for name, kind in [("period", "a whole number"), ("eager", "true or false"), ("name", "a text")]:
        assert f"Parameters: {name} must be {kind}" in message
    assert "size must be a decimal number, not 'x'" in message
    assert "no parameter 'rsi'" in message


def test_an_error_in_a_hook_names_the_hook_and_the_line_and_is_not_swallowed() -> None:
    class Broken(Strategy):
        def on_bar(self, bar: Bar) -> None:
            self.helper(bar)

        def helper(self, bar: Bar) -> None:
            self.buy()
            bar.close / 0

    line = Broken.helper.__code__.co_firstlineno + 2
    with pytest.raises(StrategyError, match=rf"^Broken\.on_bar, line {line}: DivisionByZero") as caught:
        run(Broken(), [1])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_own_names_of_the_base_cannot_be_hidden() -> None:
    with pytest.raises(TypeError, match=r"Bad\.position would hide the Strategy's own position"):
        type("Bad", (Strategy,), {"position": 3})
