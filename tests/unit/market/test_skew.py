"""The exchange's clock, learnt from the arrival of prints."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

from christmas.market.skew import SkewEstimator
from tests.support.data import FUTURES_WEBSOCKET
from tests.support.ticks import START_US


def test_without_a_sample_the_clocks_agree() -> None:
    skew = SkewEstimator()
    assert (skew.offset_us, skew.jitter_us, skew.market_time_us(START_US)) == (0, 0, START_US)


def test_outliers_do_not_move_it() -> None:
    skew, random_ = SkewEstimator(window=100), random.Random(7)
    for n in range(500):
        wrong = n % 20 == 0
        exchange_us = START_US + n * 1_000
        delay_us = random_.randint(2_000, 12_000)
        skew.observe(exchange_us + (3_600_000_000 if wrong else 0), exchange_us + delay_us - 1_200_000)
    assert 1_180_000 < skew.offset_us <= 1_198_000
    assert skew.jitter_us < 12_000
    assert skew.samples == 100


def test_it_follows_a_clock_that_is_set() -> None:
    skew = SkewEstimator(window=50)
    for n in range(50):
        skew.observe(START_US + n, START_US + n)
    for n in range(50):
        skew.observe(START_US + n, START_US + n - 5_000_000)
    assert skew.offset_us == 5_000_000


def test_the_captured_futures_feed(shared_data: Path) -> None:
    """The receiver is 1.2 s behind: market time is found within 50 ms, and little comes after it is settled."""
    skew = SkewEstimator()
    seen = overdue = 0
    largest_error_us = 0
    with gzip.open(shared_data / FUTURES_WEBSOCKET, "rt", encoding="utf-8") as lines:
        for line in lines:
            if '"e":"trade"' not in line:
                continue
            received_ns, _, message = line.partition(" ")
            received_us = int(received_ns) // 1_000
            event = json.loads(message)["data"]
            if skew.samples >= 50:
                seen += 1
                overdue += event["T"] * 1_000 < skew.settled_us(received_us, grace_us=50_000)
                largest_error_us = max(largest_error_us, abs(skew.market_time_us(received_us) - event["E"] * 1_000))
            skew.observe(event["T"] * 1_000, received_us)
    assert seen > 20_000
    assert 1_150_000 < skew.offset_us < 1_300_000
    assert overdue / seen < 0.01
    assert skew.jitter_us < 500_000
