"""A small venue and a market for tests of the engine: fills upon prints, in parts, with fees, latency and refusals.

All chance comes from the seed and the order's id, so a run may be repeated, restarted or cut anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random

import msgspec

from christmas.execution.accounting import PositionFill, RoundTrip, round_trips
from christmas.execution.engine import CapitalConfig, Engine, EngineConfig, ExitConfig
from christmas.execution.order import CancelIntent, Fill, OrderIntent, OrderReport, OrderStatus
from christmas.execution.protocol import Fees, KnownOrder, SignalNote
from christmas.execution.strategies.base import Strategy
from christmas.market.bar import Bar
from christmas.market.bars import bars_from_ticks
from christmas.market.instrument import Instrument
from christmas.market.tick import Tick

SECOND = 1_000_000
START_US = 1_700_000_000 * SECOND
SYMBOL = "BTC/USDT"
INSTRUMENT = Instrument(
    symbol=SYMBOL,
    price_increment=Decimal("0.01"),
    lot_size=Decimal("0.001"),
    minimum_notional=Decimal(5),
    minimum_lots=2,
)
FEES = Fees(maker=Decimal("0.0002"), taker=Decimal("0.0005"))
CAPITAL = CapitalConfig(amount=Decimal(1000), per_trade=Decimal(100), max_positions=4)


class DipBuyer(Strategy):
    """Buys when a bar closes below the one before."""

    def on_bar(self, bar: Bar) -> None:
        if len(self.history) > 1 and bar.close < self.history[-2]:
            self.buy(reason="dip")


class DipTrader(DipBuyer):
    """And sells when a bar closes above the one before."""

    def on_bar(self, bar: Bar) -> None:
        super().on_bar(bar)
        if len(self.history) > 1 and bar.close > self.history[-2]:
            self.close(reason="rise")


class Never(Strategy):
    """Tests ask for what they want through `ask`."""


def config(**changes: object) -> EngineConfig:
    values: dict[str, object] = {
        "strategy_name": "test",
        "strategy_uid": "uid-1",
        "symbols": (SYMBOL,),
        "instruments": {SYMBOL: INSTRUMENT},
        "timeframe_us": 5 * SECOND,
        "capital": CAPITAL,
        "exit": ExitConfig(),
        "fees": FEES,
    }
    return EngineConfig(**(values | changes))  # type: ignore[arg-type]


def random_market(seed: int, count: int, *, volatility: int = 30, start: int = 2_000_00) -> list[Tick]:
    """A random walk in increments, with pauses, bursts and prints that share a moment."""
    random = Random(seed)
    ticks, time_us, price = [], START_US, start
    for number in range(count):
        pause_us = 7_000_000 if number % 17 == 0 else 90_000
        time_us += random.choice((0, 1_000, 40_000, 200_000, 700_000, 1_300_000, pause_us))
        price = max(1_000, price + random.randint(-volatility, volatility) * random.choice((1, 1, 5)))
        ticks.append(
            Tick(
                time_us=time_us,
                symbol=SYMBOL,
                trade_id=str(number + 1),
                price=Decimal(price) / 100,
                lots=random.choice((1, 3, 20, 80, 300)),
                taker_side=random.choice(("buy", "sell")),
            )
        )
    return ticks


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How the venue behaves."""

    seed: int = 1
    latency_us: int = 50_000
    participation: float = 0.25
    reject: float = 0.0
    expire: float = 0.0
    fees: Fees = FEES


class _Resting(msgspec.Struct, kw_only=True):
    intent: OrderIntent
    effective_us: int
    filled: int = 0
    fills: int = 0
    status: OrderStatus = OrderStatus.PENDING
    cancel_us: int | None = None


class OversoldError(AssertionError):
    """An exit would sell what the position does not hold, or is offered already."""


class Venue:
    """Matches when it is shown a tick; answers with reports that count from ``latency_us`` later."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self.orders: dict[str, _Resting] = {}
        self.fills: list[PositionFill] = []
        self._sequence = 0

    def submit(self, intent: OrderIntent) -> None:
        known = self.orders.get(intent.client_order_id)
        if known is not None:
            assert known.intent == intent, "an order id was used for another order"
            return
        if intent.purpose == "exit":
            self._check_not_oversold(intent)
        self.orders[intent.client_order_id] = _Resting(
            intent=intent, effective_us=intent.decided_us + self._terms.latency_us
        )

    def cancel(self, intent: CancelIntent) -> None:
        order = self.orders[intent.client_order_id]
        if order.cancel_us is None:
            order.cancel_us = intent.decided_us + self._terms.latency_us

    def _check_not_oversold(self, intent: OrderIntent) -> None:
        held = offered = 0
        for order in self.orders.values():
            if order.intent.position_id != intent.position_id:
                continue
            if order.intent.purpose == "entry":
                held += order.filled
            else:
                held -= order.filled
                offered += 0 if order.status.is_final else order.intent.lots - order.filled
        if intent.lots > held - offered:
            raise OversoldError(f"{intent.lots} lots of {held} held, {offered} offered")

    def on_tick(self, tick: Tick) -> list[OrderReport]:
        reports: list[OrderReport] = []
        for order in list(self.orders.values()):
            if order.status.is_final or order.effective_us > tick.time_us:
                continue
            if order.status is OrderStatus.PENDING:
                refused = self._chance(order, "reject") < self._terms.reject
                reports.append(self._report(order, OrderStatus.REJECTED if refused else OrderStatus.ACCEPTED, tick))
                if refused:
                    continue
            if order.cancel_us is not None and order.cancel_us <= tick.time_us:
                reports.append(self._report(order, OrderStatus.CANCELLED, tick))
            elif self._crosses(order.intent, tick):
                reports += self._fill(order, tick)
        return reports

    def _crosses(self, intent: OrderIntent, tick: Tick) -> bool:
        if intent.price is None:
            return True
        return tick.price <= intent.price if intent.side == "buy" else tick.price >= intent.price

    def _fill(self, order: _Resting, tick: Tick) -> list[OrderReport]:
        intent, terms = order.intent, self._terms
        lots = min(intent.lots - order.filled, max(1, int(tick.lots * terms.participation)))
        is_maker = self._chance(order, f"maker {order.fills}") < 0.5
        price = tick.price if intent.price is None or not is_maker else intent.price
        rate = terms.fees.maker if is_maker else terms.fees.taker
        order.filled += lots
        order.fills += 1
        fill = Fill(
            fill_id=f"{intent.client_order_id}-{order.fills}",
            client_order_id=intent.client_order_id,
            symbol=intent.symbol,
            side=intent.side,
            price=price,
            lots=lots,
            fee=price * INSTRUMENT.lot_size * lots * rate,
            liquidity="maker" if is_maker else "taker",
            time_us=tick.time_us,
        )
        self.fills.append(
            PositionFill(
                position_id=intent.position_id, purpose=intent.purpose, lot_size=INSTRUMENT.lot_size, fill=fill
            )
        )
        whole = order.filled == intent.lots
        reports = [self._report(order, OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED, tick, fill)]
        if not whole and self._chance(order, f"expire {order.fills}") < terms.expire:
            reports.append(self._report(order, OrderStatus.EXPIRED, tick))
        return reports

    def _report(self, order: _Resting, status: OrderStatus, tick: Tick, fill: Fill | None = None) -> OrderReport:
        order.status = status
        self._sequence += 1
        return OrderReport(
            sequence=self._sequence,
            client_order_id=order.intent.client_order_id,
            status=status,
            filled_lots=order.filled,
            leaves_lots=0 if status.is_final else order.intent.lots - order.filled,
            fill=fill,
            reason="no" if status is OrderStatus.REJECTED else "",
            time_us=tick.time_us,
            effective_us=tick.time_us + self._terms.latency_us,
        )

    def _chance(self, order: _Resting, what: str) -> float:
        return Random(f"{self._terms.seed} {order.intent.client_order_id} {what}").random()


Factory = Callable[[], Engine]
Delivery = Callable[[list[OrderReport]], list[OrderReport]]


class Session:
    """What a gateway does in lock-step: clock, tick, reports; and what its journal would know at a restart."""

    def __init__(self, factory: Factory, venue: Venue, *, every_second: bool = False, mangle: Delivery | None = None):
        self._factory = factory
        self._venue = venue
        self._every_second = every_second
        self._mangle = mangle
        self.engine = factory()
        self.engine.restore((), START_US - SECOND)
        self.intents: list[OrderIntent | CancelIntent] = []
        self.notes: list[SignalNote] = []
        self._reports: list[OrderReport] = []
        self._shown: list[Tick] = []

    def run(
        self, ticks: Sequence[Tick], restarts: frozenset[int] = frozenset(), *, only_when_journaled: bool = False
    ) -> bytes:
        """All intents as JSON. ``only_when_journaled``: no restart while a rule has fired and led to no order yet."""
        for number, tick in enumerate(ticks):
            if number in restarts and not (only_when_journaled and self._has_unwritten_decision()):
                self.restart()
            second = tick.time_us // SECOND * SECOND
            if self._every_second:
                for moment in range(self.engine.clock_us // SECOND * SECOND + SECOND, second + 1, SECOND):
                    self.engine.on_clock(moment)
                    self._collect()
            self.engine.on_clock(second)
            self._collect()
            reports = self._venue.on_tick(tick)
            self.engine.on_tick(tick)
            self._shown.append(tick)
            self._collect()
            self._reports += reports
            for report in self._mangle(reports) if self._mangle else reports:
                self.engine.on_report(report)
            self._collect()
        return msgspec.json.encode(self.intents)

    def restart(self) -> None:
        """A new engine from the journal; what the old one had not been allowed to know yet is told again."""
        clock_us = self.engine.clock_us
        known, later = [], [report for report in self._reports if report.effective_us > clock_us]
        cancelled = {intent.client_order_id for intent in self.intents if isinstance(intent, CancelIntent)}
        for intent in self.intents:
            if isinstance(intent, CancelIntent):
                continue
            about = [
                report
                for report in self._reports
                if report.client_order_id == intent.client_order_id and report.effective_us <= clock_us
            ]
            known.append(
                KnownOrder(
                    intent=intent,
                    status=about[-1].status if about else OrderStatus.PENDING,
                    fills=tuple(report.fill for report in about if report.fill is not None),
                    cancel_requested=intent.client_order_id in cancelled,
                )
            )
        realised = sum(
            (trip.cash_flow for trip in _known_trips(known) if trip.is_closed),
            Decimal(0),
        )
        engine = self.engine = self._factory()
        engine.restore(known, clock_us, realised)
        bars_end_us = clock_us - clock_us % (5 * SECOND)
        engine.warm_up(bars_from_ticks(self._shown, 5 * SECOND, until_us=bars_end_us))
        for tick in self._shown:
            if tick.time_us >= bars_end_us:
                engine.absorb_tick(tick)
        for report in later:
            engine.on_report(report)
        self._collect()

    def _has_unwritten_decision(self) -> bool:
        return any(position.rule_reason and not position.exits for position in self.engine._book.open.values())

    def _collect(self) -> None:
        for output in self.engine.take_output():
            if isinstance(output, OrderIntent):
                self.intents.append(output)
                self._venue.submit(output)
            elif isinstance(output, CancelIntent):
                self.intents.append(output)
                self._venue.cancel(output)
            else:
                self.notes.append(output)


def _known_trips(known: Sequence[KnownOrder]) -> list[RoundTrip]:
    return round_trips(
        PositionFill(
            position_id=order.intent.position_id,
            purpose=order.intent.purpose,
            lot_size=INSTRUMENT.lot_size,
            fill=fill,
        )
        for order in known
        for fill in order.fills
    )


def engine_of(strategy: Callable[[], Strategy], **changes: object) -> Engine:
    return Engine(config(**changes), {SYMBOL: strategy()})
