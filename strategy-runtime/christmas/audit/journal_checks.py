"""What a journal must be by itself. Pure: one pass over its lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec

from christmas.audit.books import JournalBook, Line, Policy
from christmas.audit.difference import Difference
from christmas.audit.ids import OrderIdCheck
from christmas.execution.journal import (
    CancelWritten,
    FillRecorded,
    JournalEntry,
    OrderChanged,
    OrderWritten,
    SessionChanged,
)
from christmas.execution.order import OrderStatus

_KEEP = "keep the journal as it is, and compare with the venue's own statement"
_ASSUMED = "judged as NoLoss, the default, for want of its manifest: name another with --policy NAME=StopLoss"
_REPORT = "please report it with the lines of the journal around this place"


class OrderFold(msgspec.Struct, kw_only=True):
    """An order as the journal's entries amount to it."""

    written: OrderWritten
    status: OrderStatus = OrderStatus.PENDING
    projected: str = OrderStatus.PENDING.value
    """The status that the database must show: a fill tells of it before the change that follows."""
    filled_lots: int = 0
    filled_notional: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    sent: bool = False
    """The venue has answered for it."""


class PositionFold(msgspec.Struct, kw_only=True):
    """A position by plain sums, without the code that the product keeps its positions with."""

    strategy_uid: str
    strategy: str
    symbol: str
    bought: int = 0
    sold: int = 0
    paid: Decimal = Decimal(0)
    """For all that was bought, fees included."""
    received: Decimal = Decimal(0)
    """For all that was sold, after fees."""
    fees: Decimal = Decimal(0)
    breaks_policy: str | None = None
    """Of any of its exits."""
    policy: Policy | None = None


class JournalFold(msgspec.Struct, kw_only=True):
    """All that the journal says, added up."""

    orders: dict[str, OrderFold] = {}
    fills: dict[str, FillRecorded] = {}
    positions: dict[str, PositionFold] = {}


class _Speaker(msgspec.Struct, kw_only=True):
    epoch: int = 0
    instance: str = ""
    superseded: set[str] = msgspec.field(default_factory=set)


def fold_journal(
    broker: str, book: JournalBook, policies: Mapping[str, Policy], *, until: int | None = None
) -> tuple[JournalFold, list[Difference]]:
    """The sums over the lines (up to sequence ``until``), and what is wrong with them.

    ``policies``: exit policies by strategy uid, of the manifests that are known.
    """
    folding = _Folding(broker, policies)
    for line in book.lines:
        if until is None or line.sequence <= until:
            folding.take(line)
    folding.finish()
    return folding.fold, folding.found


def sequence_gaps(broker: str, book: JournalBook) -> Iterator[Difference]:
    """Gaps among numbers that cannot be pruned signals, and entries whose number is not their place."""
    expected = book.started_after + 1
    for line in book.lines:
        if line.sequence < expected:
            yield _wrong(
                "journal.sequence", broker, line, f"a number of at least {expected}", str(line.sequence), _KEEP
            )
        elif line.sequence > expected and line.sequence - 1 > book.acked:
            first = max(expected, book.acked + 1)
            yield _wrong(
                "journal.gap",
                broker,
                line,
                f"entry {first} and on",
                f"{line.sequence - first} entries are missing before it",
                _KEEP,
            )
        expected = max(expected, line.sequence + 1)
        if line.entry is None:
            yield _wrong("journal.unreadable", broker, line, "an entry", line.trouble, _KEEP)
        elif line.entry.sequence != line.sequence:
            found = f"the entry says {line.entry.sequence}"
            yield _wrong("journal.sequence", broker, line, f"entry {line.sequence} at its place", found, _KEEP)


class _Folding:
    def __init__(self, broker: str, policies: Mapping[str, Policy]) -> None:
        self._broker = broker
        self._policies = policies
        self._ids = OrderIdCheck()
        self._speakers: dict[str, _Speaker] = {}
        self._untold: Line | None = None
        self._last: dict[str, Line] = {}
        self.fold = JournalFold(orders={}, fills={}, positions={})
        self.found: list[Difference] = []

    def take(self, line: Line) -> None:
        entry = line.entry
        if entry is None:
            return
        self._pair(line, entry)
        match entry:
            case OrderWritten():
                self._written(line, entry)
            case OrderChanged():
                self._changed(line, entry)
            case FillRecorded():
                self._filled(line, entry)
            case CancelWritten():
                if entry.intent.client_order_id not in self.fold.orders:
                    self._wrong("journal.cancel-without-order", line, "an order", entry.intent.client_order_id)
            case SessionChanged():
                self._session(line, entry)
            case _:
                pass

    def finish(self) -> None:
        if self._untold is not None:
            self._wrong("journal.report-missing", self._untold, "the step that tells of the fill", "nothing after it")
        for position_id, position in self.fold.positions.items():
            self._end(position_id, position)

    def _wrong(self, kind: str, line: Line, expected: str, found: str, mend: str = _REPORT) -> None:
        self.found.append(_wrong(kind, self._broker, line, expected, found, mend))

    def _pair(self, line: Line, entry: JournalEntry) -> None:
        """A fill and the step that tells of it stand together: reports are made of such pairs."""
        before, self._untold = self._untold, None
        if before is not None and isinstance(before.entry, FillRecorded):
            order_id = before.entry.fill.client_order_id
            told = isinstance(entry, OrderChanged) and entry.client_order_id == order_id
            if not told or line.sequence != before.sequence + 1:
                self._wrong(
                    "journal.report-missing",
                    before,
                    f"entry {before.sequence + 1} tells of the fill of {order_id}",
                    f"entry {line.sequence} is {entry.__struct_config__.tag}",
                )
        if isinstance(entry, FillRecorded):
            self._untold = line

    def _written(self, line: Line, entry: OrderWritten) -> None:
        intent, orders = entry.intent, self.fold.orders
        key = intent.client_order_id
        if key in orders:
            self._wrong("journal.order-doubled", line, "each order once", f"{key} is written again")
            return
        orders[key] = OrderFold(written=entry)
        if line.owner != entry.strategy_uid:
            self._wrong("journal.owner", line, entry.strategy_uid, line.owner)
        if not self._ids.is_derived(entry.strategy_uid, intent):
            self._wrong(
                "journal.order-id", line, "the id that strategy, bar, side and number determine", f"{key} is another"
            )
        if (intent.side == "buy") is not (intent.purpose == "entry"):
            self._wrong("journal.order-side", line, "entries buy and exits sell", f"{intent.purpose} {intent.side}")
        self._epoch(line, entry)
        position = self.fold.positions.get(intent.position_id)
        if intent.purpose == "exit":
            self._exit(line, entry, position)

    def _epoch(self, line: Line, entry: OrderWritten) -> None:
        speaker = self._speakers.get(entry.strategy_uid)
        if speaker is None or not speaker.instance:
            self._wrong("fence.no-session", line, f"a session of {entry.strategy} before its order", "none was opened")
        elif entry.epoch != speaker.epoch and entry.intent.breaks_policy != "flatten":
            self._wrong("fence.epoch", line, f"epoch {speaker.epoch}, which speaks", f"an order of epoch {entry.epoch}")

    def _exit(self, line: Line, entry: OrderWritten, position: PositionFold | None) -> None:
        intent = entry.intent
        if position is None:
            self._wrong("journal.exit-without-position", line, "a position that was bought", intent.position_id)
            return
        policy = position.policy = position.policy or self._policies.get(entry.strategy_uid)
        if intent.breaks_policy is not None:
            position.breaks_policy = position.breaks_policy or intent.breaks_policy
            return
        if policy is None or policy.policy != "NoLoss" or not position.bought:
            return
        mend = _mend(policy)
        if intent.price is None:
            self._wrong("noloss.exit", line, "a limit at or above break-even", "a market order", mend)
        elif intent.price * entry.lot_size * position.bought <= position.paid:
            least = position.paid / (entry.lot_size * position.bought)
            found = f"a limit of {intent.price}"
            self._wrong("noloss.exit", line, f"a limit above {least:.10f}, break-even", found, mend)

    def _changed(self, line: Line, entry: OrderChanged) -> None:
        order = self.fold.orders.get(entry.client_order_id)
        if order is None:
            self._wrong(
                "journal.not-written-before",
                line,
                f"{entry.client_order_id} is written before anything becomes of it",
                f"it is {entry.status.value} without that",
            )
            return
        if line.owner != order.written.strategy_uid:
            self._wrong("journal.owner", line, order.written.strategy_uid, line.owner)
        before = order.status
        if before.is_final and entry.status is not before and entry.status is not OrderStatus.FILLED:
            self._wrong("journal.status", line, f"{before.value}, which is final", entry.status.value)
        if before is not OrderStatus.PENDING and entry.status is OrderStatus.DENIED:
            self._wrong("journal.status", line, f"{before.value} is not denied any more", entry.status.value)
        if entry.filled_lots != order.filled_lots:
            self._wrong("journal.filled-lots", line, f"{order.filled_lots} by its fills", str(entry.filled_lots))
        if (entry.status is OrderStatus.FILLED) is not (order.filled_lots >= order.written.intent.lots):
            lots = f"{order.filled_lots} of {order.written.intent.lots} lots"
            self._wrong("journal.status", line, f"what {lots} amount to", entry.status.value)
        order.status = entry.status
        order.projected = entry.status.value
        order.sent = order.sent or bool(entry.venue_order_id)

    def _filled(self, line: Line, entry: FillRecorded) -> None:
        fill = entry.fill
        if fill.fill_id in self.fold.fills:
            self._wrong("journal.fill-doubled", line, "each fill once", f"{fill.fill_id} again")
        self.fold.fills[fill.fill_id] = entry
        order = self.fold.orders.get(fill.client_order_id)
        if order is None:
            self._wrong("journal.fill-without-order", line, "an order", f"a fill of {fill.client_order_id}")
            return
        intent = order.written.intent
        expected = (intent.symbol, intent.side, intent.purpose, intent.position_id, order.written.lot_size)
        found = (fill.symbol, fill.side, entry.purpose, entry.position_id, entry.lot_size)
        if expected != found:
            self._wrong("journal.fill-at-odds", line, _words(expected), _words(found))
        if intent.price is not None:
            is_worse = fill.price > intent.price if intent.side == "buy" else fill.price < intent.price
            if is_worse:
                self._wrong("journal.fill-price", line, f"{intent.price} or better", str(fill.price))
        order.filled_lots += fill.lots
        value = fill.price * fill.lots * entry.lot_size
        order.filled_notional += value
        order.fees += fill.fee
        if not OrderStatus(order.projected).is_final:
            is_full = order.filled_lots >= intent.lots
            order.projected = (OrderStatus.FILLED if is_full else OrderStatus.PARTIALLY_FILLED).value
        if order.filled_lots > intent.lots:
            self._wrong("journal.overfilled", line, f"at most {intent.lots} lots", f"{order.filled_lots} lots")
        self._book(line, entry, order, value)

    def _book(self, line: Line, entry: FillRecorded, order: OrderFold, value: Decimal) -> None:
        fill = entry.fill
        position = self.fold.positions.get(entry.position_id)
        if position is None:
            position = self.fold.positions[entry.position_id] = PositionFold(
                strategy_uid=order.written.strategy_uid, strategy=order.written.strategy, symbol=fill.symbol
            )
        position.fees += fill.fee
        if fill.side == "buy":
            position.bought += fill.lots
            position.paid += value + fill.fee
        else:
            position.sold += fill.lots
            position.received += value - fill.fee
            if position.sold > position.bought:
                self._wrong("journal.oversold", line, f"{position.bought} lots to sell", f"{position.sold} are sold")

    def _session(self, line: Line, entry: SessionChanged) -> None:
        speaker = self._speakers.setdefault(entry.strategy_uid, _Speaker())
        if entry.state == "superseded":
            speaker.superseded.add(entry.instance)
        if entry.state != "opened":
            return
        if entry.instance in speaker.superseded:
            self._wrong("fence.superseded", line, f"{entry.instance} is refused for good", "it has a session again")
        if entry.epoch < speaker.epoch:
            self._wrong("fence.epoch", line, f"epoch {speaker.epoch} or newer", f"a session of epoch {entry.epoch}")
        if speaker.instance and entry.instance != speaker.instance and speaker.instance not in speaker.superseded:
            self._wrong(
                "fence.two-instances", line, f"{speaker.instance} is superseded first", f"{entry.instance} joins it"
            )
        speaker.epoch, speaker.instance = entry.epoch, entry.instance

    def _end(self, position_id: str, position: PositionFold) -> None:
        result, policy = position.received - position.paid, position.policy
        if position.bought != position.sold or policy is None or policy.policy != "NoLoss" or result >= 0:
            return
        place = f"{self._broker}/journal position {position_id} of {position.strategy}"
        if position.breaks_policy is None:
            self.found.append(
                Difference(
                    kind="noloss.loss",
                    place=place,
                    expected="no loss: policy NoLoss, and no limit broke it",
                    found=f"a loss of {-result}",
                    mend=_mend(policy),
                )
            )
        else:
            self.found.append(
                Difference(
                    kind="noloss.broken",
                    severity="note",
                    place=place,
                    expected="NoLoss, unless a limit that the user wrote breaks it",
                    found=f"{position.breaks_policy} closed it with a loss of {-result}",
                )
            )


def _wrong(  # noqa: PLR0917 (one sentence's parts)
    kind: str, broker: str, line: Line, expected: str, found: str, mend: str
) -> Difference:
    return Difference(
        kind=kind, place=f"{broker}/journal entry {line.sequence}", expected=expected, found=found, mend=mend
    )


def _mend(policy: Policy) -> str:
    return _ASSUMED if policy.assumed else _REPORT


def _words(values: tuple[object, ...]) -> str:
    return " ".join(str(value) for value in values)
