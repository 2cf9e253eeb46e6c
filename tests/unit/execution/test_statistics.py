"""Statistics by hand, against exact sums, and where they are not meaningful."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from christmas.execution.accounting import PositionFill
from christmas.execution.confidence import lower_bound, probability_of_at_least
from christmas.execution.excursions import DAY_US, PricePoint, price_points
from christmas.execution.order import Fill, Purpose
from christmas.execution.statistics import compute_statistics
from tests.unit.execution.venue import DipBuyer, Session, Terms, Venue, engine_of, random_market

SECOND = 1_000_000
CAPITAL = Decimal(1000)


def fill(position: str, purpose: Purpose, price: int, at_s: int, *, lots: int = 1, fee: str = "0.1") -> PositionFill:
    return PositionFill(
        position_id=position,
        purpose=purpose,
        lot_size=Decimal(1),
        fill=Fill(
            fill_id=f"{position}{purpose}{at_s}",
            client_order_id=f"{position}{purpose}",
            symbol="A",
            side="buy" if purpose == "entry" else "sell",
            price=Decimal(price),
            lots=lots,
            fee=Decimal(fee),
            liquidity="taker",
            time_us=at_s * SECOND,
        ),
    )


def path(*prices: tuple[int, int]) -> list[PricePoint]:
    return [PricePoint(time_us=at_s * SECOND, symbol="A", price=Decimal(price)) for at_s, price in prices]


def test_a_small_history_by_hand() -> None:
    fills = [
        fill("won", "entry", 100, 10),
        fill("won", "exit", 110, 20),
        fill("lost", "entry", 100, 20),
        fill("lost", "exit", 95, 30),
        fill("open", "entry", 100, 40, lots=2),
    ]
    prices = path((0, 100), (10, 100), (15, 80), (20, 110), (25, 90), (30, 95), (40, 100), (45, 120), (50, 99))
    found = compute_statistics(fills, prices, capital=CAPITAL, signals_skipped=7, end_us=100 * SECOND)
    assert (found.closed_trades, found.winning_trades, found.open_positions) == (2, 1, 1)
    assert found.realised_win_rate == Decimal("0.500000")
    assert found.marked_to_market_win_rate == Decimal("0.333333")
    assert found.realised_pnl == Decimal("9.8") + Decimal("-5.2")
    assert found.unrealised_pnl == Decimal("-2.1")
    assert found.fees == Decimal("0.5")
    assert found.equity_return == Decimal("0.002500")
    assert found.worst_excursion_pnl == Decimal("-20.1")
    assert found.worst_excursion == Decimal("-0.201000")
    assert found.oldest_position_age_s == 60
    # 100 for 20 s, 200 for 60 s, of 1000 over 100 s.
    assert found.capital_locked == Decimal("0.140000")
    assert found.capital_locked_peak == Decimal("0.200000")
    assert found.buy_and_hold_return == Decimal("-0.010000")
    assert found.profit_factor == Decimal("1.884615")
    assert found.average_trade == Decimal("2.300000")
    assert found.expectancy == Decimal("0.023000")
    # Peak: 1000 + 4.6 - 0.1 + 2 x 20 = 1044.5; last: 1002.5.
    assert found.max_drawdown == Decimal("0.040211")
    assert found.signals_skipped == 7
    assert found.sharpe is None
    assert "30 whole days" in found.not_meaningful["sharpe"]


def test_nothing_traded_is_not_a_win_rate() -> None:
    found = compute_statistics([], path((0, 100), (10, 150)), capital=CAPITAL)
    assert found.realised_win_rate is None
    assert found.realised_win_rate_lower_bound is None
    assert found.marked_to_market_win_rate is None
    assert found.not_meaningful["realised_win_rate"] == "no closed trade"
    assert found.equity_return == 0
    assert found.buy_and_hold_return == Decimal("0.500000")
    empty = compute_statistics([], [], capital=CAPITAL)
    assert empty.buy_and_hold_return is None
    with pytest.raises(ValueError, match="above zero"):
        compute_statistics([], [], capital=Decimal(0))


def test_zenbot_s_trap_shows() -> None:
    """25 wins, no loss, and money lost: the closed trades alone would say 100 %."""
    fills = [fill(f"w{i}", "entry", 100, 10 + i) for i in range(25)]
    fills += [fill(f"w{i}", "exit", 101, 100 + i) for i in range(25)]
    fills += [fill(f"held{i}", "entry", 100, 200 + i, lots=1) for i in range(4)]
    found = compute_statistics(fills, path((0, 100), (300, 60)), capital=CAPITAL)
    assert found.realised_win_rate == 1
    assert found.realised_win_rate_lower_bound == Decimal("0.887071")
    assert found.marked_to_market_win_rate == Decimal("0.862069")
    assert found.equity_return < 0
    assert found.profit_factor is None
    assert found.not_meaningful["profit_factor"] == "no losing trade"


def test_a_bar_s_low_counts_as_an_excursion() -> None:
    point = PricePoint(time_us=20 * SECOND, symbol="A", price=Decimal(100), low=Decimal(90))
    found = compute_statistics([fill("p", "entry", 100, 10)], [*path((0, 100)), point], capital=CAPITAL)
    assert found.worst_excursion_pnl == Decimal("-10.1")


def test_the_bound_of_38_of_38() -> None:
    assert lower_bound(38, 38) == pytest.approx(0.05 ** (1 / 38), abs=1e-15)
    assert lower_bound(38, 38) >= 0.92
    assert lower_bound(0, 10) == 0
    with pytest.raises(ValueError, match="11 successes"):
        lower_bound(11, 10)


@settings(max_examples=150, deadline=None)
@given(trials=st.integers(1, 60), data=st.data())
def test_the_bound_solves_the_exact_binomial_sum(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(1, trials))
    p = Fraction(lower_bound(successes, trials))
    exact = sum((comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(successes, trials + 1)), Fraction(0))
    assert float(exact) == pytest.approx(0.05, abs=1e-11)
    assert probability_of_at_least(successes, trials, float(p)) == pytest.approx(float(exact), abs=1e-12)


def test_the_bound_of_many_trades_is_near_the_normal_one() -> None:
    n, wins = 100_000, 90_000
    normal = 0.9 - 1.6448536 * (0.9 * 0.1 / n) ** 0.5
    assert lower_bound(wins, n) == pytest.approx(normal, abs=2e-5)


def test_sharpe_and_sortino_of_daily_equity_by_hand() -> None:
    """Forty days: the price alternates +1 and -0.5 on one unit held from the start."""
    days, price, prices = 40, 1000, [1000]
    for day in range(days):
        price += 10 if day % 2 == 0 else -5
        prices.append(price)
    points = [
        PricePoint(time_us=day * DAY_US + DAY_US // 2, symbol="A", price=Decimal(price))
        for day, price in enumerate(prices)
    ]
    found = compute_statistics([fill("p", "entry", 1000, 1, fee="0")], points, capital=CAPITAL)
    equity = [1000.0, *(float(price) for price in prices[:-1])]
    returns = [after / before - 1 for before, after in pairwise(equity)]
    mean = sum(returns) / len(returns)
    deviation = (sum((value - mean) ** 2 for value in returns) / (len(returns) - 1)) ** 0.5
    downside = (sum(min(value, 0) ** 2 for value in returns) / len(returns)) ** 0.5
    assert float(found.sharpe or 0) == pytest.approx(mean / deviation * 365**0.5, abs=1e-5)
    assert float(found.sortino or 0) == pytest.approx(mean / downside * 365**0.5, abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_statistics_of_a_session_agree_with_plain_sums_over_its_fills(seed: int) -> None:
    venue = Venue(Terms(seed=seed))
    session = Session(lambda: engine_of(DipBuyer), venue)
    ticks = random_market(seed, 300, volatility=60)
    session.run(ticks)
    found = compute_statistics(venue.fills, price_points(ticks), capital=CAPITAL)
    cash = sum(
        (
            Fraction(f.fill.price) * Fraction(f.lot_size) * f.fill.lots * (1 if f.fill.side == "sell" else -1)
            - Fraction(f.fill.fee)
            for f in venue.fills
        ),
        Fraction(0),
    )
    held = sum(f.fill.lots * (1 if f.fill.side == "buy" else -1) for f in venue.fills)
    equity = cash + Fraction(ticks[-1].price) * Fraction(1, 1000) * held
    assert Fraction(found.realised_pnl + found.unrealised_pnl) == equity
    assert found.fees == sum((f.fill.fee for f in venue.fills), Decimal(0))
    assert found.winning_trades == found.closed_trades
