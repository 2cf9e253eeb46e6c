"""What is let into the market, and what is quarantined for which reason."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from christmas.market.instrument import Instrument
from christmas.market.quality import Duplicate, QualityLimits, Reason, Refusal, SymbolJudge
from christmas.market.raw import FeedTick
from christmas.market.tick import Tick
from tests.support.ticks import BTC, SECOND_US, START_US, feed_tick, tick


def judge_all(judge: SymbolJudge, *prints: FeedTick) -> list[str]:
    """For each print ``ok``, ``late``, ``duplicate`` or the reason of its refusal."""
    words = []
    for raw in prints:
        verdict = judge.judge(raw, 0, None)
        match verdict:
            case Tick():
                words.append("late" if verdict.late else "ok")
            case Duplicate():
                words.append("duplicate")
            case Refusal():
                words.append(str(verdict.reason))
    return words


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price": Decimal(0)}, Reason.BAD_PRICE),
        ({"price": Decimal("-60000.0")}, Reason.BAD_PRICE),
        ({"price": Decimal("NaN")}, Reason.BAD_PRICE),
        ({"price": Decimal("sNaN")}, Reason.BAD_PRICE),
        ({"price": Decimal("Infinity")}, Reason.BAD_PRICE),
        ({"price": Decimal("1E+40")}, Reason.BAD_PRICE),
        ({"price": Decimal("60000.05")}, Reason.OFF_INCREMENT),
        ({"price": Decimal("60000.0000000000000000000000000000000001")}, Reason.OFF_INCREMENT),
        ({"quantity": Decimal(0)}, Reason.BAD_QUANTITY),
        ({"quantity": Decimal("-0.001")}, Reason.BAD_QUANTITY),
        ({"quantity": Decimal("NaN")}, Reason.BAD_QUANTITY),
        ({"quantity": Decimal("-Infinity")}, Reason.BAD_QUANTITY),
        ({"quantity": Decimal("1E+30")}, Reason.BAD_QUANTITY),
        ({"quantity": Decimal("1E+17")}, Reason.BAD_QUANTITY),
        ({"quantity": Decimal("0.0015")}, Reason.NOT_WHOLE_LOTS),
        ({"quantity": Decimal("1.0000000000000000000000000000000001")}, Reason.NOT_WHOLE_LOTS),
        ({"trade_id": ""}, Reason.BAD_TRADE_ID),
        ({"trade_id": "x" * 65}, Reason.BAD_TRADE_ID),
        ({"time_us": 0}, Reason.TIME_TOO_OLD),
        ({"time_us": 2**53 + 1}, Reason.TIME_IN_FUTURE),
        ({"open": Decimal("60000.0")}, Reason.INCONSISTENT_BAR),
        (
            {"open": Decimal("60000.0"), "high": Decimal("59999.0"), "low": Decimal("59000.0")},
            Reason.INCONSISTENT_BAR,
        ),
        ({"open": Decimal("60000.0"), "high": Decimal("60000.0"), "low": Decimal(0)}, Reason.INCONSISTENT_BAR),
        ({"open": Decimal("60000.0"), "high": Decimal("NaN"), "low": Decimal("60000.0")}, Reason.INCONSISTENT_BAR),
    ],
)
def test_what_cannot_be_is_quarantined(change: dict[str, object], reason: Reason) -> None:
    judge = SymbolJudge(BTC, QualityLimits())
    verdict = judge.judge(msgspec.structs.replace(feed_tick(1, START_US), **change), 0, None)
    assert isinstance(verdict, Refusal)
    assert verdict.reason == reason
    assert judge.last_price is None


def test_a_bar_is_rounded_to_increments_and_lots_and_may_be_without_a_trade() -> None:
    """Bars sum up trades: volumes carry float noise (203889.11713750003), averages fall between increments."""
    prices = {"open": Decimal("60000.04"), "high": Decimal("60000.51"), "low": Decimal("59999.99")}
    bar = msgspec.structs.replace(
        feed_tick(1, START_US), **prices, price=Decimal("60000.375"), quantity=Decimal("2.00350000003")
    )
    verdict = SymbolJudge(BTC, QualityLimits()).judge(bar, 0, None)
    assert isinstance(verdict, Tick)
    assert (verdict.open, verdict.high, verdict.low, verdict.price) == (
        Decimal("60000.0"),
        Decimal("60000.6"),
        Decimal("59999.9"),
        Decimal("60000.4"),
    )
    assert verdict.lots == 2003
    silent = msgspec.structs.replace(bar, trade_id="2", quantity=Decimal(0))
    verdict = SymbolJudge(BTC, QualityLimits()).judge(silent, 0, None)
    assert isinstance(verdict, Tick)
    assert verdict.lots == 0


def test_what_is_accepted_is_exact_and_written_alike() -> None:
    judge = SymbolJudge(BTC, QualityLimits())
    verdict = judge.judge(feed_tick(1, START_US, price="60000.50000000", quantity="1.23400000", side="sell"), 0, None)
    assert verdict == tick(1, START_US, price="60000.5", lots=1234, side="sell")
    assert isinstance(verdict, Tick)
    assert str(verdict.price) == "60000.5"
    unknown_side = judge.judge(feed_tick(2, START_US, side="maker?"), 0, None)
    assert isinstance(unknown_side, Tick)
    assert unknown_side.taker_side is None


@pytest.mark.parametrize("increment", ["10", "1E+1", "0.25", "1", "0.00000001"])
def test_any_increment_keeps_the_price(increment: str) -> None:
    instrument = Instrument(symbol="X/Y", price_increment=Decimal(increment), lot_size=Decimal(10))
    price = Decimal(increment) * 37
    verdict = SymbolJudge(instrument, QualityLimits()).judge(
        FeedTick(time_us=START_US, symbol="X/Y", trade_id="a", price=price, quantity=Decimal("1E+1")), 0, None
    )
    assert isinstance(verdict, Tick)
    assert (verdict.price, verdict.lots) == (price, 1)
    assert "E+" not in str(verdict.price)


def test_duplicates_and_conflicts_are_told_apart() -> None:
    judge = SymbolJudge(BTC, QualityLimits())
    first = feed_tick(1, START_US)
    assert judge_all(
        judge,
        first,
        first,
        feed_tick(1, START_US, price="60000.00000000"),
        feed_tick(1, START_US, price="60000.1"),
        feed_tick(1, START_US + 1),
        feed_tick(1, START_US, quantity="0.002"),
        feed_tick(2, START_US),
    ) == ["ok", "duplicate", "duplicate", "TradeIdConflict", "TradeIdConflict", "TradeIdConflict", "ok"]


def test_what_was_accepted_in_an_earlier_life_is_known() -> None:
    known = [tick(1, START_US), tick(2, START_US + 1)]
    judge = SymbolJudge(BTC, QualityLimits(), known, known_from_us=START_US - 5)
    assert judge.last_price == Decimal("60000.0")
    assert judge_all(judge, feed_tick(2, START_US + 1), feed_tick(3, START_US - 6), feed_tick(4, START_US - 5)) == [
        "duplicate",
        "TimeTooOld",
        "ok",
    ]


def test_a_late_print_is_marked_and_changes_no_last_price() -> None:
    judge = SymbolJudge(BTC, QualityLimits())
    judge.judge(feed_tick(2, START_US + SECOND_US, price="60001.0"), 0, None)
    verdict = judge.judge(feed_tick(1, START_US), START_US + SECOND_US, None)
    assert isinstance(verdict, Tick)
    assert verdict.late
    assert judge.last_price == Decimal("60001.0")


def test_times_too_far_ahead_or_behind_are_quarantined() -> None:
    judge = SymbolJudge(BTC, QualityLimits(future_tolerance_us=10, horizon_us=1_000))
    in_time = judge.judge(feed_tick(1, START_US + 10), 0, START_US)
    assert isinstance(in_time, Tick)
    ahead = judge.judge(feed_tick(2, START_US + 11), 0, START_US)
    assert isinstance(ahead, Refusal)
    assert ahead.reason == Reason.TIME_IN_FUTURE
    assert judge_all(judge, feed_tick(3, START_US + 10 - 1_000), feed_tick(4, START_US + 10 - 1_001)) == [
        "ok",
        "TimeTooOld",
    ]


def test_an_absurd_price_waits_for_three_others_to_confirm_it() -> None:
    judge = SymbolJudge(BTC, QualityLimits(max_tick_move=Decimal("0.1")))
    assert judge_all(
        judge,
        feed_tick(1, START_US),
        feed_tick(2, START_US, price="66000.1"),
        feed_tick(3, START_US, price="66000.0"),
    ) == ["ok", "AbsurdMove", "ok"]
    low = [feed_tick(n, START_US + n, price=price) for n, price in enumerate(["30000.0", "30001.0", "29999.0"], 10)]
    assert judge_all(judge, *low) == ["AbsurdMove"] * 3
    assert judge.last_price == Decimal("29999.0")
    assert judge_all(judge, feed_tick(20, START_US + 20, price="30005.0")) == ["ok"]
    assert judge_all(judge, *low) == ["AbsurdMove"] * 3, "those that confirmed it stay quarantined when told again"


def test_prints_at_the_old_level_or_at_different_ones_confirm_nothing() -> None:
    judge = SymbolJudge(BTC, QualityLimits(max_tick_move=Decimal("0.1")))
    prices = ["60000.0", "30000.0", "30000.0", "60000.0", "30000.0", "90000.0", "30000.0", "90000.0", "60000.0"]
    words = judge_all(judge, *(feed_tick(n, START_US + n, price=price) for n, price in enumerate(prices)))
    assert [word == "ok" for word in words] == [price == "60000.0" for price in prices]
    same = feed_tick(50, START_US + 50, price="30000.0")
    assert judge_all(judge, same, same, same, same) == ["AbsurdMove"] * 4, "one print told again is no confirmation"


@given(
    st.lists(st.tuples(st.integers(1, 400), st.booleans()), min_size=1, max_size=80),
    st.sampled_from(["0.02", "0.2", "0.5", "1", "3"]),
)
@settings(max_examples=200, deadline=None)
def test_the_judgement_of_moves_is_that_of_its_plain_definition(prints: list[tuple[int, bool]], limit: str) -> None:
    """The last price is that of the newest print by time; every other print here is older than all others."""
    judge = SymbolJudge(BTC, QualityLimits(max_tick_move=Decimal(limit)))
    last: Decimal | None = None
    level: list[Decimal] = []
    for number, (units, is_old) in enumerate(prints):
        price = Decimal(units) * 100
        offset_us = -number if is_old and number else number
        far = last is not None and abs(price - last) > last * Decimal(limit)
        verdict = judge.judge(feed_tick(number, START_US + offset_us, price=str(price)), 0, None)
        assert isinstance(verdict, Refusal) == far
        if not far:
            level = []
            if last is None or offset_us > 0:
                last = price
            continue
        if level and abs(price - level[-1]) > level[-1] * Decimal(limit):
            level = []
        level.append(price)
        if len(level) == 3:
            last, level = price, []


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 5_000)), min_size=1, max_size=120),
    st.integers(1, 20),
    st.integers(100, 3_000),
)
@settings(max_examples=150, deadline=None)
def test_with_bounded_memory_nothing_is_accepted_twice(
    prints: list[tuple[int, int]], remembered: int, horizon_us: int
) -> None:
    judge = SymbolJudge(BTC, QualityLimits(remembered_ids=remembered, horizon_us=horizon_us))
    accepted: list[tuple[str, int]] = []
    for number, offset in prints:
        verdict = judge.judge(feed_tick(number, START_US + offset), 0, None)
        if isinstance(verdict, Tick):
            accepted.append((verdict.trade_id, verdict.time_us))
    assert len(accepted) == len(set(accepted))
    assert accepted[0] == (str(prints[0][0]), START_US + prints[0][1])
