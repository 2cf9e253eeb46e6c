"""When a venue trades: sessions as data, because venues change them."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec

ClockTime = Annotated[
    str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", description="A time of day: 09:00.")
]
Weekday = Annotated[int, msgspec.Meta(ge=1, le=7)]


class TradingSession(msgspec.Struct, frozen=True, kw_only=True):
    """One span of a trading day in the venue's own time zone; ``closes`` is exclusive."""

    opens: ClockTime
    """The first minute of it."""
    closes: ClockTime
    """The first minute after it."""
    weekdays: Annotated[tuple[Weekday, ...], msgspec.Meta(max_length=7)] = (1, 2, 3, 4, 5)
    """ISO weekdays, Monday is 1."""


class TradingHours(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions of a week, and the days on which there is none."""

    timezone: Annotated[str, msgspec.Meta(max_length=64)]
    """By its IANA name: Asia/Seoul."""
    sessions: Annotated[tuple[TradingSession, ...], msgspec.Meta(max_length=20)]
    """None of them may pass midnight."""
    holidays: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=10)], ...], msgspec.Meta(max_length=366)] = ()
    """ISO dates in the venue's time zone."""

    def is_open(self, time_us: int) -> bool:
        """Whether the venue trades at ``time_us`` (UTC microseconds since the epoch)."""
        local = _local(time_us, self.timezone)
        if local.date().isoformat() in self.holidays:
            return False
        weekday, clock = local.isoweekday(), local.time()
        return any(
            weekday in session.weekdays and _parse(session.opens) <= clock < _parse(session.closes)
            for session in self.sessions
        )


def _local(time_us: int, timezone: str) -> datetime:
    epoch = datetime.fromtimestamp(0, ZoneInfo("UTC"))
    return (epoch + timedelta(microseconds=time_us)).astimezone(ZoneInfo(timezone))


def _parse(clock: str) -> time:
    hour, minute = clock.split(":")
    return time(int(hour), int(minute))
