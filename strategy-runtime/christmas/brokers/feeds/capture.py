"""Captured WebSocket messages: one a line, each behind the receiver's clock in ns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from christmas.brokers.feeds.error import FeedError
from christmas.market.raw import FeedTick
from christmas.telemetry.unreadable import UNREADABLE


class BinanceTrade(msgspec.Struct, frozen=True, kw_only=True):
    """A ``@trade`` event of Binance: https://developers.binance.com (USD-M futures and spot)."""

    event: str = msgspec.field(name="e")
    time_ms: int = msgspec.field(name="T")
    symbol: str = msgspec.field(name="s")
    trade_id: int = msgspec.field(name="t")
    price: str = msgspec.field(name="p")
    quantity: str = msgspec.field(name="q")
    buyer_is_maker: bool = msgspec.field(name="m")
    kind: str = msgspec.field(name="X", default="MARKET")
    """Not MARKET: insurance fund or auto-deleveraging, no trade of the market."""


class _Envelope(msgspec.Struct, frozen=True):
    data: BinanceTrade


_STAMP_MAXIMUM: Final = 19
"""Digits of a time in ns, until the year 2286."""
_envelope = msgspec.json.Decoder(_Envelope)
_bare = msgspec.json.Decoder(BinanceTrade)


def captured_prints(
    lines: Iterator[tuple[int, bytes]], *, place: str, known: Mapping[str, object]
) -> Iterator[tuple[int, FeedTick] | None]:
    """(receiver's µs, print) for each trade message, and None for any other. Raises FeedError.

    ``lines``: (line number, text). ``known``: the Broker's symbols; ``BTCUSDT`` is ``BTC/USDT``.
    """
    symbols = {symbol.partition(":")[0].replace("/", ""): symbol for symbol in known}
    for line, text in lines:
        stamp, space, body = text.partition(b" ")
        if not space or not stamp.isdigit() or len(stamp) > _STAMP_MAXIMUM:
            raise FeedError(f"{place}, line {line}: no receiver's time in ns before the message; mend the line")
        if b'"e":"trade"' not in body:
            yield None
            continue
        try:
            trade = _envelope.decode(body).data if b'"data"' in body else _bare.decode(body)
            price, quantity = Decimal(trade.price), Decimal(trade.quantity)
        except InvalidOperation:
            shown = f"price {trade.price[:40]!r} or quantity {trade.quantity[:40]!r}"
            raise FeedError(f"{place}, line {line}: {shown} is not a decimal number; mend or remove the line") from None
        except UNREADABLE as error:
            raise FeedError(f"{place}, line {line}: not a trade message: {error}; mend or remove the line") from None
        if trade.kind != "MARKET":
            yield None
            continue
        symbol = symbols.get(trade.symbol)
        if symbol is None:
            raise FeedError(
                f"{place}, line {line}: {trade.symbol} is not among the Broker's instruments ({', '.join(known)}); "
                "add it to spec.instruments"
            )
        yield (
            int(stamp) // 1000,
            FeedTick(
                time_us=trade.time_ms * 1000,
                symbol=symbol,
                trade_id=str(trade.trade_id),
                price=price,
                quantity=quantity,
                taker_side="sell" if trade.buyer_is_maker else "buy",
            ),
        )
