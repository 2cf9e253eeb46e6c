"""Money in round trips: exact, in any order, each fill once."""

from __future__ import annotations

from decimal import Decimal, Inexact
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from christmas.execution.accounting import EXACT, PositionFill, round_trips
from christmas.execution.order import Fill, Purpose

prices = st.decimals(min_value="0.00000001", max_value="9999999", places=8, allow_nan=False)


def recorded(
    number: int, purpose: Purpose, price: Decimal, lots: int, fee: Decimal, *, position: str = "p", time_us: int = 0
) -> PositionFill:
    return PositionFill(
        position_id=position,
        purpose=purpose,
        lot_size=Decimal("0.00001"),
        fill=Fill(
            fill_id=str(number),
            client_order_id=f"{position}-{purpose}",
            symbol="BTC/USDT",
            side="buy" if purpose == "entry" else "sell",
            price=price,
            lots=lots,
            fee=fee,
            liquidity="maker",
            time_us=time_us or 1000 + number,
        ),
    )


def test_a_round_trip_by_hand() -> None:
    fills = [
        recorded(1, "entry", Decimal("60000.5"), 100, Decimal("0.012")),
        recorded(2, "entry", Decimal(60000), 60, Decimal("0.0072")),
        recorded(3, "exit", Decimal(60100), 100, Decimal("0.03")),
    ]
    (trip,) = round_trips(fills)
    assert (trip.entry_lots, trip.exit_lots, trip.lots) == (160, 100, 60)
    assert trip.entry_notional == Decimal("96.0005")
    assert trip.fees == Decimal("0.0492")
    assert not trip.is_closed
    assert trip.locked == Decimal("35.9005")
    assert trip.unrealised(Decimal(60000)) == Decimal("60.1") - Decimal("96.0005") - Decimal("0.0492") + Decimal(36)
    (closed,) = round_trips([*fills, recorded(4, "exit", Decimal(60200), 60, Decimal("-0.001"))])
    assert closed.is_closed
    assert closed.locked == 0
    assert closed.cash_flow == Decimal("60.1") + Decimal("36.12") - Decimal("96.0005") - Decimal("0.0482")


@given(
    rows=st.lists(st.tuples(prices, st.integers(1, 10**9), prices, st.booleans()), min_size=1, max_size=20),
    order=st.randoms(use_true_random=False),
)
def test_sums_are_exact_in_any_order_and_each_fill_counts_once(
    rows: list[tuple[Decimal, int, Decimal, bool]], order: object
) -> None:
    fills = [
        recorded(n, "entry" if buys or n == 0 else "exit", price, lots, fee)
        for n, (price, lots, fee, buys) in enumerate(rows)
    ]
    shuffled = [*fills, *fills]
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    (trip,) = round_trips(shuffled)
    expected = sum(
        (
            Fraction(f.fill.price) * Fraction(1, 100_000) * f.fill.lots * (1 if f.purpose == "exit" else -1)
            - Fraction(f.fill.fee)
            for f in fills
        ),
        Fraction(0),
    )
    assert Fraction(trip.cash_flow) == expected
    assert trip == round_trips(fills)[0]


def test_arithmetic_that_would_round_fails_instead() -> None:
    with pytest.raises(Inexact):
        EXACT.divide(Decimal(1), Decimal(3))


def test_positions_come_in_the_order_of_their_opening() -> None:
    fills = [
        recorded(1, "entry", Decimal(5), 1, Decimal(0), position="late", time_us=20),
        recorded(2, "entry", Decimal(5), 1, Decimal(0), position="early", time_us=10),
    ]
    assert [trip.position_id for trip in round_trips(fills)] == ["early", "late"]
