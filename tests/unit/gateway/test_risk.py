"""The risk gate, limit by limit: what it denies, and that exits pass where only entries are bound."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from christmas.brokers.gateway.risk import AccountBounds, Exposure, PositionView, Situation, evaluate
from christmas.execution.order import OrderIntent
from christmas.market.hours import TradingHours, TradingSession
from christmas.market.instrument import Instrument
from tests.unit.gateway.bench import LIMITS, NOW_US, entry, exit_of
from tests.unit.gateway.scripted import INSTRUMENT

CLOSED = TradingHours(timezone="UTC", sessions=(TradingSession(opens="00:00", closes="00:01", weekdays=(1,)),))
BOUNDED = msgspec.structs.replace(INSTRUMENT, minimum_notional=Decimal(5), minimum_lots=2, maximum_lots=1_000_000)
TIGHT = msgspec.structs.replace(
    LIMITS,
    amount=Decimal(500),
    per_trade=Decimal(100),
    max_positions=2,
    max_orders_per_minute=5,
    max_open_orders=3,
    max_daily_loss=Decimal(50),
    price_collar=Decimal("0.02"),
)


def situation(**changes: Any) -> Situation:
    return msgspec.structs.replace(
        Situation(
            now_us=NOW_US,
            instrument=BOUNDED,
            last_price=Decimal(100),
            last_tick_us=NOW_US,
            limits=TIGHT,
            bounds=AccountBounds(max_open_orders=10, max_notional=Decimal(2_000), max_daily_loss=Decimal(200)),
            strategy=Exposure(),
            account=Exposure(),
            position=None,
        ),
        **changes,
    )


HELD = PositionView(symbol="BTC/USDT", lots=1_000, live_exit_lots=0)
ENTRY = entry(lots=900)
EXIT = exit_of(1, lots=900, price="101")


def closed_instrument() -> Instrument:
    return msgspec.structs.replace(BOUNDED, trading_hours=CLOSED)


@pytest.mark.parametrize(
    ("intent", "changes", "code"),
    [
        (ENTRY, {}, None),
        (entry(lots=900, price=None), {}, None),
        (ENTRY, {"blocked": "not yet"}, "NotReconciled"),
        (ENTRY, {"instrument": None}, "UnknownSymbol"),
        (ENTRY, {"limits": msgspec.structs.replace(TIGHT, symbols=("ETH/USDT",))}, "UnknownSymbol"),
        (entry(lots=900, side="sell"), {}, "LongOnly"),
        (entry(lots=1), {}, "Lots"),
        (entry(lots=-5), {}, "Lots"),
        (entry(lots=1_000_001), {}, "Lots"),
        (entry(lots=900, price="100.005"), {}, "Price"),
        (entry(lots=900, price="-1"), {}, "Price"),
        (entry(lots=900, price=None, type="limit"), {}, "Price"),
        (entry(lots=900, type="market"), {}, "Price"),
        (entry(lots=49), {}, "MinimumNotional"),
        (entry(lots=50), {}, None),
        (entry(lots=49, price=None), {}, "MinimumNotional"),
        (ENTRY, {"instrument": closed_instrument()}, "MarketClosed"),
        (ENTRY, {"halted": "by hand"}, "Halted"),
        (ENTRY, {"feed_silent": "feed silent since 12:00:03 UTC"}, "StaleMarketData"),
        (ENTRY, {"last_price": None}, "StaleMarketData"),
        (ENTRY, {"now_us": NOW_US + 10_000_000}, None),
        (ENTRY, {"now_us": NOW_US + 10_000_001}, "StaleMarketData"),
        (entry(lots=900, price="102"), {}, None),
        (entry(lots=900, price="102.01"), {}, "PriceCollar"),
        (entry(lots=900, price="97.99"), {}, "PriceCollar"),
        (entry(lots=1_000), {}, None),
        (entry(lots=1_001), {}, "PerTrade"),
        (entry(lots=1_020, price=None), {}, None),
        (entry(lots=1_021, price=None), {}, "PerTrade"),
        (ENTRY, {"strategy": Exposure(locked=Decimal(410))}, None),
        (ENTRY, {"strategy": Exposure(locked=Decimal("410.01"))}, "Capital"),
        (ENTRY, {"strategy": Exposure(open_positions=2)}, "MaxPositions"),
        (ENTRY, {"strategy": Exposure(open_positions=2), "position": HELD}, None),
        (ENTRY, {"position": PositionView(symbol="ETH/USDT", lots=1, live_exit_lots=0)}, "UnknownPosition"),
        (ENTRY, {"strategy": Exposure(open_orders=3)}, "OpenOrders"),
        (ENTRY, {"strategy": Exposure(entries_last_minute=5)}, "OrdersPerMinute"),
        (ENTRY, {"strategy": Exposure(exits_last_minute=50)}, None),
        (ENTRY, {"strategy": Exposure(daily_pnl=Decimal("-49.99"))}, None),
        (ENTRY, {"strategy": Exposure(daily_pnl=Decimal(-50))}, "DailyLoss"),
        (ENTRY, {"account": Exposure(locked=Decimal(1_911))}, "AccountNotional"),
        (ENTRY, {"account": Exposure(open_orders=10)}, "AccountOpenOrders"),
        (ENTRY, {"account": Exposure(daily_pnl=Decimal(-200))}, "AccountDailyLoss"),
        (EXIT, {"position": HELD}, None),
        (EXIT, {}, "UnknownPosition"),
        (EXIT, {"position": msgspec.structs.replace(HELD, symbol="ETH/USDT")}, "UnknownPosition"),
        (EXIT, {"position": msgspec.structs.replace(HELD, live_exit_lots=101)}, "Oversell"),
        (exit_of(1, lots=1_001), {"position": HELD}, "Oversell"),
        (EXIT, {"position": HELD, "blocked": "not yet"}, "NotReconciled"),
        (EXIT, {"position": HELD, "instrument": closed_instrument()}, "MarketClosed"),
        (EXIT, {"position": HELD, "strategy": Exposure(exits_last_minute=5)}, "ExitsPerMinute"),
        (exit_of(1, lots=900, price="97.99"), {"position": HELD}, "PriceCollar"),
        (exit_of(1, lots=900, price="150"), {"position": HELD}, None),
        (exit_of(1, lots=900, price=None), {"position": HELD, "last_price": None}, None),
        (msgspec.structs.replace(EXIT, side="buy"), {"position": HELD}, "LongOnly"),
    ],
)
def test_limit(intent: OrderIntent, changes: dict[str, Any], code: str | None) -> None:
    denial = evaluate(intent, situation(**changes))
    assert (denial.code if denial is not None else None) == code


def test_what_binds_entries_lets_exits_pass() -> None:
    """Everything that forbids an entry at once, and the exit is sent all the same."""
    spent = Exposure(
        locked=Decimal(10_000),
        open_orders=1_000,
        open_positions=100,
        entries_last_minute=1_000,
        daily_pnl=Decimal(-10_000),
    )
    worst = situation(
        now_us=NOW_US + 3_600_000_000,
        strategy=spent,
        account=spent,
        halted="everything is wrong",
        feed_silent="nobody knows any price",
        position=HELD,
    )
    assert evaluate(ENTRY, worst) is not None
    assert evaluate(EXIT, worst) is None
