"""What an account's orders must amount to, in plain Python: no code of the gateway's is used here.

Built from the intents that strategies sent and from the journal read off the disk; held against the
venue's own statement and against what the strategies were told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from christmas.brokers.paper.ledger import Statement
from christmas.execution.journal import CancelWritten, FillRecorded, JournalEntry, OrderChanged, OrderWritten
from christmas.execution.order import Fill, OrderIntent, OrderReport, OrderStatus

FINAL = {
    OrderStatus.FILLED,
    OrderStatus.CANCELLED,
    OrderStatus.EXPIRED,
    OrderStatus.DENIED,
    OrderStatus.REJECTED,
}


class Reference:
    """``sent``: the first content of each order id that a strategy whose session was in force sent."""

    def __init__(self, cash: Decimal, lot_size: Decimal) -> None:
        self.sent: dict[str, tuple[str, OrderIntent]] = {}
        self.forbidden: dict[str, str] = {}
        """Order ids that must never be accepted, and why."""
        self.withdrawals: set[str] = set()
        """``strategy order``: who has asked for which cancel."""
        self._initial = cash
        self._lot_size = lot_size
        self.forget()

    def forget(self) -> None:
        """Of the journal, which is read anew after a kill."""
        self.sequence = 0
        self.cash = self._initial
        self.written: dict[str, OrderWritten] = {}
        self.status: dict[str, OrderStatus] = {}
        self.fills: dict[str, Fill] = {}
        self.filled: dict[str, int] = defaultdict(int)
        self.lots: dict[str, int] = defaultdict(int)
        """Held, by position."""
        self.told: dict[str, list[OrderChanged]] = defaultdict(list)
        """Steps by strategy: the n-th one is report number n."""

    def read(self, entries: Iterable[JournalEntry]) -> list[str]:
        """Take in what the journal has more; what is wrong with it."""
        wrong = []
        for entry in entries:
            self.sequence += 1
            if entry.sequence != self.sequence:
                wrong.append(f"journal entry {entry.sequence} stands where {self.sequence} should")
            match entry:
                case OrderWritten():
                    wrong += self._wrote(entry)
                case FillRecorded():
                    wrong += self._filled(entry.fill)
                case CancelWritten():
                    wrong += self._withdrawn(entry)
                case OrderChanged():
                    wrong += self._changed(entry)
                case _:
                    pass
        return wrong

    def _wrote(self, entry: OrderWritten) -> list[str]:
        key = entry.intent.client_order_id
        if key in self.written:
            return [f"{key} was written twice"]
        self.written[key] = entry
        self.status[key] = OrderStatus.PENDING
        if entry.intent.breaks_policy == "flatten":
            return []
        if key not in self.sent:
            return [f"{key} was written, and no session in force sent it ({self.forbidden.get(key, 'unheard of')})"]
        strategy, intent = self.sent[key]
        if (strategy, intent) != (entry.strategy, entry.intent):
            return [f"{key} was written with another content than was sent first"]
        return []

    def _withdrawn(self, entry: CancelWritten) -> list[str]:
        key = entry.intent.client_order_id
        if self.written[key].strategy != entry.strategy:
            return [f"{key} was withdrawn by {entry.strategy}, whose order it is not"]
        if f"{entry.strategy} {key}" not in self.withdrawals and "by hand" not in entry.intent.reason:
            return [f"{key} was withdrawn, and nobody asked for it"]
        return []

    def _filled(self, fill: Fill) -> list[str]:
        wrong = []
        key = fill.client_order_id
        if fill.fill_id in self.fills:
            wrong.append(f"fill {fill.fill_id} was recorded twice")
        intent = self.written[key].intent
        self.fills[fill.fill_id] = fill
        self.filled[key] += fill.lots
        if self.filled[key] > intent.lots:
            wrong.append(f"{key} has {self.filled[key]} of {intent.lots} lots filled")
        sign = 1 if fill.side == "buy" else -1
        self.cash -= sign * fill.price * self._lot_size * fill.lots + fill.fee
        self.lots[intent.position_id] += sign * fill.lots
        return wrong

    def _changed(self, entry: OrderChanged) -> list[str]:
        key = entry.client_order_id
        before = self.status[key]
        self.status[key] = entry.status
        self.told[entry.strategy].append(entry)
        if entry.filled_lots != self.filled[key]:
            return [f"{key}: a step tells {entry.filled_lots} lots filled, its fills {self.filled[key]}"]
        # A fill that the venue told late may end an order once more, as filled or as it was, and nothing else may.
        if before in FINAL and entry.status not in {before, OrderStatus.FILLED}:
            return [f"{key} was {before} and then {entry.status}"]
        return []

    def open_ids(self) -> list[str]:
        return [key for key, status in self.status.items() if status not in FINAL]

    def oversold(self) -> list[str]:
        """Positions that are sold, or offered, beyond what is held."""
        offered: dict[str, int] = defaultdict(int)
        for key in self.open_ids():
            intent = self.written[key].intent
            if intent.side == "sell":
                offered[intent.position_id] += intent.lots - self.filled[key]
        keys = self.lots.keys() | offered.keys()
        return [
            f"of position {key} {self.lots[key]} lots are held and {offered[key]} offered"
            for key in keys
            if self.lots[key] < 0 or offered[key] > self.lots[key]
        ]

    def heard_wrong(self, strategy: str, told: dict[int, OrderReport]) -> list[str]:
        """Reports that are not what the journal says."""
        steps = self.told[strategy]
        wrong = []
        for sequence, report in told.items():
            if sequence > len(steps):
                wrong.append(f"{strategy} was told report {sequence}, the journal has {len(steps)}")
                continue
            step = steps[sequence - 1]
            seen = (step.client_order_id, step.status, step.filled_lots, step.leaves_lots)
            if seen != (report.client_order_id, report.status, report.filled_lots, report.leaves_lots):
                wrong.append(f"{strategy}: report {sequence} is {report}, the journal says {step}")
        return wrong

    def against_venue(self, venue: Statement) -> list[str]:
        """What can be held against the venue at any moment."""
        wrong = []
        for order in venue.orders:
            key = order.intent.client_order_id
            written = self.written.get(key)
            if written is None:
                wrong.append(f"{key} is at the venue and not in the journal")
            elif written.intent != order.intent:
                wrong.append(f"{key} is another at the venue than in the journal")
            elif self.status[key] is OrderStatus.DENIED:
                wrong.append(f"{key} was denied and is at the venue")
        known = {fill.fill_id: fill for fill in venue.fills}
        wrong += [f"fill {key} never was" for key, fill in self.fills.items() if known.get(key) != fill]
        return wrong

    def at_the_end(self, venue: Statement) -> list[str]:
        """What must hold when the venue has been well and the market has gone on."""
        wrong = [f"{key} is {self.status[key]} for ever" for key in self.open_ids()]
        lost = [fill.fill_id for fill in venue.fills if fill.fill_id not in self.fills]
        wrong += [f"fill {key} was lost" for key in lost]
        held = sum(self.lots.values())
        if (self.cash, held) != (venue.state.cash, sum(venue.state.positions.values())):
            wrong.append(
                f"the venue has {venue.state.cash} and {venue.state.positions}, the model {self.cash} and {held} lots"
            )
        for order in venue.orders:
            status = self.status.get(order.intent.client_order_id)
            if order.status is not status:
                wrong.append(f"{order.intent.client_order_id} is {order.status} at the venue and {status} here")
        return wrong
