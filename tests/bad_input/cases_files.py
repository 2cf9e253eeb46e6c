"""Data files: ``give`` is the content of the file that is replayed."""

from __future__ import annotations

import gzip
import io

import pyarrow as arrow
from pyarrow import parquet

from tests.bad_input.case import Case, Section

HEADER = "time,symbol,trade_id,price,quantity,side\n"
GOOD = "1700000000000,BTC/USDT,1,60000.01,0.5,buy\n"
_BARS = "time,open,high,low,close,volume\n1700000000000,1,3,1,2,5\n"
_TRADE = (
    b'1700000000000000000 {"e":"trade","T":1700000000000,"s":"BTCUSDT","t":5,"p":"60000.01","q":"0.5","m":true,'
    b'"X":"MARKET"}\n'
)


def _row(row: str) -> bytes:
    return f"{HEADER}{GOOD}{row}\n".encode()


def _parquet(**columns: list[object]) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(arrow.table(columns), buffer, compression="none")
    return buffer.getvalue()


_WHOLE = _parquet(time=[1_700_000_000_000], price=["60000.01"], quantity=["0.5"])

SECTION = Section(
    title="Data files",
    given="the gateway's replay feed, file `data` (a Broker's `feed.replay.files` or `christmas up --replay`)",
    after="the prints before the fault are handed over, the feed ends with this message, the gateway with exit code 1",
    cases=(
        Case("csv-empty", "an empty file", b"", message="data: empty; give a file with a header line"),
        Case(
            "csv-header-only",
            "a header and nothing else",
            HEADER.encode(),
            message="data: no trade or bar in it; name other files in feed.replay.files",
        ),
        Case(
            "csv-no-price",
            "no column for the price",
            b"time,quantity\n1,2\n",
            message="data, line 1: no column for price; call it one of price, p, rate (trades need time, price and quantity; bars time, open, high, low, close and volume)",
        ),
        Case(
            "csv-no-header",
            "no header",
            GOOD.encode() * 2,
            message="data, line 1: no column for time; call it one of time, timestamp, datetime, date, ts, open_time, transact_time, trade_time, t (trades need time, price and quantity; bars time, open, high, low, close and volume)",
        ),
        Case(
            "csv-short-row",
            "a row that was cut off",
            _row("1700000000001,BTC/USDT"),
            message="data, line 3: 2 columns where the header has 6; mend or remove the line",
        ),
        Case(
            "csv-nan",
            "NaN for a price",
            _row("1700000000001,BTC/USDT,2,NaN,0.5,buy"),
            message="data, line 3, column price: 'NaN' is not a finite number; mend or remove the line",
        ),
        Case(
            "csv-infinity",
            "an infinite quantity",
            _row("1700000000001,BTC/USDT,2,1,inf,buy"),
            message="data, line 3, column quantity: 'inf' is not a finite number; mend or remove the line",
        ),
        Case(
            "csv-negative",
            "a negative price",
            _row("1700000000001,BTC/USDT,2,-1,0.5,buy"),
            message="data, line 3, column price: '-1' is not above zero; mend or remove the line",
        ),
        Case(
            "csv-negative-quantity",
            "a negative quantity",
            _row("1700000000001,BTC/USDT,2,1,-0.5,buy"),
            message="data, line 3, column quantity: '-0.5' is below zero; mend or remove the line",
        ),
        Case(
            "csv-words",
            "a word for a price",
            _row("1700000000001,BTC/USDT,2,cheap,0.5,buy"),
            message="data, line 3, column price: 'cheap' is not a decimal number; mend or remove the line",
        ),
        Case(
            "csv-comma-decimal",
            "a decimal comma",
            _row('1700000000001,BTC/USDT,2,"60000,01",0.5,buy'),
            message="data, line 3, column price: '60000,01' is not a decimal number; mend or remove the line",
        ),
        Case(
            "csv-time",
            "a time that is none",
            _row("yesterday,BTC/USDT,2,1,0.5,buy"),
            message="data, line 3, column time: 'yesterday' is not a time: write 2024-08-08T23:54:15.342Z or an epoch number; mend or remove the line",
        ),
        Case(
            "csv-time-huge",
            "a time beyond all calendars",
            _row("9e99999,BTC/USDT,2,1,0.5,buy"),
            message="data, line 3, column time: '9e99999' is not a time: write 2024-08-08T23:54:15.342Z or an epoch number; mend or remove the line",
        ),
        Case(
            "csv-symbol",
            "a symbol that the Broker does not have",
            _row("1700000000001,ETH/USDT,2,1,0.5,buy"),
            message="data, line 3: 'ETH/USDT' is not among the Broker's instruments (BTC/USDT); add it to spec.instruments",
        ),
        Case(
            "csv-side",
            "an unknown side",
            _row("1700000000001,BTC/USDT,2,1,0.5,long"),
            message="data, line 3, column side: 'long' is none of 'buy', 'b', 'sell', 's', ''; mend or remove the line",
        ),
        Case(
            "csv-no-id",
            "a trade without an id",
            _row("1700000000001,BTC/USDT,,1,0.5,buy"),
            message="data, line 3, column trade_id: a trade without an id; mend or remove the line",
        ),
        Case(
            "csv-encoding",
            "bytes that are no UTF-8",
            HEADER.encode() + b"\xff\xfe\x00\x00\n",
            message="data, after line 0: byte 0xff is not UTF-8; save the file as UTF-8",
        ),
        Case(
            "csv-quote",
            "a quote that never ends",
            _row('1700000000001,"BTC/USDT,2,1,0.5,buy'),
            message="data, after line 3: unexpected end of data; the file is broken, mend it",
        ),
        Case(
            "csv-huge-field",
            "a field of 200,000 characters",
            _row(f"1700000000001,{'B' * 200_000},2,1,0.5,buy"),
            message="data, after line 3: field larger than field limit (131072); the file is broken, mend it",
        ),
        Case(
            "bars-one",
            "a single bar",
            _BARS.encode(),
            message="data: the bars' timeframe cannot be told from one bar; give at least two",
        ),
        Case(
            "bars-order",
            "bars that go back",
            (_BARS + "1700000060000,1,3,1,2,5\n1700000000000,1,3,1,2,5\n").encode(),
            message="data, line 4, column time: the bar starts within the one before (60 s bars); mend or remove the line",
        ),
        Case(
            "bars-inside-out",
            "a high below the low",
            (_BARS + "1700000060000,1,1,3,2,5\n").encode(),
            message="data, line 3, column low: open 1 and close 2 are not between 3 and 1; mend or remove the line",
        ),
        Case(
            "gzip-cut",
            "a gzip file that was cut off",
            gzip.compress((HEADER + GOOD * 50).encode(), mtime=0)[:-12],
            message="data, after line 38: Compressed file ended before the end-of-stream marker was reached; the file is broken, mend it",
        ),
        Case(
            "gzip-garbage",
            "gzip's first bytes and then garbage",
            b"\x1f\x8b" + b"x" * 40,
            message="data: cannot be unpacked (Unknown compression method); fetch it again",
        ),
        Case(
            "parquet-cut",
            "a Parquet file that was cut off",
            _WHOLE[:-9],
            message="data: Parquet magic bytes not found in footer. Either the file is corrupted or this is not a parquet file.; the file is broken, write it again",
        ),
        Case(
            "parquet-columns",
            "a Parquet file without prices",
            _parquet(time=[1], size=[2]),
            message="data, line 1: no column for price; call it one of price, p, rate (trades need time, price and quantity; bars time, open, high, low, close and volume)",
        ),
        Case(
            "parquet-null",
            "a missing price in a Parquet file",
            _parquet(time=[1_700_000_000_000], price=[None], quantity=["1"]),
            message="data, line 2, column price: '' is not a decimal number; mend or remove the line",
        ),
        Case(
            "capture-no-stamp",
            "a captured message without the receiver's time",
            _TRADE + _TRADE.partition(b" ")[2],
            message="data, line 2: no receiver's time in ns before the message; mend the line",
        ),
        Case(
            "capture-cut",
            "a captured message that was cut off",
            _TRADE + _TRADE[:60] + b'"e":"trade"\n',
            message="data, line 2: not a trade message: JSON is malformed: expected ',' or '}' (byte 41); mend or remove the line",
        ),
        Case(
            "capture-price",
            "a captured price that is none",
            _TRADE.replace(b"60000.01", b"cheap"),
            message="data, line 1: price 'cheap' or quantity '0.5' is not a decimal number; mend or remove the line",
        ),
        Case(
            "capture-encoding",
            "a captured message that is no UTF-8",
            _TRADE.replace(b"BTCUSDT", b"BT\xff"),
            message="data, line 1: not a trade message: 'utf-8' codec can't decode byte 0xff in position 2: invalid start byte; mend or remove the line",
        ),
        Case(
            "capture-symbol",
            "a captured symbol that the Broker does not have",
            _TRADE.replace(b"BTCUSDT", b"DOGEUSDT"),
            message="data, line 1: DOGEUSDT is not among the Broker's instruments (BTC/USDT); add it to spec.instruments",
        ),
        Case(
            "capture-stamp-huge",
            "a receiver's time of 5,000 digits",
            b"1" * 4000 + _TRADE,
            message="data, line 1: no receiver's time in ns before the message; mend the line",
        ),
    ),
)
