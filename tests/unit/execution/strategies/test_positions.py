from __future__ import annotations

from decimal import Decimal

import pytest

from christmas.execution.strategies.positions import Position
from tests.unit.execution.strategies.market import view


def test_flat() -> None:
    position = Position((), Decimal(100), 5)
    assert position.is_flat
    assert (position.count, position.lots, position.quantity, position.age_us) == (0, 0, Decimal(0), 0)
    assert position.average_price is None
    assert position.unrealised_pnl == 0
    assert position.profit == 0.0


def test_all_positions_of_a_symbol_together() -> None:
    views = (view("a", lots=1000, price="100", opened_us=2), view("b", lots=3000, price="120", opened_us=7))
    position = Position(views, Decimal(110), 10)
    assert not position.is_flat
    assert (position.count, position.lots, position.quantity) == (2, 4000, Decimal(4))
    assert position.average_price == Decimal(115)
    assert position.age_us == 8
    # 10 up on one, 3 x 10 down on the other, and a fee of 0.1 % on 460
    assert position.unrealised_pnl == Decimal("-20.46")
    assert position.profit == pytest.approx(-20.46 / 460 * 100)


def test_an_entry_on_its_way_is_not_flat_and_has_no_numbers_yet() -> None:
    pending = view(lots=0)
    position = Position((pending,), Decimal(110), 10)
    assert not position.is_flat
    assert position.count == 1
    assert position.average_price is None
    assert position.unrealised_pnl == 0
    assert pending.profit(Decimal(110)) is None


def test_profit_contains_the_fees_paid_so_far() -> None:
    assert view(price="100").profit(Decimal(101)) == pytest.approx(0.9)


def test_without_a_price_nothing_is_unrealised() -> None:
    assert Position((view(),), None, 10).unrealised_pnl == 0
