"""A venue outside of ours, in memory: does what a script says, and remembers across our crashes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from christmas.brokers.port import ReportHandler, VenueBalance, VenueOrder, VenueRejected, VenueReport
from christmas.execution.order import Fill, OrderIntent, OrderStatus
from christmas.execution.protocol import Fees
from christmas.market.instrument import Instrument

INSTRUMENT = Instrument(symbol="BTC/USDT", price_increment=Decimal("0.01"), lot_size=Decimal("0.001"))


class ScriptedVenue:
    """``script``: what the next requests do, one each: an exception is raised instead of an answer, or
    after the request was carried out when it stands in ``after``.
    """

    def __init__(self) -> None:
        self.orders: dict[str, VenueOrder] = {}
        self.submitted: list[str] = []
        self.sent: list[OrderIntent] = []
        self.before: deque[Exception | None] = deque()
        self.after: deque[Exception | None] = deque()
        self.kept_fills: list[Fill] = []
        self.positions: dict[str, int] = {}
        self.asked: list[str] = []
        self.handler: ReportHandler | None = None

    async def connect(self, on_report: ReportHandler) -> None:
        self.handler = on_report

    async def close(self) -> None:
        self.handler = None

    async def instruments(self) -> dict[str, Instrument]:
        return {INSTRUMENT.symbol: INSTRUMENT}

    async def fees(self) -> Fees:
        return Fees(maker=Decimal("0.0002"), taker=Decimal("0.0005"))

    async def submit(self, intent: OrderIntent) -> VenueOrder:
        self._begin("submit")
        self.sent.append(intent)
        if intent.client_order_id not in self.orders:
            self.submitted.append(intent.client_order_id)
            self.orders[intent.client_order_id] = VenueOrder(
                client_order_id=intent.client_order_id,
                venue_order_id=f"v-{intent.client_order_id}",
                status=OrderStatus.ACCEPTED,
                filled_lots=0,
                leaves_lots=intent.lots,
            )
        self._end()
        return self.orders[intent.client_order_id]

    async def cancel(self, client_order_id: str, decided_us: int = 0) -> VenueOrder:
        self._begin("cancel")
        order = self.orders.get(client_order_id)
        if order is None:
            raise VenueRejected("unknown order")
        if not order.status.is_final:
            self.orders[client_order_id] = msgspec.structs.replace(order, status=OrderStatus.CANCELLED, leaves_lots=0)
        self._end()
        return self.orders[client_order_id]

    async def query(self, client_order_id: str) -> VenueOrder | None:
        self._begin("query")
        return self.orders.get(client_order_id)

    async def open_orders(self) -> Sequence[VenueOrder]:
        self._begin("open_orders")
        return [order for order in self.orders.values() if not order.status.is_final]

    async def fills(self, since_us: int) -> Sequence[Fill]:
        self._begin("fills")
        return [fill for fill in self.kept_fills if fill.time_us >= since_us]

    async def balance(self) -> VenueBalance:
        self._begin("balance")
        return VenueBalance(cash=Decimal(1000), positions=dict(self.positions))

    def fill(
        self,
        client_order_id: str,
        lots: int,
        *,
        price: str = "100",
        time_us: int = 1,
        side: str = "buy",
        tell: bool = True,
    ) -> VenueReport:
        """Execute a part of an order, and report it unless ``tell`` is false."""
        order = self.orders[client_order_id]
        filled = order.filled_lots + lots
        leaves = order.leaves_lots - lots
        status = OrderStatus.FILLED if leaves == 0 else OrderStatus.PARTIALLY_FILLED
        order = self.orders[client_order_id] = msgspec.structs.replace(
            order, status=status, filled_lots=filled, leaves_lots=leaves
        )
        fill = Fill(
            fill_id=f"{client_order_id}-{filled}",
            client_order_id=client_order_id,
            symbol=INSTRUMENT.symbol,
            side="buy" if side == "buy" else "sell",
            price=Decimal(price),
            lots=lots,
            fee=Decimal("0.01"),
            liquidity="taker",
            time_us=time_us,
        )
        self.kept_fills.append(fill)
        held = self.positions.get(INSTRUMENT.symbol, 0)
        self.positions[INSTRUMENT.symbol] = held + (lots if side == "buy" else -lots)
        report = VenueReport(order=order, fill=fill, time_us=time_us)
        if tell and self.handler is not None:
            self.handler(report)
        return report

    def _begin(self, name: str) -> None:
        self.asked.append(name)
        error = self.before.popleft() if self.before else None
        if error is not None:
            raise error

    def _end(self) -> None:
        error = self.after.popleft() if self.after else None
        if error is not None:
            raise error
