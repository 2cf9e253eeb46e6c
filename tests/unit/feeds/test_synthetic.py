"""The made-up market: the same for ever, and like a real one where it matters."""

from __future__ import annotations

import time
from collections import Counter
from decimal import Decimal
from itertools import islice, pairwise
from math import log, sqrt
from pathlib import Path

import pytest

from christmas.brokers.feeds.open import open_feed
from christmas.brokers.feeds.synthetic import LARGEST_BATCH, SyntheticFeed
from christmas.brokers.feeds.synthetic_market import SECONDS_PER_YEAR, SyntheticMarket
from christmas.market.instrument import Instrument
from christmas.market.raw import FeedTick
from christmas.resources.broker import FeedSpec
from christmas.telemetry.steady import steady_us

BTC = Instrument(symbol="BTC/USDT", price_increment=Decimal("0.1"), lot_size=Decimal("0.001"), maximum_lots=100_000)
ETH = Instrument(symbol="ETH/USDT", price_increment=Decimal("0.01"), lot_size=Decimal("0.0001"))
NOON_US = 1_723_118_400_000_000
HOUR_S = 3600


def feed(*, seed: int = 1, rate: float = 8.0, volatility: float = 0.6, clock_us: int | None = None) -> SyntheticFeed:
    return SyntheticFeed(
        [BTC],
        seed=seed,
        ticks_per_second=rate,
        start_price=60_000,
        annual_volatility=volatility,
        clock=steady_us if clock_us is None else lambda: clock_us,
    )


@pytest.fixture(scope="module")
def day() -> list[FeedTick]:
    return feed().history(NOON_US, 12 * HOUR_S)


def test_the_same_seed_gives_the_same_prints_and_another_seed_others() -> None:
    first, again, other = (feed(seed=seed).history(NOON_US, 120) for seed in (1, 1, 2))
    assert first == again
    assert [tick.price for tick in first[:50]] != [tick.price for tick in other[:50]]


def test_time_alone_decides_so_a_restart_goes_on_in_the_same_market() -> None:
    whole = feed().history(NOON_US, 900)
    part = feed().history(NOON_US, 120)
    assert part == whole[-len(part) :]
    assert len(part) > 200


def test_ids_are_unique_and_increase_and_prices_and_sizes_are_valid(day: list[FeedTick]) -> None:
    ids = [int(tick.trade_id) for tick in day]
    assert all(before < after for before, after in pairwise(ids))
    assert all(before.time_us <= after.time_us for before, after in pairwise(day))
    for tick in day[:5000]:
        assert BTC.is_on_increment(tick.price)
        assert 1 <= BTC.lots(tick.quantity) <= 100_000


def test_it_prints_as_often_as_asked_and_in_clusters(day: list[FeedTick]) -> None:
    seconds = 12 * HOUR_S
    assert 0.8 < len(day) / seconds / 8.0 < 1.25
    counts = Counter(tick.time_us // 1_000_000 for tick in day)
    mean = len(day) / seconds
    variance = (
        sum(
            (counts.get(second, 0) - mean) ** 2
            for second in range(NOON_US // 1_000_000 - seconds, NOON_US // 1_000_000)
        )
        / seconds
    )
    assert variance / mean > 2, "a Poisson process has 1"


@pytest.mark.parametrize("volatility", [0.3, 0.6, 1.2])
def test_the_volatility_is_the_one_asked_for(volatility: float) -> None:
    variances = []
    for seed in range(3):
        returns = _returns(feed(seed=seed, rate=2.0, volatility=volatility).history(NOON_US, 6 * HOUR_S), 60)
        variances.append(sum(step * step for step in returns) / len(returns) * SECONDS_PER_YEAR / 60)
    realised = sqrt(sum(variances) / len(variances))
    assert volatility / 1.5 < realised < volatility * 1.5


def test_volatility_comes_in_clusters_and_returns_do_not_follow_a_line(day: list[FeedTick]) -> None:
    returns = _returns(day, 5)
    assert _autocorrelation([abs(step) for step in returns]) > 0.05
    kurtosis = _moment(returns, 4) / _moment(returns, 2) ** 2
    assert kurtosis > 3.5, "a normal distribution has 3"


def test_prices_stay_around_the_start_over_years() -> None:
    for year in range(8):
        (tick,) = islice(
            SyntheticMarket(BTC, seed=5, ticks_per_second=1.0, start_price=60_000, annual_volatility=0.6).prints(
                NOON_US + year * 31_536_000_000_000
            ),
            1,
        )
        assert 50_000 < tick.price < 72_000


def test_takers_push_the_price_and_it_bounces(day: list[FeedTick]) -> None:
    moves = [(after.price - before.price, after.taker_side) for before, after in pairwise(day)]
    with_move = sum(1 for move, side in moves if (move > 0 and side == "buy") or (move < 0 and side == "sell"))
    against = sum(1 for move, side in moves if (move > 0 and side == "sell") or (move < 0 and side == "buy"))
    assert with_move > 1.5 * against > 0
    buys = sum(1 for tick in day if tick.taker_side == "buy")
    assert 0.4 < buys / len(day) < 0.6


def test_sizes_are_uneven_and_often_round(day: list[FeedTick]) -> None:
    lots = sorted(BTC.lots(tick.quantity) for tick in day)
    median, top = lots[len(lots) // 2], lots[len(lots) * 99 // 100]
    assert top > 8 * median
    big = [size for size in lots if size >= 20]
    assert sum(1 for size in big if str(size).strip("0") in {"1", "2", "5"}) / len(big) > 0.2


def _returns(ticks: list[FeedTick], seconds: int) -> list[float]:
    closes = {tick.time_us // (seconds * 1_000_000): float(tick.price) for tick in ticks}
    prices = [closes[key] for key in sorted(closes)]
    return [log(after / before) for before, after in pairwise(prices)]


def _moment(values: list[float], power: int) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** power for value in values) / len(values)


def _autocorrelation(values: list[float]) -> float:
    mean = sum(values) / len(values)
    pairs = sum((before - mean) * (after - mean) for before, after in pairwise(values)) / (len(values) - 1)
    return pairs / _moment(values, 2)


# --- as a feed ---------------------------------------------------------------------------------


async def test_history_and_live_prints_meet_without_gap_or_overlap() -> None:
    now_us = steady_us()
    live = feed(rate=200.0)
    past = live.history(now_us - 500_000, 10)
    assert past
    assert past[0].time_us >= now_us - 10_500_000
    seen: list[FeedTick] = []
    async for batch in live.batches():
        seen.extend(batch)
        if seen[-1].time_us >= now_us + 300_000:
            break
    await live.close()
    assert (
        past + seen
        == [
            tick
            for tick in feed(rate=200.0).history(steady_us(), 20)
            if past[0].time_us <= tick.time_us <= seen[-1].time_us
        ][: len(past) + len(seen)]
    )


async def test_live_prints_have_the_time_of_now_and_close_ends_them() -> None:
    live = feed(rate=100.0)
    started = time.perf_counter()
    count = 0
    async for batch in live.batches():
        now_us = steady_us()
        assert len(batch) <= LARGEST_BATCH
        assert all(now_us - 1_000_000 < tick.time_us <= now_us for tick in batch)
        count += len(batch)
        if time.perf_counter() - started > 0.6:
            await live.close()
    assert count > 10
    assert time.perf_counter() - started < 5


async def test_a_machine_that_slept_goes_on_from_now() -> None:
    slept_us = 0
    live = SyntheticFeed(
        [BTC],
        seed=1,
        ticks_per_second=50.0,
        start_price=60_000,
        annual_volatility=0.6,
        clock=lambda: steady_us() + slept_us,
    )
    batches = live.batches()
    (first, *_) = await anext(batches)
    slept_us = HOUR_S * 1_000_000
    (second, *_) = await anext(batches)
    assert second.time_us - first.time_us >= slept_us
    await live.close()


def test_it_is_what_a_broker_without_a_feed_gets(tmp_path: Path) -> None:
    made = open_feed(FeedSpec(), {"BTC/USDT": BTC, "ETH/USDT": ETH}, base_dir=tmp_path)
    assert isinstance(made, SyntheticFeed)
    ticks = made.history(NOON_US, 60)
    assert {tick.symbol for tick in ticks} == {"BTC/USDT", "ETH/USDT"}
    assert all(before.time_us <= after.time_us for before, after in pairwise(ticks))
