"""A book from which is left out what a strategy had not been told by some time."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from christmas.brokers.gateway.book import Book
from christmas.brokers.gateway.hindsight import book_as_known
from christmas.brokers.gateway.server import known_orders
from christmas.execution.journal import FillRecorded, JournalEntry, OrderChanged, OrderWritten
from christmas.execution.order import Fill, OrderIntent, OrderStatus, Purpose
from christmas.market.tick import Side

UID = "uid-1"
LOT = Decimal("0.001")


def order(name: str, side: Side, purpose: Purpose, time_us: int) -> OrderWritten:
    intent = OrderIntent(
        client_order_id=name,
        symbol="BTC/USDT",
        side=side,
        type="limit",
        lots=10,
        price=Decimal(100),
        purpose=purpose,
        position_id="entry",
        decided_us=time_us,
    )
    return OrderWritten(
        time_us=time_us, wall_us=0, strategy="s", strategy_uid=UID, epoch=1, intent=intent, lot_size=LOT
    )


def filled(written: OrderWritten, price: str, time_us: int, known_us: int) -> list[JournalEntry]:
    intent = written.intent
    fill = Fill(
        fill_id=f"{intent.client_order_id}-1",
        client_order_id=intent.client_order_id,
        symbol=intent.symbol,
        side=intent.side,
        price=Decimal(price),
        lots=10,
        fee=Decimal("0.001"),
        liquidity="maker",
        time_us=time_us,
    )
    return [
        FillRecorded(
            time_us=time_us,
            wall_us=0,
            strategy="s",
            position_id=intent.position_id,
            purpose=intent.purpose,
            lot_size=LOT,
            fill=fill,
        ),
        OrderChanged(
            time_us=time_us,
            wall_us=0,
            strategy="s",
            client_order_id=intent.client_order_id,
            status=OrderStatus.FILLED,
            filled_lots=10,
            leaves_lots=0,
            effective_us=known_us,
        ),
    ]


ENTRY = order("entry", "buy", "entry", 1_000)
EXIT = order("exit", "sell", "exit", 3_000)
JOURNAL: list[JournalEntry] = [ENTRY, *filled(ENTRY, "100", 2_000, 2_500), EXIT, *filled(EXIT, "110", 4_000, 4_500)]


def test_a_fill_is_not_known_before_its_time() -> None:
    book = book_as_known(JOURNAL, 4_499)
    strategy = book.strategies[UID]
    assert book.orders["exit"].status is OrderStatus.PENDING
    assert book.orders["exit"].fills == ()
    assert (strategy.closed_trades, strategy.realised) == (0, Decimal(0))
    assert [position.lots for position in strategy.positions.values()] == [10]


def test_from_its_time_on_it_is() -> None:
    strategy = book_as_known(JOURNAL, 4_500).strategies[UID]
    assert (strategy.closed_trades, strategy.winning_trades) == (1, 1)
    assert strategy.realised == Decimal("0.098")


@given(st.integers(min_value=4_500))
def test_in_the_end_it_is_the_book(until_us: int) -> None:
    book = Book()
    for entry in JOURNAL:
        book.apply(entry)
    known = book_as_known(JOURNAL, until_us)
    assert known.orders == book.orders
    assert known.strategies[UID].realised == book.strategies[UID].realised


def test_steps_without_a_time_of_their_own_are_known_at_once() -> None:
    assert book_as_known([ENTRY, *filled(ENTRY, "100", 2_000, 0)], 0).orders["entry"].status is OrderStatus.FILLED


def test_a_welcome_tells_orders_in_the_order_in_which_they_were_written() -> None:
    book = Book()
    for name in ("second-by-name", "first-by-name"):
        book.apply(order(name, "buy", "entry", 1_000))
    told = [known.intent.client_order_id for known in known_orders(book, UID, 0)]
    assert told == ["second-by-name", "first-by-name"]
