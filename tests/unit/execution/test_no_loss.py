"""NoLoss holds over random markets, fees, partial fills, refusals, report orders and restarts."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from christmas.execution.accounting import round_trips
from christmas.execution.config import ExitConfig
from christmas.execution.order import OrderIntent, OrderReport
from christmas.execution.protocol import Fees
from christmas.execution.strategies.base import Strategy
from tests.unit.execution.venue import DipBuyer, DipTrader, Session, Terms, Venue, engine_of, random_market

seeds = st.integers(min_value=0, max_value=10**6)
rates = st.integers(min_value=-20, max_value=100).map(lambda points: Decimal(points) / 10_000)


def mangled(seed: int) -> Callable[[list[OrderReport]], list[OrderReport]]:
    """Reports of one moment in any order, some twice, and old ones again."""
    random, old = Random(seed), list[OrderReport]()

    def deliver(reports: list[OrderReport]) -> list[OrderReport]:
        old.extend(reports)
        told = [*reports, *random.sample(reports, k=len(reports) // 2)]
        if old and random.random() < 0.2:
            told.append(random.choice(old))
        random.shuffle(told)
        return told

    return deliver


@settings(max_examples=120, deadline=None)
@given(
    seed=seeds,
    volatility=st.integers(min_value=1, max_value=120),
    maker=rates,
    taker=rates,
    participation=st.sampled_from((0.02, 0.25, 1.0)),
    refusals=st.sampled_from((0.0, 0.3)),
    minimum_profit=st.sampled_from((Decimal(0), Decimal("0.0005"), Decimal("0.003"))),
    restarts=st.frozensets(st.integers(min_value=1, max_value=399), max_size=4),
    with_exit_rule=st.booleans(),
    mangle=st.booleans(),
)
@example(
    seed=3, volatility=60, maker=Decimal(0), taker=Decimal(0), participation=0.02, refusals=0.3,
    minimum_profit=Decimal(0), restarts=frozenset({40, 41, 120}), with_exit_rule=True, mangle=True,
)  # fmt: skip
def test_no_position_closes_below_break_even(
    *,
    seed: int,
    volatility: int,
    maker: Decimal,
    taker: Decimal,
    participation: float,
    refusals: float,
    minimum_profit: Decimal,
    restarts: frozenset[int],
    with_exit_rule: bool,
    mangle: bool,
) -> None:
    fees = Fees(maker=maker, taker=taker)
    venue = Venue(Terms(seed=seed, participation=participation, reject=refusals, expire=refusals / 3, fees=fees))
    session = Session(
        lambda: engine_of(
            DipTrader if with_exit_rule else DipBuyer, fees=fees, exit=ExitConfig(minimum_profit=minimum_profit)
        ),
        venue,
        mangle=mangled(seed) if mangle else None,
    )
    session.run(random_market(seed, 400, volatility=volatility), restarts)  # the venue raises when oversold
    for intent in session.intents:
        if isinstance(intent, OrderIntent) and intent.purpose == "exit":
            assert intent.type == "limit"
            assert intent.breaks_policy is None
    for trip in round_trips(venue.fills):
        assert 0 <= trip.exit_lots <= trip.entry_lots
        if trip.is_closed:
            assert trip.cash_flow >= minimum_profit * trip.entry_notional
            assert trip.cash_flow > 0


@pytest.mark.parametrize("strategy", [DipBuyer, DipTrader])
def test_the_property_is_about_something(strategy: type[Strategy]) -> None:
    """Markets like those above do make trades, some of them in parts."""
    closed, parts = 0, 0
    for seed in range(5):
        venue = Venue(Terms(seed=seed))
        Session(lambda: engine_of(strategy), venue).run(random_market(seed, 400, volatility=60))
        closed += sum(trip.is_closed for trip in round_trips(venue.fills))
        parts += sum(recorded.purpose == "exit" and recorded.fill.lots < 40 for recorded in venue.fills)
    assert closed >= 20
    assert parts >= 20


@settings(max_examples=60, deadline=None)
@given(seed=seeds, policy=st.sampled_from(("StopLoss", "Trailing")), mangle=st.booleans())
def test_other_policies_never_oversell_either(*, seed: int, policy: str, mangle: bool) -> None:
    exit_ = ExitConfig(
        policy=policy,  # type: ignore[arg-type]
        stop_loss=Decimal("0.002"),
        trailing_distance=Decimal("0.001"),
        maximum_age_us=60_000_000,
        maximum_drawdown=Decimal("0.0005"),
    )
    venue = Venue(Terms(seed=seed, reject=0.2, expire=0.1))
    session = Session(lambda: engine_of(DipBuyer, exit=exit_), venue, mangle=mangled(seed) if mangle else None)
    session.run(random_market(seed, 250, volatility=100), frozenset({100, 101}))
    for trip in round_trips(venue.fills):
        assert 0 <= trip.exit_lots <= trip.entry_lots
