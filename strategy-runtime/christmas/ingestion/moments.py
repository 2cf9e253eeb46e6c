"""UTC microseconds and the driver's datetimes, exactly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def moment(time_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time_us)


def microseconds(when: datetime) -> int:
    return (when - _EPOCH) // _MICROSECOND


def interval(span_us: int) -> timedelta:
    return timedelta(microseconds=span_us)
