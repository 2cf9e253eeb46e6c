"""How much of a made-up market is made up again when its gateway starts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from christmas.brokers.gateway.app import seeded_s

MICROSECONDS = st.integers(min_value=1_700_000_000_000_000, max_value=1_900_000_000_000_000)


@given(MICROSECONDS, st.integers(min_value=0, max_value=890_000_000))
def test_no_print_since_the_stream_s_clock_is_left_out(clock_us: int, away_us: int) -> None:
    now_us = clock_us + away_us
    assert now_us - seeded_s(now_us, clock_us) * 1_000_000 < clock_us


@given(MICROSECONDS, st.integers(min_value=-5_000_000, max_value=10**12))
def test_it_is_never_nothing_and_never_more_than_a_warm_up_takes(clock_us: int, away_us: int) -> None:
    assert 1 <= seeded_s(clock_us + away_us, clock_us) <= 900
