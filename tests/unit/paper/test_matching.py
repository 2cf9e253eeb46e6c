"""What a print does to an order, rule by rule, through the venue's port."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from christmas.brokers.port import VenueRejected
from christmas.execution.order import OrderStatus
from christmas.market.hours import TradingHours, TradingSession
from tests.unit.paper.support import (
    MS,
    ORDER_LATENCY,
    REPORT_LATENCY,
    SECOND,
    SYMBOL,
    T0,
    Exchange,
    bar,
    broker,
    intent,
    tick,
)

LATER = T0 + SECOND


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    return Exchange(tmp_path)


def test_an_order_meets_no_print_before_its_latency_has_passed(exchange: Exchange) -> None:
    exchange.submit(intent("a", price=None, kind="market"))
    assert not exchange.show(tick(T0 + ORDER_LATENCY - 1, "60000", 100, "buy"))
    (report,) = exchange.show(tick(T0 + ORDER_LATENCY, "60000", 100, "buy"))
    assert report.order.status is OrderStatus.FILLED
    assert report.time_us == T0 + ORDER_LATENCY
    assert report.effective_us == T0 + ORDER_LATENCY + REPORT_LATENCY


def test_a_print_older_than_the_order_does_not_match_though_the_clock_is_ahead(exchange: Exchange) -> None:
    exchange.submit(intent("a", price=None, kind="market", decided_us=T0 + 500 * MS))
    exchange.clock(LATER)
    assert not exchange.show(tick(T0 + 540 * MS, "60000", 100, "buy"))
    assert exchange.show(tick(T0 + 550 * MS, "60000", 100, "buy"))


def test_an_order_that_comes_late_is_effective_when_it_comes(exchange: Exchange) -> None:
    exchange.show(tick(LATER, "60000", 100, "buy"))
    exchange.submit(intent("a", price=None, kind="market", decided_us=T0))
    assert exchange.order("a").status is OrderStatus.ACCEPTED
    (report,) = exchange.show(tick(LATER + 1, "60000", 100, "buy"))
    assert report.time_us == LATER + 1


def test_a_taker_pays_the_worse_of_the_print_and_the_last_price_of_its_side(exchange: Exchange) -> None:
    exchange.show(tick(T0 - 1, "60001.5", 100, "buy"), tick(T0, "60000", 100, "sell"))
    exchange.submit(intent("a", lots=10, price=None, kind="market"))
    (report,) = exchange.show(tick(LATER, "60000.1", 100, "sell"))
    assert report.fill is not None
    assert report.fill.price == Decimal("60001.5")
    assert report.fill.liquidity == "taker"
    assert report.fill.fee == Decimal("60001.5") * Decimal("0.01") * Decimal("0.0005")


def test_a_taking_limit_order_never_pays_more_than_its_limit(exchange: Exchange) -> None:
    exchange.show(tick(T0 - 1, "60001.5", 100, "buy"), tick(T0, "60000", 100, "sell"))
    exchange.submit(intent("a", price="60001"))
    (report,) = exchange.show(tick(LATER, "60000.1", 100, "sell"))
    assert report.fill is not None
    assert report.fill.price == Decimal(60001)
    assert report.fill.liquidity == "taker"


def test_all_our_orders_share_one_participation_in_time_priority(exchange: Exchange) -> None:
    exchange.submit(intent("b", lots=20, price=None, kind="market", decided_us=T0))
    exchange.submit(intent("a", lots=20, price=None, kind="market", decided_us=T0 + 1))
    first, second = exchange.show(tick(LATER, "60000", 100, "buy"))
    assert (first.order.client_order_id, first.order.filled_lots) == ("b", 20)
    assert (second.order.client_order_id, second.order.filled_lots) == ("a", 5)
    assert second.order.status is OrderStatus.PARTIALLY_FILLED
    assert second.order.leaves_lots == 15


def test_a_small_print_gives_one_lot(exchange: Exchange) -> None:
    exchange.submit(intent("a", lots=2, price=None, kind="market"))
    (report,) = exchange.show(tick(LATER, "60000", 1, "buy"))
    assert report.order.filled_lots == 1


def test_a_resting_order_waits_behind_the_volume_at_its_price(exchange: Exchange) -> None:
    exchange.show(tick(T0 - SECOND, "59999", 7, "sell"), tick(T0, "60000", 30, "buy"))
    exchange.submit(intent("a", lots=2, price="59999"))
    assert not exchange.show(tick(LATER, "59999", 5, "sell"))
    (report,) = exchange.show(tick(LATER + 1, "59999", 4, "sell"))
    assert report.fill is not None
    # 2 of the 4 lots still belong to the queue, and one is the most that a print of 4 gives.
    assert (report.fill.lots, report.fill.price, report.fill.liquidity) == (1, Decimal(59999), "maker")
    assert report.fill.fee == Decimal(59999) * Decimal("0.001") * Decimal("0.0002")


def test_volume_older_than_the_window_is_not_in_the_queue(exchange: Exchange) -> None:
    exchange.show(tick(T0 - 120 * SECOND, "59999", 1000, "sell"), tick(T0, "60000", 30, "buy"))
    exchange.submit(intent("a", lots=1, price="59999"))
    (report,) = exchange.show(tick(LATER, "59999", 4, "sell"))
    assert report.order.status is OrderStatus.FILLED


def test_a_print_through_the_price_fills_whatever_the_queue(exchange: Exchange) -> None:
    exchange.show(tick(T0 - 1, "59999", 10_000, "sell"), tick(T0, "60000", 30, "buy"))
    exchange.submit(intent("a", lots=5, price="59999"))
    (report,) = exchange.show(tick(LATER, "59998.9", 40, "sell"))
    assert report.fill is not None
    assert (report.fill.lots, report.fill.price, report.fill.liquidity) == (5, Decimal(59999), "maker")


def test_a_sell_rests_above_and_fills_when_prints_go_through(exchange: Exchange) -> None:
    exchange.own(10)
    exchange.submit(intent("a", "sell", price="60010"))
    assert not exchange.show(tick(LATER, "60009.9", 100, "buy"))
    (report,) = exchange.show(tick(LATER + 1, "60010.1", 100, "buy"))
    assert report.order.status is OrderStatus.FILLED
    assert exchange.position() == 0


def test_a_taking_order_that_the_market_leaves_behind_rests(exchange: Exchange) -> None:
    exchange.show(tick(T0, "60000", 100, "buy"))
    exchange.submit(intent("a", price="60000"))
    assert not exchange.show(tick(LATER, "60005", 100, "buy"))
    # 100 lots printed at its price before it came to rest there.
    assert not exchange.show(tick(LATER + 1, "60000", 100, "sell"))
    (report,) = exchange.show(tick(LATER + 2, "60000", 40, "sell"))
    assert report.fill is not None
    assert report.fill.liquidity == "maker"


@pytest.mark.parametrize(("tif", "filled"), [("IOC", 5), ("FOK", 0)])
def test_immediate_orders_meet_one_print(exchange: Exchange, tif: str, filled: int) -> None:
    exchange.submit(intent("a", lots=10, price="60000", tif=tif))  # type: ignore[arg-type]
    reports = exchange.show(tick(LATER, "60000", 20, "buy"), tick(LATER + 1, "60000", 2000, "buy"))
    assert reports[-1].order.status is OrderStatus.EXPIRED
    assert reports[-1].order.filled_lots == filled
    assert exchange.position() == filled


def test_fill_or_kill_fills_at_once_when_a_print_gives_it_all(exchange: Exchange) -> None:
    exchange.submit(intent("a", lots=10, price="60000", tif="FOK"))
    (report,) = exchange.show(tick(LATER, "60000", 40, "buy"))
    assert report.order.status is OrderStatus.FILLED


def test_an_immediate_order_beyond_the_market_expires(exchange: Exchange) -> None:
    exchange.show(tick(T0, "60000", 100, "buy"))
    exchange.submit(intent("a", price="59000", tif="IOC"))
    (report,) = exchange.show(tick(LATER, "60000", 20, "buy"))
    assert (report.order.status, report.fill) == (OrderStatus.EXPIRED, None)


def test_post_only_is_rejected_when_it_would_take_and_rests_otherwise(exchange: Exchange) -> None:
    exchange.show(tick(T0, "60000", 100, "buy"))
    exchange.submit(intent("takes", price="60000", tif="PostOnly"))
    exchange.submit(intent("rests", price="59999.9", tif="PostOnly"))
    (report,) = exchange.clock(LATER)
    assert (report.order.client_order_id, report.order.status) == ("takes", OrderStatus.REJECTED)
    (report,) = exchange.show(tick(LATER + 1, "59999", 100, "sell"))
    assert report.fill is not None
    assert report.fill.liquidity == "maker"


def test_a_bar_fills_a_resting_order_only_when_it_goes_strictly_through(exchange: Exchange) -> None:
    minute = 60 * SECOND
    exchange.show(bar(T0, ["60000", "60010", "59990", "60000"], 1000))
    exchange.submit(intent("a", lots=300, price="59980"))
    assert not exchange.show(bar(T0 + minute, ["60000", "60000", "59980", "59990"], 1000))
    (report,) = exchange.show(bar(T0 + 2 * minute, ["59990", "60010", "59979.9", "60000"], 1000))
    assert report.fill is not None
    assert (report.fill.lots, report.fill.price, report.fill.liquidity) == (250, Decimal(59980), "maker")


def test_a_bar_fills_a_taker_at_the_worse_of_open_and_close(exchange: Exchange) -> None:
    exchange.show(bar(T0, ["60000", "60010", "59990", "60000"], 1000))
    exchange.submit(intent("a", price=None, kind="market"))
    (report,) = exchange.show(bar(T0 + 60 * SECOND, ["60001", "60010", "59980", "59990"], 1000))
    assert report.fill is not None
    assert (report.fill.price, report.fill.liquidity) == (Decimal(60001), "taker")


def test_an_order_that_comes_within_a_bar_meets_only_its_close(exchange: Exchange) -> None:
    minute = 60 * SECOND
    exchange.show(bar(T0, ["60000", "60010", "59990", "60000"], 1000))
    exchange.clock(T0 + 30 * SECOND)
    exchange.submit(intent("a", price="59980", decided_us=T0 + 30 * SECOND))
    # The low may be older than the order.
    assert not exchange.show(bar(T0 + minute, ["60000", "60000", "59970", "59990"], 1000))
    (report,) = exchange.show(bar(T0 + 2 * minute, ["59990", "59990", "59970", "59990"], 1000))
    assert report.order.status is OrderStatus.FILLED


def test_late_and_repeated_and_out_of_order_prints_match_nothing(exchange: Exchange) -> None:
    exchange.show(tick(LATER, "60000", 100, "buy", "7"))
    exchange.submit(intent("a", price=None, kind="market"))
    assert not exchange.show(tick(LATER, "60000", 100, "buy", "7"))
    assert not exchange.show(tick(LATER + 5, "60000", 100, "buy", late=True))
    assert not exchange.show(tick(LATER - 1, "60000", 100, "buy"))
    assert exchange.show(tick(LATER, "60000", 100, "buy", "8"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"price": "60000.05"}, "not a multiple"),
        ({"lots": 0}, "below the minimum of 1"),
        ({"lots": 1001}, "above the maximum"),
        ({"price": "1", "lots": 10}, "below the minimum of 5"),
        ({"price": None}, "needs a price"),
        ({"kind": "market", "price": "60000"}, "has no price"),
        ({"kind": "market", "price": None, "tif": "PostOnly"}, "PostOnly"),
    ],
)
def test_faults_that_show_on_sight_raise(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    exchange = Exchange(tmp_path, broker(maximum_lots=1000))
    for _ in range(2):
        with pytest.raises(VenueRejected, match=words):
            exchange.submit(intent("a", **changes))  # type: ignore[arg-type]
    assert exchange.order("a").status is OrderStatus.REJECTED
    assert not exchange.reports


def test_a_closed_market_takes_no_order(tmp_path: Path) -> None:
    hours = TradingHours(
        timezone="Asia/Seoul", sessions=(TradingSession(opens="09:00", closes="15:30", weekdays=(1, 2, 3, 4, 5)),)
    )
    exchange = Exchange(tmp_path, broker(trading_hours=hours))
    with pytest.raises(VenueRejected, match="closed"):
        exchange.submit(intent("night", decided_us=T0))  # 2023-11-14 22:13 UTC is 07:13 in Seoul
    exchange.submit(intent("day", decided_us=T0 + 2 * 3600 * SECOND))
    assert exchange.order("day").status is OrderStatus.ACCEPTED


def test_cash_and_position_are_looked_at_when_the_order_arrives(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, broker(cash="1000"))
    exchange.submit(intent("rich", lots=10, price="60000"))
    exchange.submit(intent("poor", lots=10, price="60000", decided_us=T0 + 1))
    exchange.submit(intent("short", "sell", lots=1, price="60000", decided_us=T0 + 2))
    reports = exchange.clock(LATER)
    assert [(r.order.client_order_id, r.order.status) for r in reports] == [
        ("poor", OrderStatus.REJECTED),
        ("short", OrderStatus.REJECTED),
    ]
    assert "insufficient cash" in reports[0].order.reason
    assert "insufficient position" in reports[1].order.reason
    assert reports[0].effective_us == LATER + REPORT_LATENCY


def test_an_order_that_comes_too_late_is_refused_in_the_answer(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, broker(cash="10"))
    exchange.clock(LATER)
    with pytest.raises(VenueRejected, match="insufficient cash"):
        exchange.submit(intent("a"))
    assert not exchange.reports


def test_a_market_buy_stops_when_the_cash_is_spent(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, broker(cash="601"))
    exchange.show(tick(T0, "60000", 4, "buy"))
    exchange.submit(intent("a", lots=10, price=None, kind="market"))
    reports = exchange.show(
        tick(LATER, "60100", 16, "buy"), tick(LATER + 1, "61000", 100, "buy"), tick(LATER + 2, "61000", 100, "buy")
    )
    assert reports[-1].order.status is OrderStatus.CANCELLED
    assert reports[-1].order.reason == "insufficient cash"
    assert 0 <= exchange.cash() < 61 * Decimal("1.0005")
    assert exchange.position() == 9


def test_a_cancel_arrives_its_latency_after_the_decision(exchange: Exchange) -> None:
    exchange.show(tick(T0, "60000", 100, "buy"))
    exchange.submit(intent("a", price="59990"))
    exchange.clock(LATER)
    assert exchange.cancel("a", LATER).status is OrderStatus.ACCEPTED
    fill, *_ = exchange.show(tick(LATER + ORDER_LATENCY - 1, "59989", 8, "sell"))
    assert fill.order.filled_lots == 2
    (report,) = exchange.show(tick(LATER + 200 * MS, "59989", 400, "sell"))
    assert (report.order.status, report.order.filled_lots) == (OrderStatus.CANCELLED, 2)
    assert (report.order.leaves_lots, report.time_us) == (0, LATER + ORDER_LATENCY)
    assert report.effective_us == LATER + 200 * MS + REPORT_LATENCY
    assert exchange.cancel("a", LATER).status is OrderStatus.CANCELLED


def test_a_cancel_without_a_time_acts_at_once(exchange: Exchange) -> None:
    exchange.submit(intent("a", price="59990"))
    assert exchange.cancel("a").status is OrderStatus.CANCELLED
    assert [report.order.status for report in exchange.reports] == [OrderStatus.CANCELLED]
    with pytest.raises(VenueRejected, match="unknown order"):
        exchange.cancel("nobody")


def test_the_same_id_again_is_the_first_order(exchange: Exchange) -> None:
    exchange.submit(intent("a", lots=10, price=None, kind="market"))
    exchange.show(tick(LATER, "60000", 100, "buy"))
    again = exchange.submit(intent("a", lots=10, price=None, kind="market"))
    assert again.status is OrderStatus.FILLED
    exchange.show(tick(LATER + 1, "60000", 100, "buy"))
    assert exchange.position() == 10


def test_open_orders_hold_back_what_they_may_cost(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, broker(cash="1000"))
    exchange.submit(intent("a", lots=10, price="60000"))
    exchange.clock(LATER)
    exchange.cancel("a")
    exchange.submit(intent("b", lots=10, price="60000", decided_us=LATER))
    assert not [r for r in exchange.clock(LATER + SECOND) if r.order.status is OrderStatus.REJECTED]


def test_what_comes_next_by_the_clock_alone(exchange: Exchange) -> None:
    assert exchange.venue.next_event_us() is None
    exchange.submit(intent("a", price="59990"))
    assert exchange.venue.next_event_us() == T0 + ORDER_LATENCY
    exchange.clock(LATER)
    assert exchange.venue.next_event_us() is None


def test_the_statement_agrees_with_the_fills(exchange: Exchange) -> None:
    exchange.own(10)
    exchange.submit(intent("a", "sell", lots=4, price=None, kind="market"))
    exchange.show(tick(LATER, "60100", 100, "buy"))
    statement = exchange.venue.statement()
    cash = statement.state.initial_cash
    for fill in statement.fills:
        notional = fill.price * fill.lots * Decimal("0.001")
        cash += (-notional if fill.side == "buy" else notional) - fill.fee
    assert cash == statement.state.cash == exchange.cash()
    assert statement.state.positions == {SYMBOL: 6}
    assert [order.intent.client_order_id for order in statement.orders] == ["seed", "a"]
