"""Recorded files: every format, every print once, in order, at the pace asked for."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from christmas.brokers.feeds.error import FeedError
from christmas.brokers.feeds.open import open_feed
from christmas.brokers.feeds.replay import ReplayFeed
from christmas.market.instrument import Instrument
from christmas.market.raw import FeedTick
from christmas.resources.broker import FeedSpec
from christmas.resources.broker import ReplayFeed as ReplaySpec
from tests.support.data import FUTURES_BTC, FUTURES_WEBSOCKET, MINUTE_BARS, SPOT_BTC, SPOT_ETH, read_trades

BTC, ETH = "BTC/USDT", "ETH/USDT"
HEADER = "time,symbol,trade_id,price,quantity,taker_side"
FIRST = "2024-08-08T23:54:15.342Z,BTC/USDT,1,61837.63,0.02,sell"
SECOND = "2024-08-08T23:54:15.617Z,BTC/USDT,2,61837.64,0.048,buy"
FIRST_US = 1_723_161_255_342_000


def instruments(*symbols: str) -> dict[str, Instrument]:
    return {
        symbol: Instrument(symbol=symbol, price_increment=Decimal("0.01"), lot_size=Decimal("0.00001"))
        for symbol in symbols or (BTC,)
    }


def replay(
    folder: Path,
    *files: str,
    speed: str = "max",
    symbol: str | None = None,
    default_symbol: str | None = None,
    loop: bool = False,
    known: Mapping[str, Instrument] | None = None,
    paced_from_us: int = 0,
) -> ReplayFeed:
    feed = open_feed(
        FeedSpec(replay=ReplaySpec(files=files, speed=speed, symbol=symbol, loop=loop)),
        known or instruments(),
        base_dir=folder,
        default_symbol=default_symbol,
        paced_from_us=paced_from_us,
    )
    assert isinstance(feed, ReplayFeed)
    return feed


async def play(feed: ReplayFeed) -> list[FeedTick]:
    return [tick async for batch in feed.batches() for tick in batch]


def write(folder: Path, lines: Iterable[str], name: str = "file.csv") -> str:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return name


# --- the recorded data -------------------------------------------------------------------------


@pytest.mark.parametrize(("file", "rows"), [(SPOT_BTC, 9_757), (FUTURES_BTC, 21_313)])
async def test_recorded_trades_come_out_exactly(shared_data: Path, file: str, rows: int) -> None:
    feed = replay(shared_data, file)
    ticks = await play(feed)
    assert ticks == list(read_trades(shared_data / file))
    assert len(ticks) == rows
    assert (feed.progress.done, feed.progress.total) == (rows, rows)
    assert feed.progress.time_us == ticks[-1].time_us


async def test_a_capture_holds_the_same_trades_as_the_trades_file(shared_data: Path) -> None:
    feed = replay(shared_data, FUTURES_WEBSOCKET)
    assert await play(feed) == list(read_trades(shared_data / FUTURES_BTC))
    assert (feed.progress.done, feed.progress.total) == (93_954, 93_954)


async def test_recorded_bars_come_out_as_one_print_each(shared_data: Path) -> None:
    ticks = await play(replay(shared_data, MINUTE_BARS))
    assert len(ticks) == 45_031
    assert ticks[0] == FeedTick(
        time_us=1_640_991_720_000_000 - 1,  # 2021-12-31 23:02:00 less 1 us
        symbol=BTC,
        trade_id="1640991660000",
        price=Decimal("46377.0"),
        quantity=Decimal("2300413.7295"),
        open=Decimal("46319.0"),
        high=Decimal("46385.0"),
        low=Decimal("46319.0"),
    )
    assert ticks[-1].time_us == 1_643_693_520_000_000 - 1
    assert len({tick.trade_id for tick in ticks}) == 45_031


async def test_files_of_two_markets_are_merged_by_time(shared_data: Path) -> None:
    ticks = await play(replay(shared_data, SPOT_BTC, SPOT_ETH, known=instruments(BTC, ETH)))
    assert len(ticks) == 9_757 + 6_106
    assert all(before.time_us <= after.time_us for before, after in pairwise(ticks))


async def test_batches_are_the_prints_of_one_moment(shared_data: Path) -> None:
    last_us = 0
    async for batch in replay(shared_data, SPOT_BTC).batches():
        (time_us,) = {tick.time_us for tick in batch}
        assert time_us > last_us
        last_us = time_us


# --- formats -----------------------------------------------------------------------------------


async def test_names_of_other_sources_are_understood(tmp_path: Path) -> None:
    name = write(
        tmp_path,
        [
            "\ufeffid,Price,qty,quoteQty,Timestamp,isBuyerMaker",
            "7,100.5,2,201,1723161255342,true",
            "8,101,1,101,1723161256,false",
        ],
    )
    first, second = await play(replay(tmp_path, name, symbol=BTC))
    assert first == FeedTick(
        time_us=FIRST_US, symbol=BTC, trade_id="7", price=Decimal("100.5"), quantity=Decimal(2), taker_side="sell"
    )
    assert (second.time_us, second.taker_side) == (1_723_161_256_000_000, "buy")


async def test_trades_without_ids_and_sides_get_ids_by_their_row(tmp_path: Path) -> None:
    name = write(tmp_path, ["timestamp,price,amount", "1723161255.342,100,1", "1723161255.342,100,1"])
    ticks = await play(replay(tmp_path, name))
    assert [(tick.trade_id, tick.taker_side) for tick in ticks] == [("1", None), ("2", None)]
    assert ticks[0].time_us == FIRST_US


@pytest.mark.parametrize("times", [pa.timestamp("ms", tz="UTC"), pa.timestamp("ns"), pa.int64()])
async def test_parquet_gives_what_csv_gives(tmp_path: Path, times: pa.DataType) -> None:
    stamps = [FIRST_US // 1000, FIRST_US // 1000 + 275]
    scale = 1_000_000 if times == pa.timestamp("ns") else 1
    table = pa.table(
        {
            "time": pa.array([stamp * scale for stamp in stamps], type=times),
            "symbol": [BTC, BTC],
            "trade_id": pa.array([1, 2], type=pa.int64()),
            "price": pa.array([Decimal("61837.63"), Decimal("61837.64")], type=pa.decimal128(18, 2)),
            "quantity": pa.array([0.02, 0.048], type=pa.float64()),
            "taker_side": ["sell", None],
        }
    )
    parquet.write_table(table, tmp_path / "trades.parquet")
    feed = replay(tmp_path, "trades.parquet")
    ticks = await play(feed)
    expected = await play(replay(tmp_path, write(tmp_path, [HEADER, FIRST, SECOND.replace("buy", "")])))
    assert ticks == expected
    assert feed.progress.total == 2


async def test_bars_in_parquet_are_bars(tmp_path: Path) -> None:
    table = pa.table(
        {
            "open_time": [1_640_991_660_000, 1_640_991_720_000],
            **{name: [1.5, 2.5] for name in ("open", "high", "low", "close")},
            "volume": [3.25, 0.0],
        }
    )
    parquet.write_table(table, tmp_path / "bars.parquet")
    ticks = await play(replay(tmp_path, "bars.parquet", default_symbol=BTC, known=instruments(BTC, ETH)))
    assert [tick.quantity for tick in ticks] == [Decimal("3.25"), Decimal("0.0")]
    assert ticks[1].time_us == 1_640_991_780_000_000 - 1


# --- what is wrong is said, with its place and its mend -----------------------------------------


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([HEADER, FIRST, "yesterday,BTC/USDT,2,1,1,buy"], ["line 3", "column time", "'yesterday'", "2024-08-08T"]),
        ([HEADER, FIRST.replace("61837.63", "6l837")], ["line 2", "column price", "'6l837'", "mend or remove"]),
        ([HEADER, FIRST.replace("61837.63", "NaN")], ["line 2", "column price", "finite"]),
        ([HEADER, FIRST.replace("61837.63", "-1")], ["line 2", "column price", "above zero"]),
        ([HEADER, FIRST.replace("0.02", "-0.02")], ["line 2", "column quantity", "below zero"]),
        ([HEADER, FIRST.replace("sell", "short")], ["line 2", "column taker_side", "'short'", "'buy'"]),
        ([HEADER, FIRST.replace(",1,", ",,")], ["line 2", "column trade_id", "without an id"]),
        ([HEADER, FIRST, SECOND + ",more"], ["line 3", "7 columns where the header has 6"]),
        ([HEADER, FIRST.replace("BTC", "DOGE")], ["line 2", "'DOGE/USDT'", "spec.instruments"]),
        (["time,symbol,cost", "1,BTC/USDT,2"], ["line 1", "price", "call it one of"]),
        ([HEADER], ["no trade or bar", "feed.replay.files"]),
        (["time,open,high,low,close,volume", "1640991660,1,2,1,1,1"], ["timeframe", "at least two"]),
        (
            ["time,open,high,low,close,volume", "1640991660,1,2,1,1,1", "1640991720,1,2,1,3,1"],
            ["line 3", "column low", "not between"],
        ),
        (
            [
                "time,open,high,low,close,volume",
                "1640991660,1,1,1,1,1",
                "1640991720,1,1,1,1,1",
                "1640991720,1,1,1,1,1",
            ],
            ["line 4", "column time", "within the one before"],
        ),
    ],
)
async def test_a_wrong_row_is_named(tmp_path: Path, lines: list[str], words: list[str]) -> None:
    name = write(tmp_path, lines)
    with pytest.raises(FeedError) as caught:
        await play(replay(tmp_path, name))
    for word in [name, *words]:
        assert word in str(caught.value)


async def test_prints_before_a_wrong_row_are_handed_over(tmp_path: Path) -> None:
    name = write(tmp_path, [HEADER, FIRST, "broken"])
    batches = replay(tmp_path, name).batches()
    (tick,) = await anext(batches)
    assert tick.trade_id == "1"
    with pytest.raises(FeedError, match="line 3"):
        await anext(batches)


async def test_an_unknown_symbol_of_a_table_names_the_setting(tmp_path: Path) -> None:
    name = write(tmp_path, ["time,price,quantity", "1723161255,1,1"])
    with pytest.raises(FeedError, match=r"set feed\.replay\.symbol"):
        await play(replay(tmp_path, name, known=instruments(BTC, ETH)))


async def test_a_truncated_archive_is_named(tmp_path: Path, shared_data: Path) -> None:
    (tmp_path / "cut.csv.gz").write_bytes((shared_data / SPOT_BTC).read_bytes()[:40_000])
    with pytest.raises(FeedError, match=r"cut\.csv\.gz, after line \d+.*broken"):
        await play(replay(tmp_path, "cut.csv.gz"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"e":"trade"}', "no receiver's time"),
        ('1723161255088176367 {"e":"trade","T":1}', "not a trade message"),
        (
            '1723161255088176367 {"e":"trade","T":1,"s":"DOGEUSDT","t":1,"p":"1","q":"1","m":true}',
            "DOGEUSDT is not among",
        ),
    ],
)
async def test_a_wrong_message_of_a_capture_is_named(tmp_path: Path, line: str, words: str) -> None:
    first = '1723161255088176367 {"e":"bookTicker"}'
    with gzip.open(tmp_path / "c.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(first + "\n" + line + "\n")
    with pytest.raises(FeedError, match=f"line 2: .*{words}"):
        await play(replay(tmp_path, "c.jsonl.gz"))


async def test_messages_that_are_no_trade_of_the_market_are_counted_only(tmp_path: Path) -> None:
    trade = '1723161255088176367 {"e":"trade","T":1723161255000,"s":"BTCUSDT","t":%d,"p":"5","q":"1","X":"%s","m":true}'
    lines = ['1723161255088176367 {"e":"depthUpdate"}', trade % (1, "INSURANCE_FUND"), trade % (2, "MARKET")]
    feed = replay(tmp_path, write(tmp_path, lines, "c.jsonl"))
    assert [tick.trade_id for tick in await play(feed)] == ["2"]
    assert feed.progress.done == 3


def test_a_missing_file_is_named_when_the_feed_is_opened(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match=r"nowhere\.csv.*feed\.replay\.files"):
        replay(tmp_path, "nowhere.csv")


def test_captures_and_tables_do_not_mix(tmp_path: Path) -> None:
    table = write(tmp_path, [HEADER, FIRST])
    capture = write(tmp_path, ['1723161255088176367 {"e":"bookTicker"}'], "c.jsonl")
    with pytest.raises(FeedError, match="clocks differ"):
        replay(tmp_path, table, capture)


def test_two_feeds_at_once_are_refused(tmp_path: Path) -> None:
    from christmas.resources.broker import SyntheticFeed  # noqa: PLC0415

    both = FeedSpec(replay=ReplaySpec(files=("a.csv",)), synthetic=SyntheticFeed())
    with pytest.raises(FeedError, match="not several"):
        open_feed(both, instruments(), base_dir=tmp_path)


# --- pace and loop -----------------------------------------------------------------------------


def _spaced(folder: Path, step_ms: int, count: int) -> str:
    start = FIRST_US // 1000
    rows = [f"{start + number * step_ms},{BTC},{number},100,1,buy" for number in range(count)]
    return write(folder, [HEADER, *rows])


async def test_the_pace_is_the_file_s_times_the_speed(tmp_path: Path) -> None:
    feed = replay(tmp_path, _spaced(tmp_path, 100, 11), speed="4x")
    started = time.perf_counter()
    ticks = await play(feed)
    assert 0.25 <= time.perf_counter() - started < 1.0
    assert ticks[-1].time_us == FIRST_US + 1_000_000, "times are the file's at any speed"


async def test_being_late_once_does_not_delay_what_follows(tmp_path: Path) -> None:
    feed = replay(tmp_path, _spaced(tmp_path, 20, 26), speed="1x")
    started = time.perf_counter()
    sizes: list[int] = []
    async for batch in feed.batches():
        if not sizes:
            time.sleep(0.3)  # noqa: ASYNC251  # the machine is busy elsewhere
        sizes.append(len(batch))
    assert time.perf_counter() - started < 0.75, "half a second of market"
    assert max(sizes) > 5, "what fell due meanwhile comes together"
    assert sum(sizes) == 26


async def test_a_capture_keeps_the_receiver_s_pace(tmp_path: Path) -> None:
    trade = '%d {"e":"trade","T":1723161255000,"s":"BTCUSDT","t":%d,"p":"5","q":"1","m":true}'
    base = 1_723_161_255_088_176_367
    stamps = [base, base + 100, base + 300_000_000]
    feed = replay(
        tmp_path, write(tmp_path, [trade % (stamp, i) for i, stamp in enumerate(stamps)], "c.jsonl"), speed="1x"
    )
    started = time.perf_counter()
    sizes = [len(batch) async for batch in feed.batches()]
    assert sizes == [2, 1], "all three have the same exchange time"
    assert time.perf_counter() - started >= 0.28


async def test_what_was_played_before_a_restart_is_not_waited_for(tmp_path: Path) -> None:
    feed = replay(tmp_path, _spaced(tmp_path, 60_000, 3), speed="1x", paced_from_us=FIRST_US + 2 * 60_000_000)
    started = time.perf_counter()
    assert len(await play(feed)) == 3
    assert time.perf_counter() - started < 1.0


@pytest.mark.parametrize("bars", [False, True])
async def test_a_loop_goes_on_in_time_with_new_ids(tmp_path: Path, bars: bool) -> None:
    if bars:
        rows = ["1640991660,1,2,1,2,1", "1640991720,2,2,1,1,1"]
        name = write(tmp_path, ["time,open,high,low,close,volume", *rows])
    else:
        name = write(tmp_path, [HEADER, FIRST, SECOND])
    feed = replay(tmp_path, name, loop=True)
    ticks: list[FeedTick] = []
    async for batch in feed.batches():
        ticks.extend(batch)
        if len(ticks) >= 6:
            break
    await feed.close()
    assert len({tick.trade_id for tick in ticks}) == len(ticks)
    assert all(before.time_us < after.time_us for before, after in pairwise(ticks))
    step_us = ticks[2].time_us - ticks[0].time_us
    assert step_us % 60_000_000 == 0
    assert ticks[4].time_us - ticks[2].time_us == step_us
    assert [tick.price for tick in ticks[:2]] == [tick.price for tick in ticks[2:4]]
    assert feed.progress.total is None
