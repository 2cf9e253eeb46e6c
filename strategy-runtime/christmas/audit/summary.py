"""What each strategy's raw fills amount to, twice: by plain sums, and by the product's own accounting."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal

from christmas.audit.difference import Difference, StrategyBooks
from christmas.audit.journal_checks import JournalFold
from christmas.execution.accounting import round_trips, total
from christmas.execution.order import OrderStatus


def summarise(broker: str, fold: JournalFold) -> tuple[list[StrategyBooks], list[Difference]]:
    """By strategy (uid); and where `christmas.execution.accounting` comes to another result."""
    uids = {order.written.strategy_uid: order.written.strategy for order in fold.orders.values()}
    orders = Counter(order.written.strategy_uid for order in fold.orders.values())
    denied = Counter(order.written.strategy_uid for order in fold.orders.values() if order.status is OrderStatus.DENIED)
    books, found = [], []
    for uid, name in sorted(uids.items(), key=lambda item: (item[1], item[0])):
        positions = {key: each for key, each in fold.positions.items() if each.strategy_uid == uid}
        fills = [entry for entry in fold.fills.values() if entry.position_id in positions]
        closed = [each for each in positions.values() if each.bought and each.bought == each.sold]
        held: dict[str, int] = defaultdict(int)
        for each in positions.values():
            held[each.symbol] += each.bought - each.sold
        results = [each.received - each.paid for each in closed]
        book = StrategyBooks(
            broker=broker,
            strategy=name,
            strategy_uid=uid,
            orders=orders[uid],
            denied=denied[uid],
            fills=len(fills),
            closed_trades=len(closed),
            winning_trades=sum(result > 0 for result in results),
            open_positions=sum(each.bought > each.sold for each in positions.values()),
            held_lots={symbol: lots for symbol, lots in held.items() if lots},
            realised_pnl=sum(results, Decimal(0)),
            fees=sum((each.fees for each in positions.values()), Decimal(0)),
        )
        books.append(book)
        trips = round_trips(fills)
        done = [trip for trip in trips if trip.is_closed]
        theirs = (len(done), total(trip.cash_flow for trip in done), total(trip.fees for trip in trips))
        ours = (book.closed_trades, book.realised_pnl, book.fees)
        if theirs != ours:
            found.append(
                Difference(
                    kind="statistics.at-odds",
                    place=f"{broker}/{name}",
                    expected="closed {}, realised {}, fees {}, by plain sums".format(*ours),
                    found="closed {}, realised {}, fees {}, by the accounting".format(*theirs),
                    mend="a fill is doubled, or at odds: see the other differences",
                )
            )
    return books, found
