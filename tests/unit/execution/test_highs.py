"""The highest price since a moment, against looking at all of them."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from christmas.execution.highs import KEPT_US, Highs

PRINTS = st.lists(st.tuples(st.integers(0, 5_000_000), st.integers(1, 9)), max_size=60)


@given(prints=PRINTS, spread=st.sampled_from([1, 10, 100]), back_us=st.integers(0, 6_000_000))
def test_it_is_the_highest_of_all_that_came_since(prints: list[tuple[int, int]], spread: int, back_us: int) -> None:
    highs, now_us, all_prints = Highs(), 0, []
    for gap_us, price in prints:
        now_us += gap_us // spread
        highs.add(now_us, Decimal(price))
        all_prints.append((now_us, Decimal(price)))
    since_us = max(0, now_us - back_us)
    if since_us >= now_us - KEPT_US:
        assert highs.since(since_us) == max(
            (price for time_us, price in all_prints if time_us >= since_us), default=None
        )


def test_it_remembers_as_long_as_it_says() -> None:
    highs = Highs()
    highs.add(0, Decimal(9))
    highs.add(KEPT_US, Decimal(5))
    assert highs.since(0) == 9
    highs.add(KEPT_US + 1, Decimal(4))
    assert highs.since(0) == 5
