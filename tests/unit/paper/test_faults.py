"""Misbehaviour on request: each kind shows as the port says, and the books stay right."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from christmas.brokers.paper.faults import FAULTS_FILE
from christmas.brokers.port import VenueAmbiguous, VenueError, VenueRateLimited, VenueRejected
from christmas.execution.order import OrderStatus
from christmas.resources.broker import Faults
from tests.unit.paper.support import REPORT_LATENCY, SECOND, T0, Exchange, broker, done, intent, tick

LATER = T0 + SECOND


def exchange_with(folder: Path, faults: Faults) -> Exchange:
    return Exchange(folder, broker(faults=faults))


def switch(folder: Path, text: str) -> None:
    """Write the faults file as an operator would; two writes may fall into one tick of the file clock."""
    path = folder / FAULTS_FILE
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(before + 1_000_000, before + 1_000_000))


def test_a_timeout_leaves_the_order_on_the_book(tmp_path: Path) -> None:
    exchange = exchange_with(tmp_path, Faults(timeout_after_accepting=1.0))
    with pytest.raises(VenueAmbiguous):
        exchange.submit(intent("a", price=None, kind="market"))
    assert exchange.order("a").status is OrderStatus.ACCEPTED
    exchange.show(tick(LATER, "60000", 100, "buy"))
    assert exchange.order("a").status is OrderStatus.FILLED


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        (Faults(rate_limited=1.0), VenueRateLimited),
        (Faults(server_error=1.0), VenueAmbiguous),
        (Faults(disconnect=1.0), VenueAmbiguous),
    ],
)
def test_a_request_that_fails_on_its_way_does_nothing(tmp_path: Path, faults: Faults, error: type[VenueError]) -> None:
    exchange = exchange_with(tmp_path, faults)
    with pytest.raises(error):
        exchange.submit(intent("a"))
    assert exchange.venue.statement().orders == ()


def test_a_reject_is_remembered(tmp_path: Path) -> None:
    exchange = exchange_with(tmp_path, Faults(reject=1.0))
    with pytest.raises(VenueRejected):
        exchange.submit(intent("a"))
    assert exchange.order("a").status is OrderStatus.REJECTED
    assert not exchange.show(tick(LATER, "59000", 100, "sell"))


def test_a_duplicate_fill_has_the_same_id_and_is_booked_once(tmp_path: Path) -> None:
    exchange = exchange_with(tmp_path, Faults(duplicate_fill=1.0))
    exchange.submit(intent("a", price=None, kind="market"))
    first, second = exchange.show(tick(LATER, "60000", 100, "buy"))
    assert first == second
    assert exchange.position() == 10


def test_a_late_fill_is_at_the_venue_before_it_is_told(tmp_path: Path) -> None:
    exchange = exchange_with(tmp_path, Faults(late_fill=1.0, late_fill_delay="2s"))
    exchange.submit(intent("a", price=None, kind="market"))
    assert not exchange.show(tick(LATER, "60000", 100, "buy"))
    assert exchange.order("a").status is OrderStatus.FILLED
    assert exchange.venue.next_event_us() == LATER + 2 * SECOND
    assert not exchange.clock(LATER + SECOND)
    (report,) = exchange.clock(LATER + 2 * SECOND)
    assert report.time_us == LATER
    assert report.effective_us == LATER + 2 * SECOND + REPORT_LATENCY


def test_the_wrong_sequence_tells_the_newer_state_first(tmp_path: Path) -> None:
    exchange = exchange_with(tmp_path, Faults(wrong_sequence=1.0))
    exchange.submit(intent("a", price=None, kind="market"))
    assert not exchange.show(tick(LATER, "60000", 4, "buy"))
    (tmp_path / FAULTS_FILE).write_text("{}", encoding="utf-8")
    newer, older = exchange.show(tick(LATER + 1, "60000", 400, "buy"))
    assert (newer.order.filled_lots, older.order.filled_lots) == (10, 1)


def test_a_report_that_nothing_overtakes_comes_by_itself(tmp_path: Path) -> None:
    exchange = exchange_with(tmp_path, Faults(wrong_sequence=1.0))
    exchange.submit(intent("a", price=None, kind="market"))
    assert not exchange.show(tick(LATER, "60000", 400, "buy"))
    (report,) = exchange.clock(LATER + SECOND)
    assert report.order.status is OrderStatus.FILLED


def test_what_was_missed_while_disconnected_comes_afterwards(tmp_path: Path) -> None:
    exchange = exchange_with(tmp_path, Faults())
    exchange.clock(T0)
    exchange.submit(intent("a", price=None, kind="market"))
    switch(tmp_path, '{"disconnect": 1.0}')
    with pytest.raises(VenueAmbiguous):
        exchange.order("a")
    switch(tmp_path, "{}")
    assert not exchange.show(tick(T0 + SECOND // 2, "60000", 400, "buy"))
    (report,) = exchange.clock(T0 + 2 * SECOND)
    assert report.order.status is OrderStatus.FILLED


def test_the_faults_file_is_read_when_it_changes_and_only_when_it_is_right(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exchange = exchange_with(tmp_path, Faults())
    switch(tmp_path, '{"rateLimited": 1.0}')
    with pytest.raises(VenueRateLimited) as caught:
        done(exchange.venue.balance())
    assert caught.value.retry_after_s > 0
    switch(tmp_path, '{"rateLimited": 7}')
    with pytest.raises(VenueRateLimited):
        done(exchange.venue.balance())
    assert "faults file ignored" in caplog.text
    (tmp_path / FAULTS_FILE).unlink()
    assert exchange.position() == 0


def test_the_same_seed_fails_the_same_requests_across_a_restart(tmp_path: Path) -> None:
    def failures(folder: Path, *, restart: bool) -> list[bool]:
        exchange = exchange_with(folder, Faults(seed=9, server_error=0.5))
        seen = []
        for number in range(40):
            if restart and number == 20:
                done(exchange.venue.close())
                exchange.open()
            try:
                exchange.submit(intent(f"o{number}", price="100", lots=100))
            except VenueAmbiguous:
                seen.append(True)
            else:
                seen.append(False)
        return seen

    unbroken = failures(tmp_path / "one", restart=False)
    assert failures(tmp_path / "two", restart=True) == unbroken
    assert {True, False} == set(unbroken)
