"""One round trip as all three stores tell it: bought at 100, sold at 110, one lot of 1, fees of 0.1."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from christmas.audit.books import DatabaseBook, FillRow, JournalBook, Line, OrderRow, Policy, SignalRow, VenueBook
from christmas.brokers.paper.matching import PaperOrder
from christmas.execution.journal import (
    FillRecorded,
    JournalEntry,
    OrderChanged,
    OrderWritten,
    SessionChanged,
    SignalNoted,
)
from christmas.execution.order import Fill, OrderIntent, OrderStatus, client_order_id
from christmas.market.tick import Side

UID = "uid-1"
SYMBOL = "BTC/USDT"
DECIDED_US = 1_000_003_500_000
BAR_US = 1_000_000_000_000
NO_LOSS = {UID: Policy(policy="NoLoss")}


def order_id(side: Side, number: int = 0) -> str:
    return client_order_id(UID, BAR_US, side, number)


BUY, SELL = order_id("buy"), order_id("sell")


def intent(side: Side, **changes: Any) -> OrderIntent:
    made = OrderIntent(
        client_order_id=order_id(side),
        symbol=SYMBOL,
        side=side,
        type="limit",
        lots=1,
        price=Decimal(100) if side == "buy" else Decimal(110),
        purpose="entry" if side == "buy" else "exit",
        position_id=BUY,
        decided_us=DECIDED_US,
    )
    return msgspec.structs.replace(made, **changes)


def fill(side: Side, **changes: Any) -> Fill:
    made = Fill(
        fill_id=f"fill-{side}",
        client_order_id=order_id(side),
        symbol=SYMBOL,
        side=side,
        price=Decimal(100) if side == "buy" else Decimal(110),
        lots=1,
        fee=Decimal("0.1"),
        liquidity="maker",
        time_us=DECIDED_US + 50_000,
    )
    return msgspec.structs.replace(made, **changes)


def written(side: Side, **changes: Any) -> OrderWritten:
    return OrderWritten(
        time_us=DECIDED_US,
        wall_us=1,
        strategy="one",
        strategy_uid=UID,
        epoch=1,
        intent=intent(side, **changes),
        lot_size=Decimal(1),
    )


def changed(side: Side, status: OrderStatus, filled: int) -> OrderChanged:
    return OrderChanged(
        time_us=DECIDED_US,
        wall_us=1,
        strategy="one",
        client_order_id=order_id(side),
        status=status,
        filled_lots=filled,
        leaves_lots=1 - filled,
        venue_order_id="v",
    )


def filled(side: Side, **changes: Any) -> FillRecorded:
    return FillRecorded(
        time_us=DECIDED_US,
        wall_us=1,
        strategy="one",
        position_id=BUY,
        purpose="entry" if side == "buy" else "exit",
        lot_size=Decimal(1),
        fill=fill(side, **changes),
    )


def session(epoch: int = 1, instance: str = "a", state: Any = "opened") -> SessionChanged:
    return SessionChanged(
        time_us=1, wall_us=1, strategy="one", strategy_uid=UID, epoch=epoch, instance=instance, state=state
    )


def signal() -> SignalNoted:
    return SignalNoted(time_us=1, wall_us=1, strategy="one", symbol=SYMBOL, signal="entry", taken=True, reason="r")


def entries() -> list[JournalEntry]:
    """Ten entries; the fills are the 5th and the 9th."""
    return [
        session(),
        signal(),
        written("buy"),
        changed("buy", OrderStatus.ACCEPTED, 0),
        filled("buy"),
        changed("buy", OrderStatus.FILLED, 1),
        written("sell"),
        changed("sell", OrderStatus.ACCEPTED, 0),
        filled("sell"),
        changed("sell", OrderStatus.FILLED, 1),
    ]


def journal(told: list[JournalEntry] | None = None, **changes: Any) -> JournalBook:
    """Entries numbered by their places."""
    lines = tuple(
        Line(sequence=number, owner=UID, entry=msgspec.structs.replace(entry, sequence=number))
        for number, entry in enumerate(entries() if told is None else told, start=1)
    )
    return msgspec.structs.replace(JournalBook(lines=lines), **changes)


def venue(**changes: Any) -> VenueBook:
    made = VenueBook(
        initial_cash=Decimal(1000),
        cash=Decimal("1009.8"),
        positions={SYMBOL: 0},
        orders=tuple(
            PaperOrder(intent=intent(side), effective_us=1, status=OrderStatus.FILLED, filled_lots=1)
            for side in ("buy", "sell")
        ),
        fills=(fill("buy"), fill("sell")),
    )
    return msgspec.structs.replace(made, **changes)


def order_row(side: Side) -> OrderRow:
    price = Decimal(100) if side == "buy" else Decimal(110)
    return OrderRow(
        strategy="one",
        strategy_uid=UID,
        epoch=1,
        symbol=SYMBOL,
        side=side,
        type="limit",
        time_in_force="GTC",
        purpose="entry" if side == "buy" else "exit",
        position_id=BUY,
        price=price,
        lots=1,
        lot_size=Decimal(1),
        filled_lots=1,
        filled_notional=price,
        fees=Decimal("0.1"),
        status="filled",
        breaks_policy=None,
        decided_us=DECIDED_US,
    )


def fill_row(side: Side, sequence: int) -> FillRow:
    return FillRow(
        strategy="one",
        client_order_id=order_id(side),
        position_id=BUY,
        purpose="entry" if side == "buy" else "exit",
        symbol=SYMBOL,
        side=side,
        price=Decimal(100) if side == "buy" else Decimal(110),
        lots=1,
        lot_size=Decimal(1),
        fee=Decimal("0.1"),
        liquidity="maker",
        time_us=DECIDED_US + 50_000,
        sequence=sequence,
    )


def database(**changes: Any) -> DatabaseBook:
    made = DatabaseBook(
        watermark=10,
        journal=journal().lines,
        orders={BUY: order_row("buy"), SELL: order_row("sell")},
        fills=(("fill-buy", fill_row("buy", 5)), ("fill-sell", fill_row("sell", 9))),
        signals={2: SignalRow(strategy="one", symbol=SYMBOL, signal="entry", taken=True, time_us=1)},
        ticks={},
        quarantined=0,
        quarantined_again=0,
    )
    return msgspec.structs.replace(made, **changes)
