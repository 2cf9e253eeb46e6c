"""Exit decisions and the price below which NoLoss does not sell."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from christmas.execution.accounting import RoundTrip
from christmas.execution.config import CapitalConfig, ExitConfig
from christmas.execution.exits import (
    ExitDecision,
    Holding,
    Market,
    Offer,
    break_even_price,
    decide_exit,
    exceeds_drawdown,
    no_loss_price,
    retry_us,
)
from christmas.execution.protocol import Fees
from christmas.execution.sizing import capital_left, size_entry
from christmas.market.instrument import Instrument

INSTRUMENT = Instrument(
    symbol="BTC/USDT",
    price_increment=Decimal("0.01"),
    lot_size=Decimal("0.00001"),
    minimum_notional=Decimal(5),
    minimum_lots=1,
    maximum_lots=1_000_000,
)
FEES = Fees(maker=Decimal("0.0002"), taker=Decimal("0.0005"))


def trip_of(price: str = "60000", lots: int = 1000, fee: str = "0.12") -> RoundTrip:
    return RoundTrip(
        position_id="p",
        symbol="BTC/USDT",
        lot_size=INSTRUMENT.lot_size,
        entry_lots=lots,
        entry_notional=Decimal(price) * INSTRUMENT.lot_size * lots,
        entry_fees=Decimal(fee),
        opened_us=1_000_000,
    )


def holding(
    *, best: str | None = None, rule: str | None = None, has_rule: bool = False, decided: ExitDecision | None = None
) -> Holding:
    return Holding(
        trip=trip_of(),
        best_price=None if best is None else Decimal(best),
        rule_reason=rule,
        has_exit_rule=has_rule,
        decided=decided,
    )


def decide(held: Holding, config: ExitConfig, last: str | None = None, *, low: str | None = None) -> ExitDecision:
    market = Market(last=None if last is None else Decimal(last), low=None if low is None else Decimal(low))
    return decide_exit(held, market, 2_000_000, config)


def test_the_no_loss_price_by_hand() -> None:
    # 600 paid, 0.12 fee, 0.30 profit: 600.42 / 0.9995 / 0.01 = 60072.036..., up to 60072.04, one increment more.
    price = no_loss_price(trip_of(), 1000, (), instrument=INSTRUMENT, fees=FEES, minimum_profit=Decimal("0.0005"))
    assert str(price) == "60072.05"


@given(
    lots=st.integers(1, 10**6),
    price=st.integers(1, 10**8),
    entry_fee=st.integers(-100, 1000),
    taker=st.integers(-50, 3000),
    profit=st.integers(0, 1000),
)
def test_the_no_loss_price_is_the_lowest_that_pays_plus_one_increment(
    *, lots: int, price: int, entry_fee: int, taker: int, profit: int
) -> None:
    entry_notional = Decimal(price) / 100 * INSTRUMENT.lot_size * lots
    trip = RoundTrip(
        position_id="p",
        symbol="BTC/USDT",
        lot_size=INSTRUMENT.lot_size,
        entry_lots=lots,
        entry_notional=entry_notional,
        entry_fees=entry_notional * entry_fee / 100_000,
    )
    fees = Fees(maker=Decimal("-0.001"), taker=Decimal(taker) / 100_000)
    minimum = Decimal(profit) / 100_000
    floor = no_loss_price(trip, lots, (), instrument=INSTRUMENT, fees=fees, minimum_profit=minimum)
    assert INSTRUMENT.is_on_increment(floor)
    needed = Fraction(entry_notional) * (1 + Fraction(minimum)) + Fraction(trip.entry_fees)

    def proceeds(at: Decimal) -> Fraction:
        return Fraction(at) * Fraction(INSTRUMENT.lot_size) * lots * (1 - Fraction(max(fees.taker, fees.maker)))

    assert proceeds(floor - INSTRUMENT.price_increment) >= needed
    below = floor - 2 * INSTRUMENT.price_increment
    assert below <= 0 or proceeds(below) < needed


@given(
    parts=st.lists(st.tuples(st.integers(1, 500), st.integers(5_900_000, 6_100_000)), min_size=2, max_size=6),
    profit=st.sampled_from((Decimal(0), Decimal("0.001"))),
)
def test_one_exit_order_for_each_part_of_an_entry_never_loses_on_the_whole(
    parts: list[tuple[int, int]], profit: Decimal
) -> None:
    """Each part is offered as it comes, at the floor of then; all fill at their limits, as taker."""
    trip = trip_of(lots=0, fee="0")
    offers: list[Offer] = []
    for lots, cents in parts:
        notional = Decimal(cents) / 100 * INSTRUMENT.lot_size * lots
        trip.entry_lots += lots
        trip.entry_notional += notional
        trip.entry_fees += notional * FEES.taker
        floor = no_loss_price(trip, lots, offers, instrument=INSTRUMENT, fees=FEES, minimum_profit=profit)
        offers.append(Offer(floor, lots))
    proceeds = sum(offer.price * INSTRUMENT.lot_size * offer.lots for offer in offers) * (1 - FEES.taker)
    assert proceeds >= trip.entry_notional * (1 + profit) + trip.entry_fees


def test_no_loss_rests_from_the_entry_on_or_waits_for_the_rule() -> None:
    config = ExitConfig()
    assert decide(holding(), config, "1").action == "no_loss"
    assert decide(holding(has_rule=True), config, "1").action == "hold"
    fired = decide(holding(has_rule=True, rule="rsi(14) > 60"), config, "1")
    assert (fired.action, fired.reason, fired.breaks_policy) == ("no_loss", "NoLoss: rsi(14) > 60", None)


@pytest.mark.parametrize("policy", ["NoLoss", "StopLoss", "Trailing"])
def test_an_age_that_the_user_wrote_breaks_any_policy_and_says_so(policy: str) -> None:
    config = ExitConfig(
        policy=policy,  # type: ignore[arg-type]
        stop_loss=Decimal("0.01"),
        trailing_distance=Decimal("0.01"),
        maximum_age_us=1_000_000,
    )
    decision = decide(holding(), config, "60000")
    assert (decision.action, decision.breaks_policy) == ("market", "maximumAge")
    assert "1 s" in decision.reason


def test_a_drawdown_that_the_user_wrote_breaks_no_loss_and_says_so() -> None:
    config = ExitConfig(maximum_drawdown=Decimal("0.1"))
    assert not exceeds_drawdown(Decimal("-99.99"), Decimal(1000), config)
    assert exceeds_drawdown(Decimal(-100), Decimal(1000), config)
    assert not exceeds_drawdown(Decimal(-1000), Decimal(1000), ExitConfig())
    decision = decide_exit(holding(), Market(last=Decimal(1), is_drawdown_exceeded=True), 2_000_000, config)
    assert (decision.action, decision.breaks_policy) == ("market", "maximumDrawdown")


def test_a_stop_is_exact_at_its_level() -> None:
    config = ExitConfig(policy="StopLoss", stop_loss=Decimal("0.01"))
    assert decide(holding(has_rule=True), config, "59400.01").action == "hold"
    assert decide(holding(has_rule=True), config, "59400").action == "market"
    assert decide(holding(has_rule=True), config, "59900", low="59400").action == "market"
    assert decide(holding(has_rule=True), config).action == "hold"
    assert decide(holding(), config, "59900").action == "no_loss"
    assert decide(holding(has_rule=True, rule="rsi"), config, "59900").action == "market"


def test_trailing_follows_the_best_price() -> None:
    config = ExitConfig(policy="Trailing", stop_loss=Decimal("0.05"), trailing_distance=Decimal("0.01"))
    assert decide(holding(best="61000"), config, "60390.01").action == "hold"
    assert decide(holding(best="61000"), config, "60390").action == "market"
    assert decide(holding(best="60000"), config, "57000").action == "market"


def test_a_market_exit_stands_once_it_is_decided() -> None:
    config = ExitConfig(policy="StopLoss", stop_loss=Decimal("0.01"))
    decided = ExitDecision(action="market", reason="stop loss")
    assert decide(holding(decided=decided), config, "70000") is decided


def test_policies_without_their_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="needs stop_loss"):
        ExitConfig(policy="StopLoss")
    with pytest.raises(ValueError, match="trailing_distance"):
        ExitConfig(policy="Trailing", stop_loss=Decimal("0.1"))
    with pytest.raises(ValueError, match="plan a loss"):
        ExitConfig(minimum_profit=Decimal("-0.1"))


def test_break_even_counts_what_came_back() -> None:
    trip = trip_of()
    assert break_even_price(trip, INSTRUMENT, FEES) == Decimal("60042.03")
    trip.exit_lots, trip.exit_notional = 999, Decimal(10_000)
    assert break_even_price(trip, INSTRUMENT, FEES) == INSTRUMENT.price_increment


def test_refused_exits_back_off_from_the_next_bar_to_five_minutes() -> None:
    bar = 5_000_000
    assert [retry_us(failures, 12_300_000, bar) for failures in (1, 2, 3)] == [15_000_000, 20_000_000, 30_000_000]
    assert retry_us(50, 12_300_000, bar) == 15_000_000 + 59 * bar
    assert retry_us(50, 12_300_000, 600_000_000) == 600_000_000


CAPITAL = CapitalConfig(amount=Decimal(1000), per_trade=Decimal(100), max_positions=3)


def test_entries_are_whole_lots_within_per_trade_and_what_is_left() -> None:
    price = Decimal(60000)
    assert size_entry(INSTRUMENT, price, capital=CAPITAL, left=Decimal(1000)).lots == 166
    assert size_entry(INSTRUMENT, price, capital=CAPITAL, left=Decimal(30)).lots == 50
    assert size_entry(INSTRUMENT, price, capital=CAPITAL, left=Decimal(1000), lots=7 * 3).lots == 21
    assert size_entry(INSTRUMENT, price, capital=CAPITAL, left=Decimal(1000), wanted_notional=Decimal(12)).lots == 20


def test_an_entry_that_cannot_be_says_why() -> None:
    price = Decimal(60000)
    refusals = [
        size_entry(INSTRUMENT, price, capital=CAPITAL, left=Decimal(4)),
        size_entry(INSTRUMENT, price, capital=CAPITAL, left=Decimal(-4)),
        size_entry(INSTRUMENT, price, capital=CAPITAL, left=Decimal(1000), lots=2),
        size_entry(INSTRUMENT, price, capital=CAPITAL, left=Decimal(1000), wanted_notional=Decimal(101)),
        size_entry(INSTRUMENT, Decimal(0), capital=CAPITAL, left=Decimal(1000)),
    ]
    assert [size.lots for size in refusals] == [0] * 5
    for size, word in zip(refusals, ("capital used", "capital used", "minimum", "perTrade", "price"), strict=True):
        assert word in size.refusal


def test_losses_shrink_the_capital_and_profits_do_not_raise_it() -> None:
    assert capital_left(CAPITAL, Decimal(-50), Decimal(100)) == 850
    assert capital_left(CAPITAL, Decimal(50), Decimal(100)) == 900
