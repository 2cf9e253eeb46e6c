"""Bars: the same live, whatever the order of arrival, and from the recording."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from christmas.market.bar import Bar
from christmas.market.bars import BarBuilder, bars_from_ticks
from christmas.market.raw import FeedTick
from christmas.market.sequencer import Sequencer
from christmas.market.stream import Message
from christmas.market.tick import Tick, TickBatch
from tests.support.ticks import BTC, SECOND_US, START_US, SYMBOL, feed_tick, tick

Arrival = tuple[FeedTick, int | None]
"""A print, and what the live timer says the time is before it comes (None: nothing)."""


@st.composite
def arrivals(draw: st.DrawFn) -> list[Arrival]:
    """Prints that come out of order, sometimes seconds late, with a timer that ticks in between."""
    count = draw(st.integers(1, 40))
    offsets = draw(st.lists(st.integers(0, 12_000), min_size=count, max_size=count))
    delays = draw(st.lists(st.integers(0, 2_500), min_size=count, max_size=count))
    prices = draw(st.lists(st.integers(599_000, 601_000), min_size=count, max_size=count))
    by_arrival = sorted(range(count), key=lambda n: (offsets[n] + delays[n], n))
    timers = draw(st.lists(st.none() | st.integers(-3_000, 300), min_size=count, max_size=count))
    result: list[Arrival] = []
    for n, timer in zip(by_arrival, timers, strict=True):
        time_us = START_US + offsets[n] * 1_000
        raw = feed_tick(n, time_us, price=f"{prices[n] / 10:.1f}", side=("buy", "sell", None)[n % 3])
        result.append((raw, None if timer is None else time_us + timer * 1_000))
    return result


@given(arrivals(), st.sampled_from([1, 2, 3, 5, 15, 60]), st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_bars_built_live_are_those_of_the_recording(prints: list[Arrival], seconds: int, together: int) -> None:
    timeframe_us = seconds * SECOND_US
    sequencer, builder = Sequencer({SYMBOL: BTC}), BarBuilder(SYMBOL, timeframe_us)
    live: list[Bar] = []
    recorded: list[Tick] = []

    def show(messages: list[Message]) -> None:
        for message in messages:
            if isinstance(message, TickBatch):
                recorded.extend(message.ticks)
                for each in message.ticks:
                    live.extend(builder.add(each))
            else:
                live.extend(builder.advance(message.time_us))

    for first in range(0, len(prints), together):
        group = prints[first : first + together]
        for _, timer_us in group[:1]:
            if timer_us is not None:
                show(sequencer.clock_to(timer_us))
        show(sequencer.accept([raw for raw, _ in group]).messages)
    show(sequencer.clock_to(START_US + 3_600 * SECOND_US))

    assert len(recorded) == len(prints)
    by_time = sorted(recorded, key=lambda each: each.time_us)
    assert live == bars_from_ticks(by_time, timeframe_us)
    assert live == bars_from_ticks(reversed(recorded), timeframe_us)
    assert sum(bar.ticks for bar in live) == sum(not each.late for each in recorded)


def test_a_bar_is_what_its_ticks_amount_to() -> None:
    builder = BarBuilder(SYMBOL, 5 * SECOND_US)
    assert builder.pending_end_us is None
    assert builder.add(tick(10, START_US + 2, price="60001.0", lots=2, side="buy")) == []
    assert builder.add(tick(9, START_US + 2, price="60000.0", lots=3, side="sell")) == []
    assert builder.add(tick(11, START_US + 2, price="60003.0", lots=1, side=None)) == []
    assert builder.add(tick(8, START_US + 1, price="60002.0", lots=1, side="buy")) == []
    assert builder.pending_end_us == START_US + 5 * SECOND_US
    assert builder.advance(START_US + 5 * SECOND_US - 1) == []
    assert builder.advance(START_US + 5 * SECOND_US) == [
        Bar(
            symbol=SYMBOL,
            start_us=START_US,
            end_us=START_US + 5 * SECOND_US,
            open=Decimal("60002.0"),
            high=Decimal("60003.0"),
            low=Decimal("60000.0"),
            close=Decimal("60003.0"),
            lots=7,
            buy_lots=3,
            sell_lots=3,
            price_lots=Decimal("420007.0"),
            ticks=4,
        )
    ]
    assert builder.pending_end_us is None


def test_trade_ids_of_digits_compare_as_numbers() -> None:
    bars = bars_from_ticks([tick(n, START_US, price=f"{n}.0") for n in (100, 9, 99)], SECOND_US)
    assert (bars[0].open, bars[0].close) == (Decimal("9.0"), Decimal("100.0"))


def test_a_tick_behind_the_end_closes_the_bar_and_empty_intervals_have_none() -> None:
    builder = BarBuilder(SYMBOL, SECOND_US)
    assert builder.add(tick(1, START_US)) == []
    (closed,) = builder.add(tick(2, START_US + 7 * SECOND_US))
    assert (closed.start_us, closed.end_us) == (START_US, START_US + SECOND_US)
    assert builder.pending_end_us == START_US + 8 * SECOND_US


def test_late_ticks_and_those_of_a_closed_bar_change_nothing() -> None:
    builder = BarBuilder(SYMBOL, SECOND_US)
    builder.add(tick(1, START_US + SECOND_US))
    assert builder.add(tick(2, START_US + SECOND_US, price="1.0", late=True)) == []
    assert builder.add(tick(3, START_US + 999_999, price="1.0")) == []
    (bar,) = builder.advance(START_US + 2 * SECOND_US)
    assert (bar.ticks, bar.low) == (1, Decimal("60000.0"))
    builder = BarBuilder(SYMBOL, SECOND_US)
    builder.advance(START_US + SECOND_US)
    assert builder.add(tick(4, START_US)) == []
    assert builder.pending_end_us is None


def test_a_print_that_stands_for_a_whole_bar_brings_its_span() -> None:
    spans = [("100.0", "120.0", "90.0", "110.0"), ("111.0", "115.0", "80.0", "112.0")]
    ticks = [
        msgspec.structs.replace(
            tick(n, START_US + n * 60 * SECOND_US, price=close), open=Decimal(o), high=Decimal(h), low=Decimal(low)
        )
        for n, (o, h, low, close) in enumerate(spans)
    ]
    (bar,) = bars_from_ticks(ticks, 120 * SECOND_US)
    assert [str(part) for part in (bar.open, bar.high, bar.low, bar.close)] == ["100.0", "120.0", "80.0", "112.0"]


def test_only_bars_that_have_ended_are_given() -> None:
    ticks = [tick(1, START_US), tick(2, START_US + SECOND_US)]
    assert len(bars_from_ticks(ticks, SECOND_US, until_us=START_US + SECOND_US)) == 1
    assert len(bars_from_ticks(ticks, SECOND_US, until_us=START_US + 2 * SECOND_US)) == 2
    assert bars_from_ticks([], SECOND_US) == []


@pytest.mark.parametrize("timeframe_us", [0, -SECOND_US, 1_500_000])
def test_a_timeframe_is_whole_seconds(timeframe_us: int) -> None:
    with pytest.raises(ValueError, match="whole number of seconds"):
        BarBuilder(SYMBOL, timeframe_us)
