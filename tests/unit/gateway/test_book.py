"""What an account keeps in memory is bounded, and its numbers do not depend on what it has dropped."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from christmas.brokers.gateway import book as module
from christmas.brokers.gateway.book import Book
from christmas.execution.journal import FillRecorded, JournalEntry, OrderChanged, OrderWritten
from christmas.execution.order import Fill, OrderIntent, OrderStatus, Purpose
from christmas.market.tick import Side

LOT = Decimal("0.001")
DAY_US = 86_400_000_000


def round_trip(strategy: str, number: int, *, at_us: int = 0) -> Iterator[JournalEntry]:
    """Bought at 100, sold at 110, ten lots of a thousandth: 0.1 won."""
    position_id = f"{strategy}-{number}"
    sides: tuple[tuple[Purpose, Side, str], ...] = (("entry", "buy", "100"), ("exit", "sell", "110"))
    for purpose, side, price in sides:
        key = position_id if purpose == "entry" else f"{position_id}-exit"
        intent = OrderIntent(
            client_order_id=key, symbol="BTC/USDT", side=side, type="limit", lots=10, price=Decimal(price),
            purpose=purpose, position_id=position_id, decided_us=at_us,
        )  # fmt: skip
        fill = Fill(
            fill_id=f"f-{key}", client_order_id=key, symbol="BTC/USDT", side=side, price=Decimal(price), lots=10,
            fee=Decimal(0), liquidity="maker", time_us=at_us,
        )  # fmt: skip
        yield OrderWritten(
            time_us=at_us, wall_us=0, strategy=strategy, strategy_uid=f"uid-{strategy}", epoch=1, intent=intent,
            lot_size=LOT,
        )  # fmt: skip
        yield FillRecorded(
            time_us=at_us, wall_us=0, strategy=strategy, position_id=position_id, purpose=purpose, lot_size=LOT,
            fill=fill,
        )  # fmt: skip
        yield OrderChanged(
            time_us=at_us, wall_us=0, strategy=strategy, client_order_id=key, status=OrderStatus.FILLED,
            filled_lots=10, leaves_lots=0,
        )  # fmt: skip


def traded(book: Book, strategy: str, count: int, *, at_us: int = 0) -> None:
    for number in range(count):
        for entry in round_trip(strategy, number, at_us=at_us):
            book.apply(entry)


@pytest.fixture(autouse=True)
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FINISHED_MAXIMUM", 20)
    monkeypatch.setattr(module, "FINISHED_MAXIMUM_OF_ALL", 50)


def test_strategies_that_come_and_go_leave_a_bounded_number_of_orders() -> None:
    book = Book()
    for number in range(100):
        traded(book, f"s{number}", 7)
    assert len(book.orders) == 100
    assert book.forgotten == 100 * 7 * 2 - 100
    assert sum(len(one.finished) for one in book.strategies.values()) == 50


def test_who_has_most_gives_first() -> None:
    book = Book()
    traded(book, "slow", 3)
    for number in range(4):
        traded(book, f"busy{number}", 30)
    assert len(book.strategies["uid-slow"].finished) == 3
    assert max(len(one.finished) for one in book.strategies.values()) <= 20


def test_what_is_dropped_stays_in_the_totals() -> None:
    book = Book()
    for number in range(10):
        traded(book, f"s{number}", 30, at_us=5 * DAY_US)
    assert {(one.closed_trades, one.winning_trades, one.realised) for one in book.strategies.values()} == {
        (30, 30, Decimal("3.000"))
    }
    assert book.account_exposure(5 * DAY_US, {}).daily_pnl == Decimal("30.000")
    assert book.account_exposure(6 * DAY_US, {}).daily_pnl == Decimal(0)


def test_idle_strategies_count_for_the_account_and_busy_ones_with_what_they_hold() -> None:
    book = Book()
    traded(book, "idle", 5, at_us=5 * DAY_US)
    bought = list(round_trip("busy", 1, at_us=5 * DAY_US))[:3]
    for entry in bought:
        book.apply(entry)
    found = book.account_exposure(5 * DAY_US, {"BTC/USDT": Decimal(90)})
    assert (found.locked, found.open_orders) == (Decimal("1.000"), 0)
    assert found.daily_pnl == Decimal("0.500") - Decimal("0.100")
