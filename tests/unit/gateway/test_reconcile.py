"""Reconciliation: nothing is sent before the journal and the venue agree, whatever happened meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from christmas.brokers.gateway.reconcile import compare_holdings
from christmas.brokers.port import VenueAmbiguous
from christmas.execution.order import OrderStatus
from tests.support.waiting import eventually
from tests.unit.gateway.bench import NOW_US, Bench, entry
from tests.unit.gateway.scripted import ScriptedVenue

Lives = Callable[[], Awaitable[Bench]]


@pytest.fixture
def venue() -> ScriptedVenue:
    return ScriptedVenue()


@pytest.fixture
async def live(tmp_path: Path, venue: ScriptedVenue) -> AsyncIterator[Lives]:
    lives: list[Bench] = []

    async def begin() -> Bench:
        if lives:
            await lives[-1].crash()
        lives.append(Bench(tmp_path / "journal.sqlite", venue, reconciled=False))
        return lives[-1]

    yield begin
    await lives[-1].crash()


async def with_an_order(live: Lives) -> Bench:
    bench = await live()
    await bench.reconcile()
    bench.submit(entry())
    await bench.settled()
    return bench


async def test_fills_from_while_we_were_away_are_found(live: Lives, venue: ScriptedVenue) -> None:
    await with_an_order(live)
    bench = await live()
    venue.fill("entry-1", 4, tell=False, time_us=NOW_US)
    venue.fill("entry-1", 6, tell=False, time_us=NOW_US + 1)
    await bench.reconcile()
    order = bench.book.orders["entry-1"]
    assert (order.status, order.filled_lots) == (OrderStatus.FILLED, 10)
    assert bench.book.held_lots() == {"BTC/USDT": 10}
    bench = await live()
    await bench.reconcile()
    assert bench.book.held_lots() == {"BTC/USDT": 10}


async def test_an_order_cancelled_while_we_were_away_is_over(live: Lives, venue: ScriptedVenue) -> None:
    await with_an_order(live)
    bench = await live()
    venue.orders["entry-1"] = msgspec.structs.replace(venue.orders["entry-1"], status=OrderStatus.CANCELLED)
    await bench.reconcile()
    assert bench.statuses("entry-1") == ["cancelled"]


async def test_orders_and_fills_of_others_are_told_and_left_alone(live: Lives, venue: ScriptedVenue) -> None:
    bench = await with_an_order(live)
    await venue.submit(entry(77))
    venue.fill("entry-77", 3, tell=False, time_us=NOW_US)
    bench = await live()
    await bench.reconcile()
    assert bench.alerts() == ["ForeignOrder", "ForeignOrder", "ForeignHoldings"]
    assert venue.orders["entry-77"].status is OrderStatus.PARTIALLY_FILLED
    assert "cancel" not in venue.asked


async def test_less_than_the_journal_holds_stops_trading(live: Lives, venue: ScriptedVenue) -> None:
    bench = await with_an_order(live)
    venue.fill("entry-1", 10, time_us=NOW_US)
    await bench.settled()
    venue.positions["BTC/USDT"] = 7
    bench = await live()
    await bench.start_reconciling()
    await eventually(lambda: len(bench.blocked) >= 3, within_s=5.0)
    assert "does not have 3 lots of BTC/USDT" in str(bench.blocked[-1])
    assert bench.desk.blocked is not None
    bench.submit(entry(2))
    await bench.settled_but_reconciling()
    assert bench.statuses("entry-2") == ["denied"]
    venue.positions["BTC/USDT"] = 10
    await eventually(lambda: bench.desk.blocked is None, within_s=5.0)


async def test_a_question_without_an_answer_is_asked_again(live: Lives, venue: ScriptedVenue) -> None:
    await with_an_order(live)
    bench = await live()
    venue.before.extend([None, VenueAmbiguous("503"), None, None, None, VenueAmbiguous("timeout")])
    await bench.reconcile()
    assert bench.book.orders["entry-1"].status is OrderStatus.ACCEPTED
    assert venue.asked.count("open_orders") >= 3
    reasons = [reason for reason in bench.blocked if reason is not None]
    assert any("503" in reason for reason in reasons)
    assert bench.blocked[-1] is None


async def test_an_order_is_not_given_up_before_the_venue_has_denied_it_twice(live: Lives, venue: ScriptedVenue) -> None:
    await with_an_order(live)
    bench = await live()
    kept = venue.orders.pop("entry-1")
    query = venue.query
    asked: list[str] = []

    async def late(client_order_id: str) -> object:
        asked.append(client_order_id)
        if len(asked) == 2:
            venue.orders["entry-1"] = kept
        return await query(client_order_id)

    venue.query = late  # type: ignore[method-assign, assignment]
    await bench.reconcile()
    assert bench.book.orders["entry-1"].status is OrderStatus.ACCEPTED


def test_holdings() -> None:
    found = compare_holdings({"BTC/USDT": 10, "ETH/USDT": 5}, {"BTC/USDT": 7, "ETH/USDT": 5, "SOL/USDT": 2})
    assert found.missing == {"BTC/USDT": 3}
    assert found.surplus == {"SOL/USDT": 2}
