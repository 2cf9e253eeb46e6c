"""The venue's books survive what a process may suffer."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from christmas.brokers.paper.ledger import LedgerUnusable
from christmas.brokers.paper.venue import LEDGER_FILE
from christmas.execution.order import OrderStatus
from tests.unit.paper.support import SECOND, SYMBOL, T0, Exchange, done, intent, tick

LATER = T0 + SECOND

_TRADER = """
import sys
from pathlib import Path
from tests.unit.paper.support import SECOND, T0, Exchange, intent, tick
exchange = Exchange(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    at = T0 + number * SECOND
    side = "buy" if number % 2 else "sell"
    exchange.submit(intent(f"o{number}", side, price=None, kind="market", decided_us=at))
    exchange.show(tick(at + SECOND // 2, "60000", 100, "buy", str(number)))
    print(number, exchange.cash(), flush=True)
"""


def test_a_process_killed_in_the_middle_leaves_whole_trades(tmp_path: Path) -> None:
    trader = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _TRADER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert trader.stdout is not None
    told = [trader.stdout.readline() for _ in range(30)]
    trader.send_signal(signal.SIGKILL)
    trader.wait()
    trader.stdout.close()

    exchange = Exchange(tmp_path)
    statement = exchange.venue.statement()
    done_orders = [order for order in statement.orders if order.status is OrderStatus.FILLED]
    assert len(done_orders) >= len(told)
    assert len(statement.orders) - len(done_orders) <= 1
    assert sum(fill.lots for fill in statement.fills) == 10 * len(done_orders)
    assert exchange.position() == 10 * (len(done_orders) % 2)


def test_a_new_process_goes_on_with_orders_queue_and_position_in_the_feed(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    exchange.show(tick(T0 - 1, "59999", 8, "sell", "1"), tick(T0, "60000", 30, "buy", "2"))
    exchange.submit(intent("a", lots=1, price="59999"))
    exchange.show(tick(LATER, "59999", 5, "sell", "3"))
    exchange.venue.flush()
    exchange.kill()

    exchange.open()
    position = exchange.venue.last_tick(SYMBOL)
    assert position is not None
    assert (position.time_us, position.trade_ids, position.ticks) == (LATER, ("3",), 3)
    assert exchange.venue.clock_us == LATER
    assert not exchange.show(tick(LATER + 1, "59999", 3, "sell", "4"))
    (report,) = exchange.show(tick(LATER + 2, "59999", 1, "sell", "5"))
    assert report.order.status is OrderStatus.FILLED


def test_a_new_process_knows_what_was_traded_and_quoted_before(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    exchange.show(
        tick(T0 - 3, "59999", 8, "sell", "1"), tick(T0 - 2, "60007", 30, "buy", "2"), tick(T0, "60000", 9, "sell", "3")
    )
    exchange.venue.flush()
    exchange.kill()

    exchange.open()
    exchange.submit(intent("queues", lots=1, price="59999"))
    exchange.submit(intent("takes", lots=1, price=None, kind="market"))
    first, second = exchange.show(tick(LATER, "59999", 8, "sell"), tick(LATER + 1, "59999", 4, "sell"))
    assert first.order.client_order_id == "takes"
    assert first.fill is not None
    assert first.fill.price == Decimal(60007)
    assert (second.order.client_order_id, second.time_us) == ("queues", LATER + 1)


def test_fills_are_told_from_a_time_on(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    exchange.submit(intent("a", lots=20, price=None, kind="market"))
    exchange.show(tick(LATER, "60000", 40, "buy"), tick(LATER + 1, "60000", 40, "buy"))
    first, second = done(exchange.venue.fills(0))
    assert [first.fill_id, second.fill_id] == ["a-1", "a-2"]
    assert done(exchange.venue.fills(LATER + 1)) == [second]


def test_positions_in_the_feed_are_written_seldom_while_nothing_happens(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    started = time.perf_counter()
    for number in range(2000):
        exchange.show(tick(T0 + number, "60000", 1, "buy", str(number)))
    spent = time.perf_counter() - started
    position = exchange.venue.last_tick(SYMBOL)
    assert position is not None
    assert position.ticks < 2000
    # Generous for a busy machine; a write for each batch would take twice that and more.
    assert spent / 2000 < 50e-6


def test_a_file_that_is_no_ledger_is_named(tmp_path: Path) -> None:
    (tmp_path / LEDGER_FILE).write_text("these are not the books you are looking for" * 100, encoding="utf-8")
    with pytest.raises(LedgerUnusable, match=LEDGER_FILE):
        Exchange(tmp_path)
