"""The feed of a real exchange, against a local server that speaks its own messages."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from christmas.brokers.feeds.error import FeedError
from christmas.brokers.feeds.exchange import PublicExchangeFeed
from christmas.brokers.feeds.metrics import DUPLICATES, RECONNECTS
from christmas.brokers.feeds.open import open_feed
from christmas.market.instrument import Instrument
from christmas.market.raw import FeedTick
from christmas.resources.broker import ExchangeFeed, FeedSpec
from tests.integration.feeds.binance import BinanceStandIn, captured_trades
from tests.support.data import FUTURES_BTC, FUTURES_WEBSOCKET, read_trades
from tests.support.waiting import eventually

BTC = "BTC/USDT"


def feed(server: BinanceStandIn, *symbols: str, silent_after_s: float = 5.0) -> PublicExchangeFeed:
    return PublicExchangeFeed(
        "binanceusdm", symbols or (BTC,), urls=server.urls, silent_after_s=silent_after_s, shortest_back_off_s=0.05
    )


async def take(source: PublicExchangeFeed, count: int) -> list[FeedTick]:
    ticks: list[FeedTick] = []
    async with asyncio.timeout(60):
        async for batch in source.batches():
            ticks.extend(batch)
            if len(ticks) >= count:
                break
    await source.close()
    return ticks


async def test_captured_trades_come_through_a_disconnect_repeats_and_silence(shared_data: Path) -> None:
    messages = captured_trades(shared_data / FUTURES_WEBSOCKET)
    first, second = 2_000, 4_000
    duplicates, silent = DUPLICATES._value.get(), RECONNECTS.labels("silent")._value.get()
    server = BinanceStandIn(
        [(messages[:first], "drop"), (messages[first - 150 : second], "silence"), (messages[second - 50 :], "silence")]
    )
    async with server.running():
        ticks = await take(feed(server, silent_after_s=3.0), len(messages))
        await eventually(lambda: server.open_connections == 0, what="every connection is closed")
    assert ticks == list(read_trades(shared_data / FUTURES_BTC))
    assert server.subscribed == [["btcusdt@trade"]] * 3
    assert DUPLICATES._value.get() - duplicates == 200
    assert RECONNECTS.labels("silent")._value.get() - silent == 1


async def test_an_exchange_that_is_down_at_first_is_tried_again(shared_data: Path) -> None:
    messages = captured_trades(shared_data / FUTURES_WEBSOCKET)[:100]
    async with BinanceStandIn([(messages, "silence")], rest_failures=3).running() as server:
        ticks = await take(feed(server), 100)
    assert len(ticks) == 100
    assert server.rest_failures == 0


async def test_a_symbol_that_is_not_traded_there_ends_the_feed() -> None:
    async with BinanceStandIn([([], "silence")]).running() as server:
        with pytest.raises(FeedError, match="does not trade DOGE/USDT"):
            await take(feed(server, "DOGE/USDT"), 1)


async def test_close_ends_a_feed_that_waits() -> None:
    async with BinanceStandIn([([], "silence")]).running() as server:
        source = feed(server)
        taking = asyncio.create_task(take(source, 1))
        await eventually(lambda: server.subscribed)
        await source.close()
        assert await asyncio.wait_for(taking, 5) == []
        await eventually(lambda: server.open_connections == 0)


async def test_a_consumer_that_is_cancelled_leaves_no_connection() -> None:
    async with BinanceStandIn([([], "silence")]).running() as server:
        taking = asyncio.create_task(take(feed(server), 1))
        await eventually(lambda: server.subscribed)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        await eventually(lambda: server.open_connections == 0)


async def test_an_address_that_ccxt_does_not_have_is_named(tmp_path: Path) -> None:
    spec = FeedSpec(exchange=ExchangeFeed(exchange="binanceusdm", urls={"ws.futures": "ws://127.0.0.1:1"}))
    made = open_feed(spec, {BTC: _instrument()}, base_dir=tmp_path)
    assert isinstance(made, PublicExchangeFeed)
    with pytest.raises(FeedError, match=r"no address called 'ws\.futures'"):
        await take(made, 1)


def test_an_exchange_that_ccxt_does_not_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="knows no 'mtgox'"):
        open_feed(FeedSpec(exchange=ExchangeFeed(exchange="mtgox")), {BTC: _instrument()}, base_dir=tmp_path)


def _instrument() -> Instrument:
    from decimal import Decimal  # noqa: PLC0415

    return Instrument(symbol=BTC, price_increment=Decimal("0.1"), lot_size=Decimal("0.001"))


@pytest.mark.parametrize("exchange", ["binanceusdm", "kraken", "okx", "upbit"])
def test_only_the_exchange_that_is_used_is_loaded(exchange: str) -> None:
    program = (
        "import sys\n"
        "from christmas.brokers.feeds.ccxt_exchange import exchange_class\n"
        f"made = exchange_class({exchange!r})()\n"
        "assert made.has['watchTrades'], made\n"
        "print(len([name for name in sys.modules if name.startswith('ccxt.pro.')]))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) <= 3
    assert "imported as a whole" not in run.stderr
