"""Cash and positions of the simulated account, in exact numbers."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from christmas.brokers.paper.matching import PaperOrder
from christmas.execution.order import Fill
from christmas.execution.protocol import Fees
from christmas.market.instrument import Instrument


class Account:
    """What is owned; what open orders hold back is worked out from them, so it cannot drift."""

    def __init__(
        self, cash: Decimal, positions: dict[str, int], instruments: dict[str, Instrument], fees: Fees
    ) -> None:
        self.cash = cash
        self.positions = positions
        self._instruments = instruments
        self._fees = fees

    def apply(self, fill: Fill) -> None:
        """Book one execution; a fee is paid in quote currency on either side."""
        notional = self._instruments[fill.symbol].notional(fill.price, fill.lots)
        held = self.positions.get(fill.symbol, 0)
        if fill.side == "buy":
            self.cash -= notional + fill.fee
            self.positions[fill.symbol] = held + fill.lots
        else:
            self.cash += notional - fill.fee
            self.positions[fill.symbol] = held - fill.lots

    def cost(self, symbol: str, price: Decimal, lots: int) -> Decimal:
        """Of a buy, with the dearer of both fees."""
        return self._instruments[symbol].notional(price, lots) * (1 + max(self._fees.taker, self._fees.maker))

    def free_cash(self, others: Iterable[PaperOrder]) -> Decimal:
        """Cash that no other open order holds back."""
        held = Decimal(0)
        for order in others:
            intent = order.intent
            price = intent.price if intent.price is not None else order.reserved_price
            if intent.side == "buy" and order.phase != "pending" and price is not None:
                held += self.cost(intent.symbol, price, order.leaves_lots)
        return self.cash - held

    def free_lots(self, symbol: str, others: Iterable[PaperOrder]) -> int:
        """Lots of a position that no other open sell order holds back."""
        held = sum(
            order.leaves_lots
            for order in others
            if order.intent.side == "sell" and order.intent.symbol == symbol and order.phase != "pending"
        )
        return self.positions.get(symbol, 0) - held

    def affordable_lots(self, symbol: str, price: Decimal, cash: Decimal) -> int:
        """The most lots that ``cash`` pays for at ``price``, fee included."""
        lot_cost = self.cost(symbol, price, 1)
        return max(0, int(cash // lot_cost))
