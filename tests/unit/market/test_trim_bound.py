"""What may be trimmed: never what is not recorded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from christmas.market.trimming import trim_bound_us
from tests.support.ticks import SECOND_US, START_US

MINUTE_US = 60 * SECOND_US
times = st.integers(START_US, START_US + 3_600 * SECOND_US)


@given(st.none() | times, times, times, st.lists(times, max_size=4), st.integers(0, 600 * SECOND_US))
def test_the_bound_spares_what_must_stay(
    watermark_us: int | None, clock_us: int, newest_us: int, late_us: list[int], keep_us: int
) -> None:
    bound_us = trim_bound_us(watermark_us, clock_us, newest_us, late_us, keep_us)
    assert bound_us % MINUTE_US == 0
    if watermark_us is None:
        assert bound_us == 0
        return
    assert bound_us <= watermark_us + 1
    assert bound_us <= newest_us
    assert bound_us <= max(0, clock_us - keep_us)
    assert all(bound_us <= time_us for time_us in late_us)


def test_what_is_recorded_and_old_may_go() -> None:
    bound_us = trim_bound_us(
        START_US + 20 * MINUTE_US, START_US + 21 * MINUTE_US, START_US + 20 * MINUTE_US, [], 10 * MINUTE_US
    )
    assert bound_us == START_US + 11 * MINUTE_US
