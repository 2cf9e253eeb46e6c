"""What must hold of the paper venue for any orders and any prints."""

from __future__ import annotations

import tempfile
from collections import Counter
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from christmas.brokers.paper.ledger import Statement
from christmas.brokers.paper.matching import allowance
from christmas.brokers.port import VenueRejected, VenueReport
from christmas.execution.order import OrderIntent, TimeInForce
from christmas.market.tick import Side, Tick
from christmas.resources.broker import Faults
from tests.unit.paper.support import MS, SECOND, SYMBOL, T0, Exchange, broker, tick

LOT = Decimal("0.001")
CASH = "2000"
PARTICIPATION = Decimal("0.25")


class Shown(NamedTuple):
    tick: Tick


class Clock(NamedTuple):
    time_us: int


class Sent(NamedTuple):
    intent: OrderIntent


class Withdrawn(NamedTuple):
    order_id: str
    decided_us: int


Event = Shown | Clock | Sent | Withdrawn
PRICES = st.integers(-6, 6).map(lambda step: Decimal(60000) + step * Decimal("0.1"))
SIDES: st.SearchStrategy[Side] = st.sampled_from(["buy", "sell"])
TIFS: st.SearchStrategy[TimeInForce] = st.sampled_from(["GTC", "GTC", "GTC", "IOC", "FOK", "PostOnly"])


@st.composite
def histories(draw: st.DrawFn, *, punctual: bool = False) -> list[Event]:
    """Events in the order in which they reach the venue; market time goes on, with prints late now and then.

    ``punctual``: every order and cancel comes before its effective time, as in lock-step."""
    events: list[Event] = []
    now_us, orders = T0, 0
    for _ in range(draw(st.integers(1, 40))):
        now_us += draw(st.sampled_from([0, 1, 7 * MS, 60 * MS, 400 * MS, 1_700 * MS]))
        kind = draw(st.sampled_from(["print", "print", "print", "bar", "order", "order", "cancel", "clock"]))
        if kind == "order":
            side, is_market = draw(SIDES), draw(st.integers(0, 5)) == 0
            tif = draw(TIFS)
            events.append(
                Sent(
                    OrderIntent(
                        client_order_id=f"o{orders}",
                        symbol=SYMBOL,
                        side=side,
                        type="market" if is_market else "limit",
                        lots=draw(st.integers(1, 25)),
                        price=None if is_market else draw(PRICES),
                        time_in_force="GTC" if is_market and tif == "PostOnly" else tif,
                        purpose="entry",
                        position_id=f"o{orders}",
                        decided_us=now_us if punctual else now_us - draw(st.sampled_from([0, 0, 10 * MS, 500 * MS])),
                    )
                )
            )
            orders += 1
        elif kind == "cancel" and orders:
            decided_us = now_us if punctual else draw(st.sampled_from([0, now_us]))
            events.append(Withdrawn(f"o{draw(st.integers(0, orders - 1))}", decided_us))
        elif kind == "clock":
            events.append(Clock(now_us))
        else:
            late = draw(st.integers(0, 9)) == 0
            price, lots = draw(PRICES), draw(st.integers(1, 60))
            shown = tick(
                now_us - (20 * MS if late else 0), str(price), lots, draw(st.none() | SIDES), f"p{len(events)}"
            )
            if kind == "bar":
                low, high = sorted((draw(PRICES), draw(PRICES)))
                shown = Tick(
                    time_us=now_us,
                    symbol=SYMBOL,
                    trade_id=f"p{len(events)}",
                    price=min(max(price, low), high),
                    lots=lots,
                    open=low,
                    high=high,
                    low=low,
                )
            events.append(Shown(shown))
    return events


def apply(exchange: Exchange, event: Event) -> None:
    match event:
        case Shown(shown):
            exchange.show(shown)
        case Clock(time_us):
            exchange.clock(time_us)
        case Sent(sent):
            try:
                exchange.submit(sent)
            except VenueRejected:
                return
        case Withdrawn(order_id, decided_us):
            exchange.cancel(order_id, decided_us)


def play(events: list[Event], faults: Faults | None = None) -> tuple[list[VenueReport], Statement]:
    with tempfile.TemporaryDirectory() as folder:
        exchange = Exchange(Path(folder), broker(cash=CASH, faults=faults))
        for event in events:
            apply(exchange, event)
        statement = exchange.venue.statement()
        exchange.kill()
        return exchange.reports, statement


@settings(max_examples=150, deadline=None)
@given(histories())
def test_money_and_lots_are_conserved(events: list[Event]) -> None:
    _, statement = play(events)
    cash, position = Decimal(CASH), 0
    for fill in sorted(statement.fills, key=lambda each: each.time_us):
        notional = fill.price * fill.lots * LOT
        rate = Decimal("0.0002") if fill.liquidity == "maker" else Decimal("0.0005")
        assert fill.fee == notional * rate
        cash += (-notional if fill.side == "buy" else notional) - fill.fee
        position += fill.lots if fill.side == "buy" else -fill.lots
        assert cash >= 0
        assert position >= 0
    assert (cash, position) == (statement.state.cash, statement.state.positions.get(SYMBOL, 0))


@settings(max_examples=150, deadline=None)
@given(histories())
def test_no_order_gets_more_or_worse_than_it_asked_for(events: list[Event]) -> None:
    _, statement = play(events)
    filled: Counter[str] = Counter()
    orders = {order.intent.client_order_id: order for order in statement.orders}
    for fill in statement.fills:
        order = orders[fill.client_order_id]
        filled[fill.client_order_id] += fill.lots
        assert fill.time_us >= order.effective_us >= order.intent.decided_us
        limit = order.intent.price
        if limit is not None:
            assert fill.price <= limit if fill.side == "buy" else fill.price >= limit
            assert order.intent.time_in_force != "PostOnly" or fill.liquidity == "maker"
        if order.intent.time_in_force == "FOK":
            assert fill.lots == order.intent.lots
    for order_id, order in orders.items():
        assert filled[order_id] == order.filled_lots <= order.intent.lots


@settings(max_examples=150, deadline=None)
@given(histories())
def test_no_print_gives_more_than_its_part(events: list[Event]) -> None:
    _, statement = play(events)
    allowed: Counter[int] = Counter()
    for event in events:
        if isinstance(event, Shown):
            allowed[event.tick.time_us] += allowance(event.tick.lots, PARTICIPATION)
    taken: Counter[int] = Counter()
    for fill in statement.fills:
        taken[fill.time_us] += fill.lots
    assert all(lots <= allowed[time_us] for time_us, lots in taken.items())


@settings(max_examples=100, deadline=None)
@given(histories())
def test_portions_of_prints_change_nothing(events: list[Event]) -> None:
    singly = play(events)
    with tempfile.TemporaryDirectory() as folder:
        exchange = Exchange(Path(folder), broker(cash=CASH))
        for is_shown, group in groupby(events, key=lambda event: isinstance(event, Shown)):
            if is_shown:
                exchange.show(*(event.tick for event in group if isinstance(event, Shown)))
            else:
                for event in group:
                    apply(exchange, event)
        together = exchange.reports, exchange.venue.statement()
        exchange.kill()
    assert together == singly


@settings(max_examples=100, deadline=None)
@given(histories(punctual=True))
def test_a_clock_that_ticks_every_second_or_jumps_gives_the_same(events: list[Event]) -> None:
    stepped: list[Event] = []
    second = T0 // SECOND
    for event in events:
        if isinstance(event, Shown | Clock):
            # A decision moves no clock: a gateway takes none for later than its market is.
            now_us = event.tick.time_us if isinstance(event, Shown) else event.time_us
            stepped += [Clock(each * SECOND) for each in range(second, now_us // SECOND + 1)]
            second = max(second, now_us // SECOND)
        stepped.append(event)
    end = Clock(T0 + 1_000 * SECOND)
    assert play([*stepped, end])[0] == play([*(event for event in events if not isinstance(event, Clock)), end])[0]


@settings(max_examples=100, deadline=None)
@given(histories(), st.lists(st.integers(0, 40), max_size=5))
def test_a_kill_at_any_point_changes_nothing(events: list[Event], kills: list[int]) -> None:
    unbroken = play(events)
    with tempfile.TemporaryDirectory() as folder:
        exchange = Exchange(Path(folder), broker(cash=CASH))
        shown: list[Tick] = []
        for number, event in enumerate(events):
            apply(exchange, event)
            if isinstance(event, Shown):
                shown.append(event.tick)
            if number in kills:
                clock_us = exchange.venue.clock_us
                exchange.kill()
                exchange.open()
                if shown:
                    exchange.show(*shown)
                exchange.clock(clock_us)
        broken = exchange.reports, exchange.venue.statement()
        exchange.kill()
    assert broken == unbroken


@settings(max_examples=60, deadline=None)
@given(histories())
def test_delivery_faults_change_what_is_told_and_never_what_is(events: list[Event]) -> None:
    end = Clock(T0 + 10_000_000_000)
    told, statement = play([*events, end])
    faults = Faults(seed=3, duplicate_fill=0.5, late_fill=0.3, wrong_sequence=0.4)
    misled, same = play([*events, end], faults)
    assert same == statement

    def fills(reports: list[VenueReport]) -> set[str]:
        return {report.fill.fill_id for report in reports if report.fill is not None}

    assert fills(misled) == fills(told)
    assert play([*events, end], faults)[0] == misled
