"""When a feed counts as silent, since when, and what is told of it."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from christmas.brokers.gateway.feed_watch import FeedWatch, Silence
from christmas.market.hours import TradingHours, TradingSession
from tests.unit.gateway.scripted import INSTRUMENT

SECOND = 1_000_000
LIMIT = 20 * SECOND


def at(clock: str, day: int = 23) -> int:
    """UTC µs of a time on a Monday in November 2026."""
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return int(datetime(2026, 11, day, hours, minutes, seconds, tzinfo=UTC).timestamp()) * SECOND


NOON = at("12:00:00")


class Looking:
    """Looks every second, as the gateway does four times as often."""

    def __init__(self, *instruments: object, start_us: int = NOON) -> None:
        self.now_us = start_us
        self.watch = FeedWatch(
            instruments or (INSTRUMENT,),  # type: ignore[arg-type]
            silent_after_us=LIMIT,
            now_us=start_us,
        )

    def until(self, time_us: int, heard_us: int | None, trouble: str = "") -> Silence:
        found = self.watch.look(self.now_us, heard_us, trouble)
        while self.now_us < time_us:
            self.now_us += SECOND
            found = self.watch.look(self.now_us, heard_us, trouble)
        return found


def test_it_is_silent_from_its_last_print_on_once_that_is_longer_ago_than_it_may_be() -> None:
    looking, heard_us = Looking(), NOON + 3 * SECOND
    assert looking.until(heard_us, heard_us) == Silence()
    assert looking.until(heard_us + LIMIT - SECOND, heard_us) == Silence()
    found = looking.until(heard_us + LIMIT, heard_us)
    assert found.reason == "feed silent since 12:00:03 UTC"
    assert found == Silence(heard_us, LIMIT, found.reason)
    assert looking.until(heard_us + LIMIT, heard_us + LIMIT) == Silence()


def test_what_its_connection_met_with_is_told() -> None:
    found = Looking().until(NOON + LIMIT, NOON, "connection refused")
    assert found.reason == "feed silent since 12:00:00 UTC: connection refused"


def test_the_date_is_told_on_another_day() -> None:
    found = Looking(start_us=at("23:59:58")).until(at("00:00:18", day=24), at("23:59:58"))
    assert found.reason == "feed silent since 2026-11-23 23:59:58 UTC"


def test_entries_wait_for_the_first_print_before_a_silence_is_told() -> None:
    looking = Looking()
    found = looking.until(NOON + LIMIT - SECOND, None)
    assert (found.holds, found.reason) == ("no print has come since the gateway's start", None)
    assert looking.until(NOON + LIMIT, None).reason == "feed silent since 12:00:00 UTC"
    assert looking.until(NOON + LIMIT, NOON + LIMIT) == Silence()


def hours(opens: str, closes: str) -> object:
    session = TradingSession(opens=opens, closes=closes, weekdays=(1,))
    return msgspec.structs.replace(INSTRUMENT, trading_hours=TradingHours(timezone="UTC", sessions=(session,)))


def test_a_closed_market_is_not_silent_and_has_its_time_after_it_opens() -> None:
    looking = Looking(hours("09:00", "12:01"), hours("12:10", "13:00"))
    assert looking.until(at("12:09:59"), NOON + 59 * SECOND) == Silence()
    assert looking.until(at("12:10:18"), NOON) == Silence()
    assert looking.until(at("12:10:19"), NOON).reason == "feed silent since 12:09:59 UTC"
    assert looking.until(at("13:00:00"), NOON) == Silence()


def test_one_open_instrument_is_enough_for_a_silence() -> None:
    assert Looking(hours("09:00", "11:00"), INSTRUMENT).until(NOON + LIMIT, NOON).since_us == NOON


def test_a_process_that_stood_still_itself_heard_nothing_of_a_feed_that_spoke() -> None:
    looking = Looking()
    assert looking.until(NOON + 5 * SECOND, NOON + 5 * SECOND) == Silence()
    looking.now_us += 30 * SECOND
    assert looking.until(looking.now_us, NOON + 5 * SECOND) == Silence()
    assert looking.until(looking.now_us + LIMIT, NOON + 5 * SECOND).since_us == NOON + 35 * SECOND


def test_a_silence_goes_on_over_a_standstill() -> None:
    looking = Looking()
    assert looking.until(NOON + LIMIT, NOON).since_us == NOON
    looking.now_us += 30 * SECOND
    assert looking.until(looking.now_us, NOON).since_us == NOON
