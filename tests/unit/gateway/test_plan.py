"""Where a lock-step replay stops and asks."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from christmas.brokers.gateway.plan import (
    OpenBars,
    Window,
    joins_window,
    market_end,
    next_boundary,
    whole_second_from,
)

SECOND = 1_000_000


def test_a_boundary_is_the_whole_second_at_or_after_what_is_due() -> None:
    assert next_boundary([5_300_000], 5_000_000, 10 * SECOND) == 6 * SECOND
    assert next_boundary([6 * SECOND], 5_000_000, 10 * SECOND) == 6 * SECOND
    assert next_boundary([6 * SECOND], 5_000_000, 6 * SECOND) == 6 * SECOND
    assert next_boundary([6 * SECOND + 1], 5_000_000, 6 * SECOND) is None
    assert next_boundary([], 5_000_000, 10 * SECOND) is None


def test_what_is_overdue_comes_at_the_next_second() -> None:
    assert next_boundary([1], 5 * SECOND, 10 * SECOND) == 6 * SECOND


@settings(max_examples=200)
@given(
    pending=st.lists(st.integers(0, 100 * SECOND), max_size=10),
    clock_s=st.integers(0, 90),
    until=st.integers(0, 120 * SECOND),
)
def test_boundaries_go_on_and_end(pending: list[int], clock_s: int, until: int) -> None:
    clock = clock_s * SECOND
    for _ in range(200):
        boundary = next_boundary([each for each in pending if each > clock], clock, until)
        if boundary is None:
            break
        assert boundary % SECOND == 0
        assert clock < boundary <= until
        clock = boundary
    assert all(whole_second_from(each) > until for each in pending if each > clock)


def test_strategies_that_act_on_ticks_are_asked_before_their_orders_could_arrive() -> None:
    window = Window()
    window.includes(1_000_000, acts_on_ticks=True, wakes_us=())
    assert not window.must_close_before(1_049_999, 50_000)
    assert window.must_close_before(1_050_000, 50_000)


def test_a_report_that_a_print_lets_through_ends_the_window_in_time() -> None:
    window = Window()
    window.includes(1_000_000, acts_on_ticks=False, wakes_us=[1_020_000])
    assert not window.must_close_before(9_000_000, 50_000)
    window.includes(1_030_000, acts_on_ticks=False, wakes_us=[1_020_000])
    window.includes(1_060_000, acts_on_ticks=False, wakes_us=[])
    assert not window.must_close_before(1_079_999, 50_000)
    assert window.must_close_before(1_080_000, 50_000)


def test_a_window_is_bounded() -> None:
    window = Window()
    for number in range(1_000):
        assert not window.must_close_before(number, 0)
        window.includes(number, acts_on_ticks=False, wakes_us=())
    assert window.must_close_before(1_000, 0)


def test_bars_that_have_a_print_end() -> None:
    bars = OpenBars()
    bars.add(7_200_000, {5 * SECOND, 60 * SECOND})
    assert sorted(bars.ends(7_200_000)) == [10 * SECOND, 60 * SECOND]
    bars.add(9_900_000, {5 * SECOND, 60 * SECOND})
    assert sorted(bars.ends(10 * SECOND)) == [60 * SECOND]
    bars.add(10 * SECOND, {5 * SECOND})
    assert sorted(bars.ends(10 * SECOND)) == [15 * SECOND, 60 * SECOND]


def test_a_bars_end_joins_the_window_of_its_print() -> None:
    print_us = 60 * SECOND - 1
    assert joins_window(60 * SECOND, print_us, 50_000)
    assert not joins_window(60 * SECOND, print_us, 1), "what is decided upon the print is there by then"
    assert not joins_window(61 * SECOND, print_us, 50_000)
    assert not joins_window(60 * SECOND, None, 50_000), "nobody is asked, so there is nothing to join"


def test_a_market_ends_when_its_last_bars_are_over_and_answered_for() -> None:
    assert market_end(7 * SECOND + 1, [SECOND, 5 * SECOND], 100_000) == 10 * SECOND + 2 * SECOND
    assert market_end(7 * SECOND + 1, [], 0) == 8 * SECOND + SECOND
