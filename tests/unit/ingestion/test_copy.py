"""The binary COPY encoding, judged by its layout; the integration tests read it back from a real server."""

from __future__ import annotations

import struct
from decimal import Context, Decimal, localcontext

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from christmas.ingestion.copy import (
    EPOCH_SHIFT_US,
    HEADER,
    LATEST_US,
    TICK_COLUMNS,
    Rows,
    TickEncoder,
    UnstorableError,
    copy_stream,
    encode_numeric,
    encode_text,
)
from christmas.ingestion.stored_tick import StoredTick
from christmas.market.tick import Tick


def tick(**changes: object) -> StoredTick:
    fields: dict[str, object] = {
        "time_us": 1_723_161_255_123_456,
        "trade_id": "3712345678",
        "price": "61000.10",
        "lots": 1234,
        "taker_side": "buy",
    }
    return StoredTick(**(fields | changes))  # type: ignore[arg-type]


def decode_numeric(field: bytes) -> Decimal:
    """By the definition of numeric_recv: digits in base 10000, the first one at 10000^weight."""
    length, count, weight, sign, scale = struct.unpack_from("!iHhHH", field)
    assert length == len(field) - 4 == 8 + 2 * count
    digits = struct.unpack_from(f"!{count}H", field, 12)
    with localcontext(Context(prec=1200)):
        value = sum((Decimal(digit).scaleb(4 * (weight - index)) for index, digit in enumerate(digits)), Decimal(0))
    assert all(digit < 10_000 for digit in digits)
    assert not digits or (digits[0] and digits[-1])
    return (value.copy_negate() if sign else value).quantize(Decimal(1).scaleb(-scale), context=Context(prec=1200))


def read_rows(rows: Rows) -> list[dict[str, bytes | None]]:
    position, found = 0, []
    while position < len(rows.data):
        (count,) = struct.unpack_from("!h", rows.data, position)
        assert count == len(TICK_COLUMNS)
        position += 2
        values: list[bytes | None] = []
        for _ in range(count):
            (length,) = struct.unpack_from("!i", rows.data, position)
            position += 4
            values.append(None if length < 0 else rows.data[position : position + length])
            position += max(0, length)
        found.append(dict(zip(TICK_COLUMNS, values, strict=True)))
    assert position == len(rows.data)
    assert rows.count == len(found)
    return found


@given(st.integers(-(10**30), 10**30), st.integers(-24, 12))
@settings(max_examples=200)
def test_a_numeric_keeps_value_and_displayed_digits(coefficient: int, exponent: int) -> None:
    value = Decimal(coefficient).scaleb(exponent, context=Context(prec=100))
    decoded = decode_numeric(encode_numeric(value))
    assert decoded == value
    assert decoded.as_tuple().exponent == min(0, exponent)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e2000", "1e-2000"])
def test_what_is_no_price_is_refused(value: str) -> None:
    with pytest.raises(UnstorableError):
        encode_numeric(Decimal(value))


def test_a_row_has_every_column_in_its_place() -> None:
    rows, refused = TickEncoder("paper", "BTC/USDT").rows([tick()])
    (fields,) = read_rows(rows)
    assert refused == []
    assert fields["market"] == b"paper"
    assert fields["symbol"] == b"BTC/USDT"
    assert fields["trade_id"] == b"3712345678"
    assert fields["taker_side"] == b"buy"
    assert fields["volume"] == struct.pack("!q", 1234)
    assert fields["time"] == struct.pack("!q", 1_723_161_255_123_456 - EPOCH_SHIFT_US)
    assert fields["late"] == b"\0"
    assert fields["open"] is fields["high"] is fields["low"] is None


def test_late_ticks_and_bars_are_not_taken_for_plain_ones_with_the_same_price() -> None:
    encoder = TickEncoder("paper", "BTC/USDT")
    ticks = [tick(), tick(late=True), tick(high="7"), tick(low="5"), tick(taker_side=None), tick()]
    rows, _ = encoder.rows(ticks)
    found = read_rows(rows)
    assert [row["late"] for row in found] == [b"\0", b"\1", b"\0", b"\0", b"\0", b"\0"]
    assert [row["high"] is None for row in found] == [True, True, False, True, True, True]
    assert [row["low"] is None for row in found] == [True, True, True, False, True, True]
    assert [row["taker_side"] for row in found] == [b"buy", b"buy", b"buy", b"buy", None, b"buy"]


def test_equal_prices_that_are_written_differently_stay_different() -> None:
    rows, _ = TickEncoder("paper", "X").rows([tick(price="1.0"), tick(price="1.00")])
    first, second = read_rows(rows)
    assert first["price"] != second["price"]


@pytest.mark.parametrize(
    "changes",
    [
        {"time_us": LATEST_US + 1},
        {"time_us": -(2**63)},
        {"lots": -1},
        {"lots": 2**63},
        {"trade_id": "a\0b"},
        {"trade_id": "\ud800"},
        {"trade_id": "x" * 1001},
        {"price": "NaN"},
        {"price": "cheap"},
        {"high": "Infinity"},
    ],
)
def test_one_bad_tick_does_not_keep_the_others_from_being_stored(changes: dict[str, object]) -> None:
    bad = tick(**changes)
    rows, refused = TickEncoder("paper", "BTC/USDT").rows([tick(trade_id="1"), bad, tick(trade_id="2")])
    assert [row["trade_id"] for row in read_rows(rows)] == [b"1", b"2"]
    assert [item for item, _ in refused] == [bad]
    assert refused[0][1]


def test_a_copy_has_a_header_and_an_end() -> None:
    assert b"".join(copy_stream([Rows(b"row", 1)])) == HEADER + b"row" + b"\xff\xff"
    assert encode_text("é") == b"\0\0\0\x02\xc3\xa9"


def test_a_stored_tick_says_what_the_tick_says() -> None:
    plain = Tick(time_us=5, symbol="X", trade_id="1", price=Decimal("1.10"), lots=3)
    full = Tick(
        time_us=5,
        symbol="X",
        trade_id="1",
        price=Decimal("1.10"),
        lots=3,
        taker_side="sell",
        open=Decimal("1.20"),
        high=Decimal(2),
        low=Decimal("0.9"),
        late=True,
    )
    for one in (plain, full):
        read = msgspec.json.decode(msgspec.json.encode(one), type=StoredTick)
        for name in StoredTick.__struct_fields__:
            expected = getattr(one, name)
            assert getattr(read, name) == (str(expected) if isinstance(expected, Decimal) else expected)
    assert set(StoredTick.__struct_fields__) == set(Tick.__struct_fields__) - {"symbol"}
