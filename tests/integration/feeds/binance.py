"""A local stand-in for Binance USD-M: its REST description of the market, and its WebSocket streams.

It answers what ccxt asks and sends the exchange's own captured messages, as a script of connections
says: each entry is what one connection is sent before it is dropped or falls silent. Or it makes prints of now, as
long as it is told to speak.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from aiohttp import web
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

AfterThat = Literal["drop", "silence"]
_CHUNK = 50
_PRINT_EVERY_S = 0.05

EXCHANGE_INFO = {
    "timezone": "UTC",
    "serverTime": 1_723_161_255_000,
    "rateLimits": [],
    "exchangeFilters": [],
    "assets": [],
    "symbols": [
        {
            "symbol": "BTCUSDT",
            "pair": "BTCUSDT",
            "contractType": "PERPETUAL",
            "deliveryDate": 4_133_404_800_000,
            "onboardDate": 1_569_398_400_000,
            "status": "TRADING",
            "baseAsset": "BTC",
            "quoteAsset": "USDT",
            "marginAsset": "USDT",
            "pricePrecision": 2,
            "quantityPrecision": 3,
            "baseAssetPrecision": 8,
            "quotePrecision": 8,
            "underlyingType": "COIN",
            "filters": [
                {"filterType": "PRICE_FILTER", "maxPrice": "4529764", "minPrice": "556.80", "tickSize": "0.10"},
                {"filterType": "LOT_SIZE", "stepSize": "0.001", "maxQty": "1000", "minQty": "0.001"},
                {"filterType": "MIN_NOTIONAL", "notional": "100"},
            ],
            "orderTypes": ["LIMIT", "MARKET"],
            "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        }
    ],
}


def captured_trades(path: Path) -> list[str]:
    """The trade events of a capture, as the exchange sent them to a raw stream."""
    with gzip.open(path, "rb") as lines:
        return [
            json.dumps(json.loads(line.partition(b" ")[2])["data"], separators=(",", ":"))
            for line in lines
            if b'"e":"trade"' in line
        ]


@dataclass
class BinanceStandIn:
    script: Sequence[tuple[Sequence[str], AfterThat]] = ()
    """Empty: prints of now while ``speaks``."""
    speaks: bool = True
    refuses: bool = False
    """New connections are dropped."""
    rest_failures: int = 0
    """Requests that are answered with 503 first."""
    urls: dict[str, str] = field(default_factory=dict)
    subscribed: list[list[str]] = field(default_factory=list)
    open_connections: int = 0
    _connections: set[ServerConnection] = field(default_factory=set)
    _prints: int = 0

    def drop(self) -> None:
        """Close every connection as a failing server does: without a word."""
        for connection in self._connections:
            connection.transport.abort()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[BinanceStandIn]:
        app = web.Application()
        app.router.add_get("/fapi/v1/exchangeInfo", self._describe)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        rest_port = runner.addresses[0][1]
        try:
            async with serve(self._stream, "127.0.0.1", 0) as server:
                port = next(iter(server.sockets)).getsockname()[1]
                self.urls = {
                    "fapiPublic": f"http://127.0.0.1:{rest_port}/fapi/v1",
                    "ws.linear": f"ws://127.0.0.1:{port}/ws",
                }
                yield self
        finally:
            await runner.cleanup()

    async def _describe(self, _: web.Request) -> web.Response:
        if self.rest_failures > 0:
            self.rest_failures -= 1
            return web.Response(status=503, text="busy")
        return web.json_response(EXCHANGE_INFO)

    async def _stream(self, connection: ServerConnection) -> None:
        if self.refuses:
            connection.transport.abort()
            return
        self.open_connections += 1
        self._connections.add(connection)
        try:
            request = json.loads(await connection.recv())
            number = len(self.subscribed)
            self.subscribed.append(request["params"])
            await connection.send(json.dumps({"result": None, "id": request["id"]}))
            if not self.script:
                await self._speak(connection)
                return
            messages, then = self.script[min(number, len(self.script) - 1)]
            for start in range(0, len(messages), _CHUNK):
                for message in messages[start : start + _CHUNK]:
                    await connection.send(message)
                await asyncio.sleep(0.001)
            if then == "drop":
                connection.transport.abort()
            await connection.wait_closed()
        finally:
            self._connections.discard(connection)
            self.open_connections -= 1

    async def _speak(self, connection: ServerConnection) -> None:
        """One print every few milliseconds, until the connection ends."""
        ended = asyncio.create_task(connection.wait_closed())
        while not ended.done():
            if self.speaks:
                self._prints += 1
                now_ms = time.time_ns() // 1_000_000
                trade = {"e": "trade", "E": now_ms, "T": now_ms, "s": "BTCUSDT", "t": self._prints, "X": "MARKET"}
                with suppress(ConnectionClosed):
                    await connection.send(json.dumps({**trade, "p": "60000.10", "q": "5.000", "m": False}))
            await asyncio.wait({ended}, timeout=_PRINT_EVERY_S)
