from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from christmas.execution.excursions import PricePoint
from christmas.execution.order import OrderStatus
from christmas.fleet.report import StrategyReport, strategy_report
from christmas.ingestion.history import FillRecord, OrderRecord, SignalRecord
from tests.unit.resources.test_validate import STRATEGY

LOT = Decimal("0.00001")
prices = st.decimals(Decimal("0.01"), Decimal(99999), places=2)
fees = st.decimals(Decimal(-1), Decimal(1), places=8)
trips = st.lists(st.tuples(st.integers(1, 10**6), prices, prices, fees, fees, st.integers(0, 100)), max_size=12)


def fill(position: int, purpose: str, price: Decimal, lots: int, fee: Decimal) -> FillRecord:
    is_entry = purpose == "entry"
    return FillRecord(
        market="paper",
        broker="paper",
        strategy="scalper",
        fill_id=f"{position}{purpose}",
        client_order_id=f"{position}{purpose}",
        position_id=str(position),
        purpose=purpose,
        symbol="BTC/USDT",
        side="buy" if is_entry else "sell",
        price=price,
        lots=lots,
        lot_size=LOT,
        fee=fee,
        liquidity="taker" if is_entry else "maker",
        time_us=position * 10 + (0 if is_entry else 5),
        sequence=position,
    )


def order(row: FillRecord, **changes: object) -> OrderRecord:
    made = OrderRecord(
        market="paper",
        broker="paper",
        strategy="scalper",
        strategy_uid="u",
        epoch=1,
        client_order_id=row.client_order_id,
        venue_order_id="",
        symbol=row.symbol,
        side=row.side,
        type="limit",
        time_in_force="GTC",
        purpose=row.purpose,
        position_id=row.position_id,
        price=row.price,
        lots=row.lots,
        lot_size=LOT,
        filled_lots=row.lots,
        filled_notional=row.price * row.lots * LOT,
        fees=row.fee,
        status=OrderStatus.FILLED,
        reason="",
        status_reason="",
        breaks_policy=None,
        cancel_reason=None,
        decided_us=row.time_us,
        updated_us=row.time_us,
    )
    return msgspec.structs.replace(made, **changes)


@settings(max_examples=150)
@given(trips, prices)
def test_the_orders_table_gives_the_same_to_the_last_decimal(
    rows: list[tuple[int, Decimal, Decimal, Decimal, Decimal, int]], last: Decimal
) -> None:
    fills = []
    for number, (lots, bought, sold, fee_in, fee_out, percent) in enumerate(rows, start=1):
        fills.append(fill(number, "entry", bought, lots, fee_in))
        if sell := lots * percent // 100:
            fills.append(fill(number, "exit", sold, sell, fee_out))
    orders = [order(row) for row in fills]
    path = [PricePoint(time_us=10_000, symbol="BTC/USDT", price=last)]
    report = strategy_report(STRATEGY, orders=orders, fills=fills, signals=[], path=path)

    realised = unrealised = Fraction(0)
    closed = wins = 0
    for position in {row.position_id for row in orders}:
        mine = [row for row in orders if row.position_id == position]
        signed = [(1 if row.side == "sell" else -1, row) for row in mine]
        cash = sum((Fraction(sign * row.filled_notional - row.fees) for sign, row in signed), Fraction(0))
        held = -sum(sign * row.filled_lots for sign, row in signed)
        if held == 0:
            closed, wins, realised = closed + 1, wins + (cash > 0), realised + cash
        else:
            unrealised += cash + Fraction(last) * held * Fraction(LOT)
    assert (report.closed_trades, report.winning_trades) == (closed, wins)
    assert (Fraction(report.realised_pnl), Fraction(report.unrealised_pnl)) == (realised, unrealised)
    assert Fraction(report.fees) == sum((Fraction(row.fees) for row in orders), Fraction(0))
    assert (report.orders, report.fills) == (len(orders), len(fills))


def test_what_became_of_orders_and_signals_is_counted() -> None:
    row = fill(1, "entry", Decimal(10), 5, Decimal(0))
    statuses = [OrderStatus.DENIED, OrderStatus.DENIED, OrderStatus.REJECTED, OrderStatus.UNKNOWN]
    orders = [order(row, status=status, client_order_id=str(number)) for number, status in enumerate(statuses)]
    orders.append(order(row, breaks_policy="maximumAge"))
    signals = [
        SignalRecord(
            market="paper",
            broker="paper",
            strategy="scalper",
            symbol="BTC/USDT",
            signal="entry",
            taken=taken,
            reason="",
            time_us=1,
            sequence=1,
        )
        for taken in (True, False, False)
    ]
    path = [PricePoint(time_us=1, symbol="BTC/USDT", price=Decimal(10))]
    report = strategy_report(STRATEGY, orders=orders, fills=[row], signals=signals, path=path)
    assert (report.orders, report.denied, report.rejected, report.unknown) == (5, 2, 1, 1)
    assert (report.signals, report.signals_skipped, report.policy_breaks) == (3, 2, 1)


def test_the_keys_that_scripts_read_are_there_and_decimals_are_text() -> None:
    path = [PricePoint(time_us=1, symbol="BTC/USDT", price=Decimal(10))]
    report = strategy_report(STRATEGY, orders=[], fills=[], signals=[], path=path)
    data = msgspec.json.decode(msgspec.json.encode(report))
    assert set(data) >= {
        *("name", "closed_trades", "winning_trades", "realised_win_rate", "realised_win_rate_lower_bound"),
        *("marked_to_market_win_rate", "open_positions", "realised_pnl", "unrealised_pnl", "fees", "equity_return"),
        *("orders", "denied", "signals_skipped", "worst_excursion", "oldest_position_age_s", "capital_locked"),
        "buy_and_hold_return",
    }
    assert isinstance(data["realised_pnl"], str)
    assert set(data) == set(StrategyReport.__struct_fields__)
