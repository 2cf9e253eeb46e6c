"""Times as files write them, to UTC microseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from christmas.market.tick import MICROSECONDS_PER_SECOND

_SECONDS_BELOW, _MILLISECONDS_BELOW, _MICROSECONDS_BELOW, _NANOSECONDS_BELOW = 10**11, 10**14, 10**17, 10**20
_LONGEST = 64
"""Characters of a time; more digits than that are no number that anybody wants to compute with."""


def parse_time_us(text: str) -> int:
    """An ISO 8601 time (UTC unless it says otherwise) or an epoch number in s, ms, µs or ns.

    The unit of a number is told by its size, which is unambiguous from 1973 to 5138.
    Raises ValueError.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"not a time: {len(text)} characters")
    if text.isascii() and text.isdigit():
        return _epoch_us(int(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            number = Decimal(text)
        except InvalidOperation:
            number = Decimal("nan")
        if not number.is_finite() or not 0 <= number < _NANOSECONDS_BELOW:
            raise ValueError("not a time: write 2024-08-08T23:54:15.342Z or an epoch number") from None
        return _epoch_us(number)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.replace(microsecond=0).timestamp()) * MICROSECONDS_PER_SECOND + moment.microsecond


def _epoch_us(number: int | Decimal) -> int:
    if number < _SECONDS_BELOW:
        return int(number * MICROSECONDS_PER_SECOND)
    if number < _MILLISECONDS_BELOW:
        return int(number * 1000)
    if number < _MICROSECONDS_BELOW:
        return int(number)
    return int(number / 1000)
