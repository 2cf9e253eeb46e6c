"""One total order: the clock before the ticks it stands for, sequences without gaps."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from christmas.market.instrument import Instrument
from christmas.market.sequencer import Sequencer, coalesce
from christmas.market.stream import Message, StreamState
from christmas.market.tick import ClockAdvance, Tick, TickBatch
from tests.support.data import FUTURES_BTC, SPOT_BTC, SPOT_ETH, read_trades
from tests.support.ticks import BTC, ETH, OTHER, SECOND_US, START_US, SYMBOL, feed_tick, tick

INSTRUMENTS = {SYMBOL: BTC, OTHER: ETH}


def ticks_of(messages: list[Message]) -> list[Tick]:
    return [each for message in messages if isinstance(message, TickBatch) for each in message.ticks]


def check_stream(messages: list[Message], sequences: dict[str, int], clock_us: int) -> None:
    """The rules of a stream that began at ``sequences`` and ``clock_us``."""
    for message in messages:
        if isinstance(message, ClockAdvance):
            assert message.time_us > clock_us
            assert message.time_us % SECOND_US == 0
            clock_us = message.time_us
            continue
        symbol = message.ticks[0].symbol
        assert message.sequence == sequences[symbol] + len(message.ticks)
        sequences[symbol] = message.sequence
        for each in message.ticks:
            assert each.symbol == symbol
            assert each.late == (each.time_us < clock_us)
            assert each.time_us < clock_us + SECOND_US


def test_the_clock_comes_before_the_ticks_it_stands_for() -> None:
    sequencer = Sequencer(INSTRUMENTS)
    sequenced = sequencer.accept(
        [
            feed_tick(1, START_US + 10),
            feed_tick(2, START_US + 20),
            feed_tick(1, START_US + 30, symbol=OTHER),
            feed_tick(3, START_US + 3 * SECOND_US + 5),
            feed_tick(4, START_US + 2 * SECOND_US),
        ]
    )
    assert sequenced.messages == [
        ClockAdvance(time_us=START_US),
        TickBatch(sequence=2, ticks=(tick(1, START_US + 10), tick(2, START_US + 20))),
        TickBatch(sequence=1, ticks=(tick(1, START_US + 30, symbol=OTHER, lots=10),)),
        ClockAdvance(time_us=START_US + 3 * SECOND_US),
        TickBatch(
            sequence=4, ticks=(tick(3, START_US + 3 * SECOND_US + 5), tick(4, START_US + 2 * SECOND_US, late=True))
        ),
    ]
    assert (sequenced.accepted, sequenced.late, sequenced.duplicates) == (5, 1, 0)
    assert sequencer.clock_us == START_US + 3 * SECOND_US
    assert sequencer.sequences == {SYMBOL: 4, OTHER: 1}
    assert sequencer.last_price(OTHER) == Decimal("60000.00")


def test_the_timer_announces_a_second_once() -> None:
    sequencer = Sequencer(INSTRUMENTS)
    sequencer.accept([feed_tick(1, START_US)])
    assert sequencer.clock_to(START_US + 999_999) == []
    assert sequencer.clock_to(START_US + SECOND_US) == [ClockAdvance(time_us=START_US + SECOND_US)]
    assert sequencer.clock_to(START_US + SECOND_US + 1) == []
    assert sequencer.accept([feed_tick(2, START_US + SECOND_US)]).messages == [
        TickBatch(sequence=2, ticks=(tick(2, START_US + SECOND_US),))
    ]
    (batch,) = sequencer.accept([feed_tick(3, START_US + SECOND_US - 1)]).messages
    assert isinstance(batch, TickBatch)
    assert batch.ticks[0].late


def test_what_is_refused_takes_no_sequence_and_moves_no_clock() -> None:
    sequencer = Sequencer({SYMBOL: BTC})
    sequenced = sequencer.accept(
        [
            feed_tick(1, START_US),
            feed_tick(1, START_US),
            feed_tick(2, START_US + 5 * SECOND_US, price="0"),
            feed_tick(3, START_US, symbol="DOGE/USDT"),
            feed_tick(4, START_US),
        ],
        received_us=77,
    )
    assert [each.trade_id for each in ticks_of(sequenced.messages)] == ["1", "4"]
    assert sequenced.duplicates == 1
    assert [(q.print.trade_id, q.reason, q.received_us) for q in sequenced.quarantined] == [
        ("2", "BadPrice", 77),
        ("3", "UnknownSymbol", 77),
    ]
    assert sequencer.clock_us == START_US
    assert sequencer.sequences == {SYMBOL: 2}


def test_it_goes_on_where_an_earlier_one_stopped() -> None:
    state = StreamState(clock_us=START_US, sequences={SYMBOL: 41}, recent={SYMBOL: [tick(1, START_US)]})
    sequencer = Sequencer(INSTRUMENTS, state=state)
    sequenced = sequencer.accept([feed_tick(1, START_US), feed_tick(2, START_US + 1)])
    assert sequenced.messages == [TickBatch(sequence=42, ticks=(tick(2, START_US + 1),))]
    assert sequenced.duplicates == 1


def test_a_refused_print_that_comes_again_after_a_restart_is_not_refused_twice() -> None:
    """As often as it was refused before; once more is once more."""
    bad, other = feed_tick(1, START_US, symbol="DOGE/USDT"), feed_tick(2, START_US, symbol="DOGE/USDT")
    sequencer = Sequencer(INSTRUMENTS, state=StreamState(refused=2, refused_prints=[bad, bad]))
    again = sequencer.accept([bad, other, bad, bad])
    assert [each.print for each in again.quarantined] == [other, bad]
    assert again.duplicates == 2


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 8_000), st.integers(0, 30)), max_size=60),
    st.lists(st.integers(1, 7), min_size=1, max_size=10),
)
@settings(max_examples=200, deadline=None)
def test_any_prints_make_a_stream_by_the_rules(prints: list[tuple[bool, int, int]], sizes: list[int]) -> None:
    raws = [
        feed_tick(number, START_US + offset * 1_000, symbol=OTHER if other else SYMBOL)
        for other, offset, number in prints
    ]
    sequencer, messages = Sequencer(INSTRUMENTS), list[Message]()
    accepted = duplicates = quarantined = 0
    position = turn = 0
    while position < len(raws):
        size = sizes[turn % len(sizes)]
        sequenced = sequencer.accept(raws[position : position + size])
        messages += sequenced.messages
        accepted += sequenced.accepted
        duplicates += sequenced.duplicates
        quarantined += len(sequenced.quarantined)
        position, turn = position + size, turn + 1
    assert accepted + duplicates + quarantined == len(raws)
    assert accepted == len(ticks_of(messages))
    check_stream(messages, {SYMBOL: 0, OTHER: 0}, 0)
    joined = coalesce(messages)
    assert ticks_of(joined) == ticks_of(messages)
    check_stream(joined, {SYMBOL: 0, OTHER: 0}, 0)
    assert coalesce(joined) == joined


FAR = ("60000.0", "60100.0", "30000.0", "30010.0", "0.1")


@given(st.lists(st.tuples(st.sampled_from(FAR), st.integers(0, 2_000)), max_size=40), st.integers(0, 40))
@example([(FAR[4], 9), (FAR[0], 9)] * 4 + [(FAR[0], 9)], 7)
@settings(max_examples=300, deadline=None)
def test_a_life_that_is_cut_short_and_taken_up_judges_like_one_life(prints: list[tuple[str, int]], cut: int) -> None:
    """What lies between two absurd prints keeps them apart also when all of them come again after a restart."""
    raws, time_us = [feed_tick(0, START_US)], START_US
    for number, (price, later_us) in enumerate(prints, start=1):
        time_us += later_us * 1_000
        raws.append(feed_tick(number, time_us, price=price))
    undisturbed = Sequencer(INSTRUMENTS).accept(raws)
    before = Sequencer(INSTRUMENTS)
    first = before.accept(raws[:cut])
    state = StreamState(
        clock_us=before.clock_us,
        sequences=before.sequences,
        recent={SYMBOL: ticks_of(first.messages)},
        refused_prints=[one.print for one in first.quarantined],
    )
    second = Sequencer(INSTRUMENTS, state=state).accept(raws)
    accepted = [each.trade_id for each in ticks_of(first.messages) + ticks_of(second.messages)]
    assert accepted == [each.trade_id for each in ticks_of(undisturbed.messages)]
    refused = [one.print for one in first.quarantined + second.quarantined]
    assert refused == [one.print for one in undisturbed.quarantined]


def test_one_by_one_or_all_at_once_the_stream_is_the_same(shared_data: Path) -> None:
    increments = {SYMBOL: "0.01", OTHER: "0.01"}
    instruments = {
        symbol: Instrument(symbol=symbol, price_increment=Decimal(increment), lot_size=Decimal("0.00001"))
        for symbol, increment in increments.items()
    }
    raws = sorted(
        (raw for name in (SPOT_BTC, SPOT_ETH) for raw in read_trades(shared_data / name)),
        key=lambda raw: raw.time_us,
    )[:3_000]
    singly, together = Sequencer(instruments), Sequencer(instruments)
    one_by_one = [message for raw in raws for message in singly.accept([raw]).messages]
    at_once = together.accept(raws).messages
    assert coalesce(one_by_one) == at_once
    assert len(ticks_of(at_once)) == 3_000


def test_every_real_print_is_accepted(shared_data: Path) -> None:
    sequencer = Sequencer({SYMBOL: BTC})
    raws = [msgspec.structs.replace(raw, symbol=SYMBOL) for raw in read_trades(shared_data / FUTURES_BTC)]
    sequenced = sequencer.accept(raws)
    assert (sequenced.accepted, sequenced.duplicates, sequenced.quarantined) == (21_313, 0, [])
    assert sequencer.sequences[SYMBOL] == 21_313
    check_stream(sequenced.messages, {SYMBOL: 0}, 0)
