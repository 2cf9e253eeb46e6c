"""A real exchange's public trades, through ccxt.pro: one connection, watched for silence."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from christmas.brokers.feeds.ccxt_exchange import exchange_class
from christmas.brokers.feeds.error import FeedError
from christmas.brokers.feeds.metrics import DUPLICATES, MESSAGES, QUEUE, RECONNECTS
from christmas.market.raw import FeedTick
from christmas.telemetry.cancelling import end
from christmas.telemetry.steady import steady_us

CONNECT_WITHIN_S: Final = 30.0
CLOSE_WITHIN_S: Final = 5.0
SHORTEST_BACK_OFF_S: Final = 0.5
LONGEST_BACK_OFF_S: Final = 30.0
QUEUED_BATCHES: Final = 1000
KEPT_TRADES: Final = 10_000
"""What ccxt keeps of a symbol: more than come in while the event loop is busy elsewhere."""
REMEMBERED_IDS: Final = 5_000
_TROUBLE_MAXIMUM: Final = 200
_logger = logging.getLogger(__name__)


class _Silent(Exception):
    """No message for too long: ccxt's connections can freeze without an error (ccxt#20911)."""


class PublicExchangeFeed:
    """Trades of several symbols of one exchange.

    Connects again after an error, a disconnect or silence, with a back-off that doubles and has jitter. What an
    exchange sends twice is handed over once; what it never sends (while disconnected) is missing.
    """

    def __init__(
        self,
        exchange: str,
        symbols: Sequence[str],
        *,
        urls: Mapping[str, str],
        silent_after_s: float,
        shortest_back_off_s: float = SHORTEST_BACK_OFF_S,
    ) -> None:
        """``urls`` replaces entries of ccxt's ``urls['api']``; ``ws.linear`` names one within ``ws``.
        ``silent_after_s``: without a trade for so long the connection is given up.

        Raises FeedError when ccxt is missing or does not know the exchange.
        """
        self._name = exchange
        self._class = exchange_class(exchange)
        self._symbols = tuple(symbols)
        self._urls = dict(urls)
        self._silent_after_s = silent_after_s
        self._shortest_back_off_s = shortest_back_off_s
        self._queue: asyncio.Queue[list[FeedTick]] = asyncio.Queue(QUEUED_BATCHES)
        self._seen = {symbol: _Seen() for symbol in symbols}
        self._reader: asyncio.Task[None] | None = None
        self._received = 0
        self._closing = False
        self._heard_us: int | None = None
        self.trouble = ""
        """Why it connects again; empty once a trade has come."""

    def last_heard_us(self) -> int | None:
        """When the exchange was last heard (`steady_us`), None: not yet. While nobody takes what came, that is now:
        then it is not the exchange that is silent."""
        if self._queue.full():
            self._heard_us = steady_us()
        return self._heard_us

    async def batches(self) -> AsyncIterator[Sequence[FeedTick]]:
        """Trades that one message, or several close together, brought. Raises FeedError."""
        self._reader = asyncio.create_task(self._read(), name=f"{self._name} reader")
        try:
            while True:
                taken = asyncio.create_task(self._queue.get())
                try:
                    await asyncio.wait({taken, self._reader}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not taken.done():
                        taken.cancel()
                if not taken.done() or taken.cancelled():
                    await self._reader  # It ends only by failing for good, or by close().
                    return
                batch = taken.result()
                QUEUE.dec(len(batch))
                yield batch
        except asyncio.CancelledError:
            if self._reader.cancelled():
                return
            raise
        finally:
            await self.close()

    async def close(self) -> None:
        """Leave no connection behind. Called twice at once (by the owner and by the generator's end) it
        cancels once: a second cancel would hit the first one's tidying up."""
        reader = self._reader
        if reader is None or reader.done():
            return
        if not self._closing:
            self._closing = True
            reader.cancel()
        await asyncio.wait({reader}, timeout=2 * CLOSE_WITHIN_S)

    # --- the connection ------------------------------------------------------------------------

    async def _read(self) -> None:
        """Connect, read until something breaks, and again."""
        failures = 0
        while True:
            received = self._received
            try:
                await self._read_once()
            except FeedError:
                raise
            except Exception as error:
                if _is_permanent(error):
                    raise FeedError(f"{self._name}: {error}") from error
                failures = 0 if self._received > received else failures + 1
                reason = "silent" if isinstance(error, _Silent) else "error"
                self.trouble = str(error)[:_TROUBLE_MAXIMUM] or type(error).__name__
                RECONNECTS.labels(reason).inc()
                delay_s = self._back_off_s(failures)
                _logger.warning(
                    "exchange feed connects again",
                    extra={"exchange": self._name, "error": repr(error)[:300], "delay_s": round(delay_s, 3)},
                )
                await asyncio.sleep(delay_s)

    def _back_off_s(self, failures: int) -> float:
        longest = min(LONGEST_BACK_OFF_S, self._shortest_back_off_s * 2 ** min(failures, 10))
        return random.uniform(longest / 2, longest)

    async def _read_once(self) -> None:
        client = self._client()
        watchers: list[asyncio.Task[None]] = []
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                await client.load_markets()
            names = {symbol: _exchange_symbol(client, symbol) for symbol in self._symbols}
            heard: asyncio.Queue[None] = asyncio.Queue(1)
            watchers = [
                asyncio.create_task(self._watch(client, symbol, name, heard), name=f"{self._name} {symbol}")
                for symbol, name in names.items()
            ]
            watchers.append(asyncio.create_task(self._guard(heard), name=f"{self._name} watchdog"))
            done, _ = await asyncio.wait(watchers, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        finally:
            await end(*watchers)
            try:
                async with asyncio.timeout(CLOSE_WITHIN_S):
                    await client.close()
            except Exception as error:
                _logger.warning("exchange connection not closed", extra={"error": repr(error)[:300]})

    async def _guard(self, heard: asyncio.Queue[None]) -> None:
        """Fail when no symbol has had a trade for too long, and it is not us who take none."""
        while True:
            try:
                async with asyncio.timeout(self._silent_after_s):
                    await heard.get()
            except TimeoutError:
                if not self._queue.full():
                    raise _Silent(f"no trade for {self._silent_after_s:g} s") from None

    async def _watch(self, client: Any, symbol: str, name: str, heard: asyncio.Queue[None]) -> None:
        messages = MESSAGES.labels("exchange")
        while True:
            trades = await client.watch_trades(name)
            messages.inc(len(trades))
            self._heard_us, self.trouble = steady_us(), ""
            if heard.empty():
                heard.put_nowait(None)
            batch = [tick for trade in trades if (tick := _as_tick(trade, symbol)) is not None]
            fresh = [tick for tick in batch if self._seen[symbol].is_new(tick.trade_id)]
            DUPLICATES.inc(len(batch) - len(fresh))
            if fresh:
                self._received += len(fresh)
                QUEUE.inc(len(fresh))
                await self._queue.put(fresh)

    def _client(self) -> Any:
        client = self._class({"newUpdates": True, "enableRateLimit": True, "options": {"tradesLimit": KEPT_TRADES}})
        # Numbers stay the exchange's own text: a float could not say which lot or increment was meant.
        client.number = str
        for key, url in self._urls.items():
            _replace_url(client.urls["api"], key, url, self._name)
        return client


class _Seen:
    """The last trade ids of a symbol."""

    def __init__(self) -> None:
        self._order: deque[str] = deque()
        self._ids: set[str] = set()

    def is_new(self, trade_id: str) -> bool:
        if trade_id in self._ids:
            return False
        self._ids.add(trade_id)
        self._order.append(trade_id)
        if len(self._order) > REMEMBERED_IDS:
            self._ids.discard(self._order.popleft())
        return True


def _exchange_symbol(client: Any, symbol: str) -> str:
    """The exchange's name of our symbol: ``BTC/USDT`` is ``BTC/USDT:USDT`` where only futures are."""
    quote = symbol.partition("/")[2]
    for name in (symbol, f"{symbol}:{quote}"):
        if name in client.markets:
            return name
    raise FeedError(f"{client.id} does not trade {symbol}; take it out of the Broker's instruments")


def _is_permanent(error: Exception) -> bool:
    """Whether trying again cannot help."""
    from ccxt.base import errors  # noqa: PLC0415  # ccxt is loaded only where an exchange is fed from

    return isinstance(error, errors.NotSupported | errors.BadSymbol | errors.AuthenticationError)


def _replace_url(urls: Any, key: str, url: str, exchange: str) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        urls = urls.get(parent) if isinstance(urls, dict) else None
    if not isinstance(urls, dict) or last not in urls:
        raise FeedError(f"feed.exchange.urls: ccxt's {exchange} has no address called {key!r}")
    urls[last] = url


def _as_tick(trade: Mapping[str, Any], symbol: str) -> FeedTick | None:
    """A trade as ccxt unifies it; None for what is no trade of the market (a price of nought)."""
    try:
        price, quantity = Decimal(trade["price"]), Decimal(trade["amount"])
    except (InvalidOperation, TypeError):
        return None
    milliseconds, trade_id = trade.get("timestamp"), trade.get("id")
    if price <= 0 or quantity <= 0 or milliseconds is None or trade_id is None:
        return None
    return FeedTick(
        time_us=int(milliseconds) * 1000,
        symbol=symbol,
        trade_id=str(trade_id),
        price=price,
        quantity=quantity,
        taker_side=trade.get("side"),
    )
