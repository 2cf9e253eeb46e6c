"""One instrument, bars, ticks and positions of it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from christmas.execution.order import Fill
from christmas.execution.strategies.base import PositionView, Signal, Strategy
from christmas.market.bar import Bar
from christmas.market.instrument import Instrument
from christmas.market.tick import Tick

SYMBOL = "BTC/USDT"
INSTRUMENT = Instrument(symbol=SYMBOL, price_increment=Decimal("0.01"), lot_size=Decimal("0.001"))


def bar(index: int, close: str | float) -> Bar:
    """The one-second bar number ``index`` (from 0), all prices ``close``."""
    price = Decimal(str(close))
    return Bar(
        symbol=SYMBOL,
        start_us=index * 1_000_000,
        end_us=(index + 1) * 1_000_000,
        open=price,
        high=price,
        low=price,
        close=price,
        lots=3,
        buy_lots=2,
        sell_lots=1,
        price_lots=price * 3,
        ticks=1,
    )


def tick(time_us: int, price: str) -> Tick:
    return Tick(time_us=time_us, symbol=SYMBOL, trade_id="1", price=Decimal(price), lots=1)


def fill(time_us: int) -> Fill:
    return Fill(
        fill_id="f",
        client_order_id="x",
        symbol=SYMBOL,
        side="buy",
        price=Decimal(100),
        lots=1,
        fee=Decimal("0.05"),
        liquidity="taker",
        time_us=time_us,
    )


def view(
    position_id: str = "p", *, lots: int = 1000, price: str = "100", opened_us: int = 0, is_closing: bool = False
) -> PositionView:
    """A position bought at ``price`` with a fee of 0.1 % of it; ``lots=0``: its entry is on the way."""
    quantity = INSTRUMENT.quantity(lots)
    notional = quantity * Decimal(price)
    return PositionView(
        position_id=position_id,
        symbol=SYMBOL,
        lots=lots,
        quantity=quantity,
        average_price=Decimal(price) if lots else None,
        opened_us=opened_us,
        entry_notional=notional,
        cash_flow=-notional - notional / 1000,
        is_closing=is_closing,
    )


def run(
    strategy: Strategy, closes: Sequence[str | float], positions: Sequence[PositionView] = ()
) -> list[list[Signal]]:
    """The signals at each bar."""
    strategy.bind(SYMBOL, INSTRUMENT, lambda: positions)
    return [strategy.handle_bar(bar(index, close)) for index, close in enumerate(closes)]
