"""The life of one order as a pure function: what we knew, what the venue says, what is new in it.

Fills are the truth about quantities, the venue's words the truth about an order's end. Both come
late, twice and out of order; the same news again gives no step.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from christmas.brokers.port import VenueOrder
from christmas.execution.order import Fill, OrderIntent, OrderStatus
from christmas.execution.protocol import KnownOrder


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order of the journal, with what the venue claims about it so far."""

    intent: OrderIntent
    strategy: str
    strategy_uid: str
    epoch: int
    lot_size: Decimal
    written_us: int
    status: OrderStatus = OrderStatus.PENDING
    filled_lots: int = 0
    fills: tuple[Fill, ...] = ()
    venue_order_id: str = ""
    cancel_requested: bool = False
    cancel_decided_us: int = 0
    claimed_lots: int = 0
    """The most lots that the venue has said are filled; more than ``filled_lots`` while fills are missing."""
    claimed_end: OrderStatus | None = None
    """How the venue says it ended; it ends for us when its fills are all here."""

    @property
    def id(self) -> str:
        return self.intent.client_order_id

    @property
    def leaves_lots(self) -> int:
        """What may still be filled."""
        return 0 if self.status.is_final else self.intent.lots - self.filled_lots

    @property
    def missing_lots(self) -> int:
        """Filled at the venue and not yet told to us."""
        return max(0, self.claimed_lots - self.filled_lots)

    def known(self) -> KnownOrder:
        return KnownOrder(
            intent=self.intent, status=self.status, fills=self.fills, cancel_requested=self.cancel_requested
        )


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Something that must be written down and told."""

    order: Order
    fill: Fill | None = None
    reason: str = ""


def observe(order: Order, seen: VenueOrder, fill: Fill | None = None) -> tuple[Order, Step | None]:
    """What the venue's view of an order, and perhaps a fill, change in ours."""
    fresh = fill if fill is not None and all(known.fill_id != fill.fill_id for known in order.fills) else None
    fills = order.fills if fresh is None else (*order.fills, fresh)
    filled = order.filled_lots + (fresh.lots if fresh is not None else 0)
    end = order.claimed_end
    if end is None and seen.status.is_final:
        end = seen.status
    claimed = max(order.claimed_lots, seen.filled_lots, order.intent.lots if end is OrderStatus.FILLED else 0)
    status = _status(order, seen.status, end, filled=filled, claimed=claimed)
    changed = msgspec.structs.replace(
        order,
        status=status,
        fills=fills,
        filled_lots=filled,
        claimed_lots=claimed,
        claimed_end=end,
        venue_order_id=seen.venue_order_id or order.venue_order_id,
    )
    if fresh is None and status is order.status:
        return changed, None
    return changed, Step(order=changed, fill=fresh, reason=seen.reason)


def _status(order: Order, seen: OrderStatus, end: OrderStatus | None, *, filled: int, claimed: int) -> OrderStatus:
    if filled >= order.intent.lots:
        return OrderStatus.FILLED
    if order.status.is_final:
        return order.status
    if end is not None and filled >= claimed:
        return end
    if filled > 0:
        return OrderStatus.PARTIALLY_FILLED
    if end is not None or seen in {OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED}:
        return OrderStatus.ACCEPTED
    if seen is OrderStatus.PENDING and order.status is OrderStatus.UNKNOWN:
        return OrderStatus.PENDING
    return order.status


def ended(order: Order, status: OrderStatus, reason: str) -> tuple[Order, Step | None]:
    """Our own word on an order that never was at the venue: denied, rejected or (by then) cancelled."""
    if order.status.is_final:
        return order, None
    changed = msgspec.structs.replace(order, status=status, claimed_end=status)
    return changed, Step(order=changed, reason=reason)


def unknown(order: Order, reason: str) -> tuple[Order, Step | None]:
    """Sent, and no answer that proves anything."""
    if order.status is not OrderStatus.PENDING:
        return order, None
    changed = msgspec.structs.replace(order, status=OrderStatus.UNKNOWN)
    return changed, Step(order=changed, reason=reason)
