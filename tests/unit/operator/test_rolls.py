"""Who may restart next: bounded for each Broker, and in the order in which they came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from christmas_operator.keys import Key
from christmas_operator.rolls import ROLL_WITHIN_S, Claim, Rolls

PAPER = Key("Broker", "trading", "paper")
LIVE = Key("Broker", "trading", "live")


def strategy(number: int) -> Key:
    return Key("Strategy", "trading", f"s{number}")


def test_first_come_first_served_for_each_broker() -> None:
    rolls = Rolls(2)
    granted = [rolls.claim(strategy(number), PAPER, "Wants") for number in range(4)]
    assert granted == [[strategy(0)], [strategy(1)], [], []]
    assert rolls.claim(strategy(9), LIVE, "Wants") == [strategy(9)]
    assert [rolls.turn(strategy(number), PAPER) for number in (1, 2, 5)] == ["Granted", "InLine", "None"]
    assert rolls.waiting == 2
    assert rolls.claim(strategy(2), PAPER, "Keeps") == []
    assert rolls.claim(strategy(1), PAPER, "None") == [strategy(2)]
    assert rolls.forget(strategy(0)) == [strategy(3)]
    assert rolls.waiting == 0


def test_those_that_an_earlier_operator_restarted_count() -> None:
    rolls = Rolls(1)
    assert rolls.claim(strategy(0), PAPER, "Holds") == []
    assert rolls.claim(strategy(1), PAPER, "Holds") == []
    assert rolls.claim(strategy(2), PAPER, "Wants") == []
    assert rolls.claim(strategy(0), PAPER, "None") == []
    assert rolls.claim(strategy(1), PAPER, "None") == [strategy(2)]


def test_a_pod_that_does_not_come_up_holds_nobody_up_for_ever() -> None:
    now = [0.0]
    rolls = Rolls(1, lambda: now[0])
    rolls.claim(strategy(0), PAPER, "Wants")
    rolls.claim(strategy(1), PAPER, "Wants")
    now[0] = ROLL_WITHIN_S
    assert rolls.pass_on() == []
    now[0] += 1
    assert rolls.pass_on() == [strategy(0), strategy(1)]
    assert rolls.turn(strategy(0), PAPER) == "None"


def test_a_strategy_of_another_broker_frees_its_place() -> None:
    rolls = Rolls(1)
    rolls.claim(strategy(0), PAPER, "Wants")
    rolls.claim(strategy(1), PAPER, "Wants")
    assert rolls.claim(strategy(0), LIVE, "Wants") == [strategy(1), strategy(0)]


CLAIMS = st.sampled_from(["None", "Wants", "Keeps"])


@given(st.lists(st.tuples(st.integers(0, 8), CLAIMS), max_size=60))
def test_never_more_than_the_bound_and_no_place_stays_free(steps: list[tuple[int, Claim]]) -> None:
    rolls = Rolls(3)
    for number, claim in steps:
        rolls.claim(strategy(number), PAPER, claim)
        turns = [rolls.turn(strategy(one), PAPER) for one in range(9)]
        assert turns.count("Granted") <= 3
        assert turns.count("Granted") == 3 or turns.count("InLine") == 0
