"""Order book-keeping: duplicates, late and out-of-order news of an order."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from christmas.brokers.gateway.orders import Order, ended, observe, unknown
from christmas.brokers.port import VenueOrder
from christmas.execution.order import Fill, OrderStatus
from tests.unit.gateway.bench import entry


def an_order(lots: int = 10) -> Order:
    return Order(
        intent=entry(lots=lots), strategy="s", strategy_uid="u", epoch=1, lot_size=Decimal("0.001"), written_us=0
    )


def seen(status: OrderStatus, filled: int, leaves: int) -> VenueOrder:
    return VenueOrder(
        client_order_id="entry-1", venue_order_id="v", status=status, filled_lots=filled, leaves_lots=leaves
    )


def a_fill(number: int, lots: int) -> Fill:
    return Fill(
        fill_id=f"f{number}",
        client_order_id="entry-1",
        symbol="BTC/USDT",
        side="buy",
        price=Decimal(100),
        lots=lots,
        fee=Decimal(0),
        liquidity="maker",
        time_us=number,
    )


def test_the_same_fill_twice_is_one() -> None:
    order, step = observe(an_order(), seen(OrderStatus.PARTIALLY_FILLED, 4, 6), a_fill(1, 4))
    assert step is not None
    assert step.order.filled_lots == 4
    again, nothing = observe(order, seen(OrderStatus.PARTIALLY_FILLED, 4, 6), a_fill(1, 4))
    assert nothing is None
    assert again.filled_lots == 4


def test_an_order_is_over_only_when_all_its_fills_are_here() -> None:
    order, step = observe(an_order(), seen(OrderStatus.FILLED, 10, 0), a_fill(2, 6))
    assert step is not None
    assert order.status is OrderStatus.PARTIALLY_FILLED
    assert order.missing_lots == 4
    order, step = observe(order, seen(OrderStatus.PARTIALLY_FILLED, 4, 6), a_fill(1, 4))
    assert step is not None
    assert order.status is OrderStatus.FILLED
    assert order.missing_lots == 0


def test_a_cancelled_order_waits_for_the_fills_from_before_its_cancel() -> None:
    order, step = observe(an_order(), seen(OrderStatus.CANCELLED, 4, 0))
    assert step is not None
    assert order.status is OrderStatus.ACCEPTED
    order, step = observe(order, seen(OrderStatus.PARTIALLY_FILLED, 4, 6), a_fill(1, 4))
    assert step is not None
    assert (order.status, order.filled_lots, order.leaves_lots) == (OrderStatus.CANCELLED, 4, 0)


def test_a_fill_after_the_end_still_counts() -> None:
    order, _ = observe(an_order(), seen(OrderStatus.CANCELLED, 0, 0))
    order, step = observe(order, seen(OrderStatus.PARTIALLY_FILLED, 4, 6), a_fill(1, 4))
    assert step is not None
    assert step.fill is not None
    assert (order.status, order.filled_lots) == (OrderStatus.CANCELLED, 4)


def test_old_news_does_not_take_an_order_back() -> None:
    order, _ = observe(an_order(), seen(OrderStatus.PARTIALLY_FILLED, 4, 6), a_fill(1, 4))
    order, step = observe(order, seen(OrderStatus.ACCEPTED, 0, 10))
    assert step is None
    assert order.status is OrderStatus.PARTIALLY_FILLED


def test_only_an_unanswered_order_becomes_unknown() -> None:
    order, step = unknown(an_order(), "timeout")
    assert step is not None
    assert order.status is OrderStatus.UNKNOWN
    accepted, _ = observe(order, seen(OrderStatus.ACCEPTED, 0, 10))
    assert accepted.status is OrderStatus.ACCEPTED
    assert unknown(accepted, "timeout")[1] is None
    assert ended(ended(accepted, OrderStatus.REJECTED, "")[0], OrderStatus.CANCELLED, "")[1] is None


@settings(max_examples=200)
@given(data=st.data(), parts=st.lists(st.integers(1, 5), min_size=1, max_size=5), cancelled=st.booleans())
def test_any_order_of_news_ends_the_same(data: st.DataObject, parts: list[int], cancelled: bool) -> None:
    """All reports of an order, shuffled and some twice, lead to the same end, and each fill counts once."""
    lots = sum(parts) + (3 if cancelled else 0)
    news: list[tuple[VenueOrder, Fill | None]] = [(seen(OrderStatus.ACCEPTED, 0, lots), None)]
    filled = 0
    for number, part in enumerate(parts):
        filled += part
        status = OrderStatus.FILLED if filled == lots else OrderStatus.PARTIALLY_FILLED
        news.append((seen(status, filled, lots - filled), a_fill(number, part)))
    if cancelled:
        news.append((seen(OrderStatus.CANCELLED, filled, 0), None))
    order = an_order(lots)
    was_final = False
    for view, fill in data.draw(st.permutations(news + data.draw(st.lists(st.sampled_from(news), max_size=4)))):
        order, step = observe(order, view, fill)
        assert not (was_final and step is not None and step.fill is None)
        was_final = order.status.is_final
    assert order.filled_lots == sum(parts)
    assert order.status is (OrderStatus.CANCELLED if cancelled else OrderStatus.FILLED)
    assert order.missing_lots == 0
    assert msgspec.structs.asdict(order)["venue_order_id"] == "v"
