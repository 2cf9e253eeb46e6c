from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from christmas.fleet.backoff import FIRST_S, LONGEST_S, STABLE_AFTER_S, failures_after, restart_delay


@given(st.integers(1, 100), st.integers())
def test_a_wait_doubles_up_to_a_bound_and_half_of_it_is_chance(failures: int, seed: int) -> None:
    delay = restart_delay(failures, random.Random(seed))
    full = min(LONGEST_S, FIRST_S * 2.0 ** (failures - 1))
    assert full / 2 <= delay <= full


def test_two_that_fell_together_do_not_rise_together() -> None:
    jitter = random.Random(1)
    assert restart_delay(5, jitter) != restart_delay(5, jitter)


def test_a_stable_run_begins_the_count_anew() -> None:
    assert failures_after(4, STABLE_AFTER_S - 1) == 5
    assert failures_after(4, STABLE_AFTER_S) == 1
