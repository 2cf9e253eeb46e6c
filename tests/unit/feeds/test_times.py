from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from christmas.brokers.feeds.times import parse_time_us

MOMENT_US = 1_723_161_255_342_000


@pytest.mark.parametrize(
    "text",
    [
        "2024-08-08T23:54:15.342Z",
        "2024-08-08 23:54:15.342",
        "2024-08-09T08:54:15.342+09:00",
        "1723161255.342",
        "1723161255342",
        "1723161255342000",
        "1723161255342000123",
    ],
)
def test_every_way_of_writing_a_time(text: str) -> None:
    assert parse_time_us(text) == MOMENT_US


@pytest.mark.parametrize("text", ["", "soon", "-5", "nan", "2024-13-01"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        parse_time_us(text)


@given(st.integers(200_000_000_000_000, 4_000_000_000_000_000))
def test_microseconds_survive_iso_text(time_us: int) -> None:
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)
    assert parse_time_us(moment.isoformat()) == time_us
