"""What an order's way took is counted from where it is known to have begun, and nothing that a peer makes up."""

from __future__ import annotations

import time

import pytest
from prometheus_client import REGISTRY

from christmas.brokers.gateway.moments import UNKNOWN, Moments


def counted() -> list[float]:
    names = ("tick_to_order", "signal_to_order", "intent_to_order")
    return [REGISTRY.get_sample_value(f"christmas_gateway_{name}_seconds_count") or 0.0 for name in names]


def counts_of(moments: Moments) -> list[float]:
    before = counted()
    moments.sent()
    return [after - earlier for after, earlier in zip(counted(), before, strict=True)]


def test_each_moment_that_is_known_counts_in_its_own_histogram() -> None:
    now_s = time.perf_counter()
    assert counts_of(Moments(now_s - 0.003, now_s - 0.002, now_s - 0.001)) == [1, 1, 1]
    assert counts_of(Moments(None, None, now_s)) == [0, 0, 1]
    assert counts_of(UNKNOWN) == [0, 0, 0]


@pytest.mark.parametrize("ahead_s", [100.0, -100.0])
def test_a_moment_of_another_clock_does_not_count(ahead_s: float) -> None:
    now_s = time.perf_counter()
    assert counts_of(Moments(now_s, now_s + ahead_s, now_s)) == [1, 0, 1]
