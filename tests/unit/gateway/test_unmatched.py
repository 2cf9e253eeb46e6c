"""What the venue tells of orders that are not in memory is told once, whoever's it is."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from christmas.brokers.gateway import metrics, unmatched
from christmas.brokers.gateway.unmatched import Unmatched
from christmas.execution.order import Fill
from christmas.telemetry.events import Severity

FILL = Fill(
    fill_id="f-1",
    client_order_id="old",
    symbol="BTC/USDT",
    side="sell",
    price=Decimal("99.5"),
    lots=7,
    fee=Decimal("0.01"),
    liquidity="taker",
    time_us=1,
)


class Journal:
    """One order with one fill."""

    def has_order(self, client_order_id: str) -> bool:
        return client_order_id == "old"

    def has_fill(self, client_order_id: str, fill_id: str) -> bool:
        return (client_order_id, fill_id) == ("old", "f-1")


class Told:
    def __init__(self) -> None:
        self.all: list[tuple[Severity, str, str]] = []
        self.unmatched = Unmatched(Journal(), lambda *alert: self.all.append(alert))


@pytest.fixture
def told() -> Told:
    return Told()


def test_what_the_journal_has_is_no_news(told: Told) -> None:
    told.unmatched.order("old")
    told.unmatched.fill(FILL)
    assert told.all == []


def test_a_new_fill_of_an_order_long_over_is_critical_and_told_once(told: Told) -> None:
    before = metrics.LATE_FILLS._value.get()
    for _ in range(3):
        told.unmatched.fill(msgspec.structs.replace(FILL, fill_id="f-2"))
    ((severity, reason, message),) = told.all
    assert (severity, reason) == ("critical", "LateFill")
    for part in ("f-2", "sell 7 lots at 99.5", "old"):
        assert part in message
    assert metrics.LATE_FILLS._value.get() == before + 1


def test_anothers_order_and_each_of_its_fills_are_told_once(told: Told) -> None:
    for _ in range(3):
        told.unmatched.order("theirs")
        told.unmatched.fill(msgspec.structs.replace(FILL, client_order_id="theirs"))
        told.unmatched.fill(msgspec.structs.replace(FILL, client_order_id="theirs", fill_id="f-2"))
    assert [reason for _, reason, _ in told.all] == ["ForeignOrder"] * 3
    assert {severity for severity, _, _ in told.all} == {"warning"}
    assert told.all[0][2] == "the venue has an order 'theirs' that is not in the journal"
    assert told.all[1][2] == "the venue has a fill of 'theirs' that is not in the journal"


def test_what_has_been_told_is_remembered_within_a_bound(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unmatched, "_TOLD_MAXIMUM", 2)
    for name in ("one", "two", "three", "three", "one"):
        told.unmatched.order(name)
    assert len(told.all) == 4
