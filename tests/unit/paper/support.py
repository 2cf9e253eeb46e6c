"""A paper venue on a small market, and orders and prints for it in few words."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Coroutine, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from christmas.brokers.paper.venue import PaperVenue
from christmas.brokers.port import VenueOrder, VenueReport
from christmas.execution.order import OrderIntent, OrderType, TimeInForce
from christmas.market.hours import TradingHours
from christmas.market.tick import Side, Tick
from christmas.resources.broker import BrokerSpec, Faults, FeesSpec, InstrumentSpec, PaperSpec

T = TypeVar("T")
SYMBOL = "BTC/USDT"
T0 = 1_700_000_000_000_000
"""A whole second."""
MS = 1_000
SECOND = 1_000_000
ORDER_LATENCY = REPORT_LATENCY = 50 * MS


def done(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, for a test without an event loop."""
    return _loop().run_until_complete(coroutine)


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    atexit.register(loop.close)
    return loop


def broker(
    *,
    faults: Faults | None = None,
    cash: str = "100000",
    participation: str = "25%",
    minimum_notional: str = "5",
    maximum_lots: int | None = None,
    trading_hours: TradingHours | None = None,
) -> BrokerSpec:
    return BrokerSpec(
        instruments=(
            InstrumentSpec(
                symbol=SYMBOL,
                price_increment="0.1",
                lot_size="0.001",
                minimum_notional=minimum_notional,
                maximum_lots=maximum_lots,
                trading_hours=trading_hours,
            ),
        ),
        fees=FeesSpec(maker="0.02%", taker="0.05%"),
        paper=PaperSpec(cash=cash, participation=participation, faults=faults or Faults()),
    )


class Exchange:
    """A venue, what it reported, and shorthand."""

    def __init__(self, folder: Path, spec: BrokerSpec | None = None) -> None:
        self.folder = folder
        self.spec = spec or broker()
        self.reports: list[VenueReport] = []
        self.open()

    def open(self) -> None:
        self.venue = PaperVenue(self.spec, self.folder)
        done(self.venue.connect(self.reports.append))

    def kill(self) -> None:
        """As after SIGKILL: what is not written is gone."""
        self.venue._ledger.close()

    def submit(self, intent: OrderIntent) -> VenueOrder:
        return done(self.venue.submit(intent))

    def cancel(self, order_id: str, decided_us: int = 0) -> VenueOrder:
        return done(self.venue.cancel(order_id, decided_us))

    def show(self, *ticks: Tick) -> list[VenueReport]:
        """Show prints; the reports that follow."""
        before = len(self.reports)
        self.venue.on_ticks(ticks, max(tick.time_us for tick in ticks))
        return self.reports[before:]

    def clock(self, time_us: int) -> list[VenueReport]:
        before = len(self.reports)
        self.venue.on_clock(time_us)
        return self.reports[before:]

    def order(self, order_id: str) -> VenueOrder:
        order = done(self.venue.query(order_id))
        assert order is not None
        return order

    def own(self, lots: int, price: str = "60000") -> None:
        """Buy a position with plenty of prints before the test's own time."""
        self.submit(intent("seed", lots=lots, price=None, kind="market", decided_us=T0 - 10 * SECOND))
        self.show(tick(T0 - 9 * SECOND, price, lots * 100, "buy", "seed"))
        assert self.position() == lots
        self.reports.clear()

    def position(self) -> int:
        return done(self.venue.balance()).positions.get(SYMBOL, 0)

    def cash(self) -> Decimal:
        return done(self.venue.balance()).cash


def intent(
    order_id: str,
    side: Side = "buy",
    lots: int = 10,
    price: str | None = "60000",
    *,
    kind: OrderType = "limit",
    tif: TimeInForce = "GTC",
    decided_us: int = T0,
) -> OrderIntent:
    return OrderIntent(
        client_order_id=order_id,
        symbol=SYMBOL,
        side=side,
        type=kind,
        lots=lots,
        price=None if price is None else Decimal(price),
        time_in_force=tif,
        purpose="entry" if side == "buy" else "exit",
        position_id=order_id,
        decided_us=decided_us,
    )


_ids = iter(range(1, 1 << 62))


def tick(
    time_us: int, price: str, lots: int, side: Side | None = None, trade_id: str | None = None, *, late: bool = False
) -> Tick:
    return Tick(
        time_us=time_us,
        symbol=SYMBOL,
        trade_id=trade_id or str(next(_ids)),
        price=Decimal(price),
        lots=lots,
        taker_side=side,
        late=late,
    )


def bar(end_us: int, prices: Sequence[str], lots: int) -> Tick:
    """A bar's print; ``prices``: open, high, low, close."""
    opened, high, low, close = (Decimal(price) for price in prices)
    return Tick(
        time_us=end_us - 1,
        symbol=SYMBOL,
        trade_id=str(end_us),
        price=close,
        lots=lots,
        open=opened,
        high=high,
        low=low,
    )
