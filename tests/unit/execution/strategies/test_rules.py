from __future__ import annotations

from christmas.analysis.rules.rule import compile_rule
from christmas.execution.strategies.base import PositionView, Signal
from christmas.execution.strategies.rules import RuleStrategy
from tests.unit.execution.strategies.market import INSTRUMENT, SYMBOL, bar, run, view


def strategy(entry: str, exit: str | None = None) -> RuleStrategy:  # noqa: A002
    return RuleStrategy(compile_rule(entry, role="entry"), None if exit is None else compile_rule(exit))


def signals(
    entry: str,
    exit: str | None,  # noqa: A002
    closes: list[float],
    positions: list[PositionView] | None = None,
) -> list[list[tuple[str, str | None]]]:
    found = run(strategy(entry, exit), closes, positions or [])
    return [[(signal.kind, signal.position_id) for signal in at_bar] for at_bar in found]


def test_the_entry_rule_buys_at_every_bar_at_which_it_holds() -> None:
    found = run(strategy("sma(2) < 3"), [2, 2, 2, 9])
    expected = Signal(symbol=SYMBOL, kind="entry", reason="entry: sma(2) < 3 (2)")
    assert found == [[], [expected], [expected], []]


def test_without_an_exit_rule_the_exit_rests() -> None:
    assert not strategy("close > 1").has_exit
    assert strategy("close > 1", "close > 2").has_exit


def test_the_exit_rule_closes_every_position_that_is_not_closing() -> None:
    positions = [view("a"), view("b", is_closing=True), view("c")]
    assert signals("close < 0", "close > 5", [1, 6], positions) == [[], [("exit", "a"), ("exit", "c")]]
    assert signals("close < 0", "close > 5", [6]) == [[]]


def test_nothing_is_bought_on_a_bar_on_which_a_position_is_closed() -> None:
    assert signals("close > 1", "close > 5", [2, 6], [view("a")]) == [[("entry", None)], [("exit", "a")]]
    assert signals("close > 1", "position.age >= 2", [2, 2], [view("a")]) == [[("entry", None)], [("exit", "a")]]


def test_without_a_position_to_close_the_exit_rule_does_not_count() -> None:
    assert signals("close > 1", "close > 5", [6]) == [[("entry", None)]]
    assert signals("close > 1", "close > 5", [6], [view("a", is_closing=True)]) == [[("entry", None)]]


def test_each_position_is_judged_by_its_own_numbers() -> None:
    positions = [view("old", opened_us=0, price="100"), view("new", opened_us=1_500_000, price="90")]
    assert signals("close < 0", "position.age > 1.5", [95, 95], positions) == [[], [("exit", "old")]]
    assert signals("close < 0", "position.profit > 5", [95], positions) == [[("exit", "new")]]


def test_a_position_without_a_fill_has_an_age_and_no_profit() -> None:
    assert signals("close < 0", "position.profit < 5", [95], [view("a", lots=0)]) == [[]]
    assert signals("close < 0", "position.age >= 1", [95], [view("a", lots=0)]) == [[("exit", "a")]]


def test_warm_up_is_the_longest_of_both_rules() -> None:
    both = strategy("sma(2) > 0", "ema(sma(3), 4) > 0 or vwap() > 0")
    assert both.warm_up_bars == 6
    assert both.stable_bars > both.warm_up_bars
    assert both.anchor == "session"
    found = run(both, [1] * 7)
    assert found[:5] == [[]] * 5
    assert both.is_warm


def test_absorbed_history_warms_it() -> None:
    both = strategy("sma(2) > 0")
    both.bind(SYMBOL, INSTRUMENT)
    both.absorb_bar(bar(0, 1))
    assert not both.is_warm
    assert len(both.handle_bar(bar(1, 1))) == 1


def test_it_explains_both_rules() -> None:
    both = strategy("close < 3 and sma(2) > 1", "close crosses above 9")
    run(both, [2])
    entry, leave = both.explain()
    assert (entry.name, entry.symbol, entry.text, entry.holds) == ("entry", SYMBOL, "close < 3 and sma(2) > 1", None)
    assert [(term.text, term.value, term.needs) for term in entry.terms] == [
        ("close < 3", "2", "< 3"),
        ("sma(2) > 1", "warming up", "> 1"),
    ]
    assert (leave.name, leave.holds) == ("exit", None)
    both.handle_bar(bar(1, 5))
    entry, leave = both.explain()
    assert (entry.holds, leave.holds) == (False, False)
    assert [term.holds for term in entry.terms] == [False, True]
    assert leave.terms[0].value == "2 -> 5"


def test_an_exit_on_positions_is_explained_for_the_oldest() -> None:
    both = strategy("close < 0", "position.profit > 3 and position.age > 1")
    run(both, [104], [view("a", price="100"), view("b", price="50")])
    _, leave = both.explain()
    assert leave.holds is False
    assert [(term.text, term.value, term.holds) for term in leave.terms] == [
        ("position.profit > 3", "3.9", True),
        ("position.age > 1", "1", False),
    ]


def test_an_exit_on_positions_without_one() -> None:
    both = strategy("close < 0", "position.profit > 3")
    run(both, [104])
    [term] = both.explain()[1].terms
    assert (term.value, term.holds) == ("undefined", False)


def test_reasons_are_bounded() -> None:
    long = strategy(" and ".join(f"close > {number}" for number in range(100)))
    [[signal]] = run(long, [1000])
    assert len(signal.reason) == 300
    assert signal.reason.startswith("entry: close > 0 (1000), close > 1 (1000)")
