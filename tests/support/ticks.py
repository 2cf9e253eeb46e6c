"""Prints, ticks and instruments for tests."""

from __future__ import annotations

from decimal import Decimal

from christmas.market.instrument import Instrument
from christmas.market.raw import FeedTick
from christmas.market.tick import Side, Tick

SYMBOL = "BTC/USDT"
OTHER = "ETH/USDT"
SECOND_US = 1_000_000
START_US = 1_723_161_240_000_000
"""A whole minute."""

BTC = Instrument(symbol=SYMBOL, price_increment=Decimal("0.1"), lot_size=Decimal("0.001"))
ETH = Instrument(symbol=OTHER, price_increment=Decimal("0.01"), lot_size=Decimal("0.0001"))


def feed_tick(
    number: int,
    time_us: int,
    *,
    price: str = "60000.0",
    quantity: str = "0.001",
    symbol: str = SYMBOL,
    side: str | None = "buy",
) -> FeedTick:
    return FeedTick(
        time_us=time_us,
        symbol=symbol,
        trade_id=str(number),
        price=Decimal(price),
        quantity=Decimal(quantity),
        taker_side=side,
    )


def tick(
    number: int,
    time_us: int,
    *,
    price: str = "60000.0",
    lots: int = 1,
    symbol: str = SYMBOL,
    side: Side | None = "buy",
    late: bool = False,
) -> Tick:
    return Tick(
        time_us=time_us,
        symbol=symbol,
        trade_id=str(number),
        price=Decimal(price),
        lots=lots,
        taker_side=side,
        late=late,
    )
