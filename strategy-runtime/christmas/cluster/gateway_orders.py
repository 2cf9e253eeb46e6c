"""Orders as a gateway's own journal knows them: for when the database cannot be asked."""

from __future__ import annotations

from decimal import Decimal

from christmas.cluster.api import Api
from christmas.cluster.gateway import at_gateway
from christmas.execution.accounting import notional, total
from christmas.execution.protocol import KnownOrder
from christmas.ingestion.history import OrderRecord
from christmas.resources.broker import Broker
from christmas.resources.strategy import Strategy


def orders_at_gateway(api: Api, strategies: list[Strategy], brokers: dict[str, Broker]) -> list[OrderRecord]:
    """The newest 500 of each strategy, oldest first; raises ClusterError when a gateway cannot be asked."""
    found = []
    for strategy in strategies:
        name, broker = strategy.metadata.name, strategy.spec.broker_ref.name
        lot_sizes = {one.symbol: Decimal(one.lot_size) for one in brokers[broker].spec.instruments}
        for order in at_gateway(api, broker, "orders", strategy=name).orders:
            lot_size = lot_sizes.get(order.intent.symbol, Decimal(0))
            found.append(order_record(order, strategy=strategy, lot_size=lot_size))
    return sorted(found, key=lambda order: order.decided_us)


def order_record(order: KnownOrder, *, strategy: Strategy, lot_size: Decimal) -> OrderRecord:
    """What a gateway answers, as the database has it; what it does not answer is empty. Pure."""
    intent, broker = order.intent, strategy.spec.broker_ref.name
    return OrderRecord(
        market=broker,
        broker=broker,
        strategy=strategy.metadata.name,
        strategy_uid=strategy.metadata.uid,
        epoch=0,
        client_order_id=intent.client_order_id,
        venue_order_id="",
        symbol=intent.symbol,
        side=intent.side,
        type=intent.type,
        time_in_force=intent.time_in_force,
        purpose=intent.purpose,
        position_id=intent.position_id,
        price=intent.price,
        lots=intent.lots,
        lot_size=lot_size,
        filled_lots=sum(fill.lots for fill in order.fills),
        filled_notional=total(notional(fill.price, lot_size, fill.lots) for fill in order.fills),
        fees=total(fill.fee for fill in order.fills),
        status=order.status,
        reason=intent.reason,
        status_reason="",
        breaks_policy=intent.breaks_policy,
        cancel_reason=None,
        decided_us=intent.decided_us,
        updated_us=max((fill.time_us for fill in order.fills), default=intent.decided_us),
    )
