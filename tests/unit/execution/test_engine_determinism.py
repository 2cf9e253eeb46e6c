"""The same inputs give the same bytes: told again, told by the second, cut off, or gone on with after a restart."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from christmas.execution.config import ExitConfig
from christmas.execution.order import OrderIntent
from christmas.execution.strategies.base import Strategy
from christmas.market.tick import Tick
from tests.unit.execution.venue import DipBuyer, DipTrader, Session, Terms, Venue, engine_of, random_market

seeds = st.integers(min_value=0, max_value=10**6)
kinds = st.sampled_from((DipBuyer, DipTrader))
NO_LOSS = ExitConfig()
STOP = ExitConfig(policy="StopLoss", stop_loss=Decimal("0.004"))
AGE = ExitConfig(maximum_age_us=20_500_000)


def session(kind: type[Strategy], seed: int, exit_: ExitConfig = NO_LOSS, *, every_second: bool = False) -> Session:
    venue = Venue(Terms(seed=seed, reject=0.2, expire=0.05))
    return Session(lambda: engine_of(kind, exit=exit_), venue, every_second=every_second)


def market(seed: int) -> list[Tick]:
    return random_market(seed, 300, volatility=60)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, kind=kinds, exit_=st.sampled_from((NO_LOSS, STOP, AGE)))
def test_the_same_inputs_give_the_same_bytes(*, seed: int, kind: type[Strategy], exit_: ExitConfig) -> None:
    first = session(kind, seed, exit_)
    second = session(kind, seed, exit_)
    assert first.run(market(seed)) == second.run(market(seed))
    assert first.notes == second.notes
    assert msgspec.json.encode(first.engine.status()) == msgspec.json.encode(second.engine.status())


@settings(max_examples=80, deadline=None)
@given(seed=seeds, kind=kinds, exit_=st.sampled_from((NO_LOSS, STOP, AGE)))
def test_a_clock_that_jumps_equals_every_second(*, seed: int, kind: type[Strategy], exit_: ExitConfig) -> None:
    jumps, steps = session(kind, seed, exit_), session(kind, seed, exit_, every_second=True)
    assert jumps.run(market(seed)) == steps.run(market(seed))
    assert jumps.notes == steps.notes


@settings(max_examples=80, deadline=None)
@given(
    seed=seeds,
    kind=kinds,
    exit_=st.sampled_from((NO_LOSS, AGE)),
    restarts=st.frozensets(st.integers(min_value=1, max_value=299), min_size=1, max_size=5),
)
def test_a_restart_changes_no_intent(
    *, seed: int, kind: type[Strategy], exit_: ExitConfig, restarts: frozenset[int]
) -> None:
    """What the journal holds is gone on with. (What it cannot hold: a rule that fired and led to no order yet.)"""
    restarted = session(kind, seed, exit_).run(market(seed), restarts, only_when_journaled=True)
    assert restarted == session(kind, seed, exit_).run(market(seed))


@settings(max_examples=40, deadline=None)
@given(seed=seeds, kind=kinds, cut=st.integers(min_value=1, max_value=299))
def test_the_future_changes_no_past_intent(*, seed: int, kind: type[Strategy], cut: int) -> None:
    whole, short, other = session(kind, seed), session(kind, seed), session(kind, seed)
    ticks = market(seed)
    whole.run(ticks)
    short.run(ticks[:cut])
    raised = [msgspec.structs.replace(tick, price=tick.price * 2) for tick in ticks[cut:]]
    other.run([*ticks[:cut], *raised])
    known = len(short.intents)
    # What the moment after the cut brings may be decided at a boundary before it, never before the last tick.
    assert whole.intents[:known] == short.intents
    assert other.intents[:known] == short.intents
    for intent in whole.intents[known:]:
        assert intent.decided_us >= ticks[cut - 1].time_us


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_an_order_id_stands_for_one_order(*, seed: int) -> None:
    run = session(DipTrader, seed)
    run.run(market(seed), frozenset({50, 51, 52, 200}))
    ids = [intent.client_order_id for intent in run.intents if isinstance(intent, OrderIntent)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("kind", [DipBuyer, DipTrader])
def test_late_ticks_change_nothing(kind: type[Strategy]) -> None:
    ticks = market(7)
    absurd = [
        msgspec.structs.replace(tick, price=Decimal(1), late=True, time_us=tick.time_us - 3_000_000, trade_id=f"l{i}")
        for i, tick in enumerate(ticks)
    ]
    mixed = [tick for pair in zip(ticks, absurd, strict=True) for tick in pair]
    plain, disturbed = session(kind, 7), session(kind, 7)
    plain.run(ticks)
    venue_blind = [tick for tick in mixed if not tick.late]
    assert venue_blind == ticks
    engine = disturbed.engine
    for number, tick in enumerate(ticks):
        disturbed.run([tick])
        engine.on_tick(absurd[number])
    assert disturbed.intents == plain.intents
