"""The engine: a deterministic state machine. Ticks, clock and reports in, intents out.

It does no I/O, reads no clock and draws no random number: the same inputs give the same outputs, byte for byte,
live, on paper and in a replay. Its clock is the stream's: the latest of ticks and clock advances.

What waits for a market time (a held report, a bar's end, a timer) happens at the first tick at or after it, or at
the first whole second, whichever the stream reaches first. A clock that jumps is stepped through those seconds,
so that one jump equals every second told alone. At one moment reports come first, then timers, then bars.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from christmas.execution.config import CapitalConfig, EngineConfig, ExitConfig
from christmas.execution.entries import (
    EntrySituation,
    decide_entry,
    entry_price,
    entry_withdrawal,
    patience_us,
)
from christmas.execution.exits import (
    ExitDecision,
    Holding,
    Market,
    decide_exit,
    exceeds_drawdown,
    no_loss_price,
    retry_us,
)
from christmas.execution.explanation import Progress, explain, position_status
from christmas.execution.highs import Highs
from christmas.execution.order import CancelIntent, OrderIntent, OrderReport
from christmas.execution.order_ids import OrderIds
from christmas.execution.positions import PositionBook, TrackedOrder, TrackedPosition
from christmas.execution.protocol import KnownOrder, SignalNote
from christmas.execution.schedule import Schedule
from christmas.execution.sizing import capital_left, is_tradable
from christmas.execution.strategies.base import PositionView, Signal, Strategy
from christmas.market.bar import Bar
from christmas.market.bars import BarBuilder
from christmas.market.instrument import Instrument
from christmas.market.tick import MICROSECONDS_PER_SECOND, Tick
from christmas.market.trade_order import is_after
from christmas.telemetry.status import RuntimeStatus

__all__ = ["CapitalConfig", "Engine", "EngineConfig", "ExitConfig", "Output"]

Output = OrderIntent | CancelIntent | SignalNote
CANCEL_RETRY_US: Final = 30_000_000
_CLOSED_MARKET_RETRY_US: Final = 60_000_000


class Trail(NamedTuple):
    """An open position, and since when (market time, µs) its prices count."""

    position_id: str
    symbol: str
    opened_us: int


class _Symbol:
    """One symbol's stream: its bars, its strategy, its last print."""

    __slots__ = (
        "absorbed",
        "bars",
        "entered_bar_us",
        "highs",
        "instrument",
        "last_bar_us",
        "last_tick",
        "price",
        "skipped_bar_us",
        "strategy",
    )

    def __init__(self, symbol: str, config: EngineConfig, strategy: Strategy) -> None:
        self.bars = BarBuilder(symbol, config.timeframe_us)
        self.instrument = config.instruments[symbol]
        self.strategy = strategy
        self.highs = Highs()
        self.last_tick: Tick | None = None
        self.price: Decimal | None = None
        self.absorbed = 0
        self.last_bar_us = -1
        self.entered_bar_us = -1
        self.skipped_bar_us = -1

    def see(self, tick: Tick) -> None:
        """The last price is that of the last print by (time, trade id), whatever the order of arrival."""
        if self.last_tick is None or is_after(tick, self.last_tick):
            self.last_tick = tick
            self.price = tick.price


class Engine:
    """Drives one strategy, with one `Strategy` instance for each symbol.

    A strategy's own error (`StrategyError`) comes out of whatever method was called; the engine is then not to be
    used any more.
    """

    def __init__(self, config: EngineConfig, strategies: Mapping[str, Strategy]) -> None:
        """Binds the strategies. Raises ValueError when a symbol has none."""
        missing = [symbol for symbol in config.symbols if symbol not in strategies]
        if missing:
            raise ValueError(f"no strategy instance for {', '.join(missing)}")
        self._config = config
        self._symbols = {symbol: _Symbol(symbol, config, strategies[symbol]) for symbol in config.symbols}
        self._book = PositionBook(config.instruments)
        self._ids = OrderIds(config.strategy_uid, config.timeframe_us)
        self._schedule = Schedule()
        self._clock_us = 0
        self._output: list[Output] = []
        self._is_restored = False
        self._halted: str | None = None
        self._signals_skipped = 0
        self._last_skip = ""
        for symbol, stream in self._symbols.items():
            stream.strategy.bind(symbol, stream.instrument, _views_of(self._book, symbol))

    # --- at the start ------------------------------------------------------------------------------

    def restore(
        self,
        orders: Sequence[KnownOrder],
        clock_us: int,
        realised_pnl: Decimal = Decimal(0),
        *,
        closed_trades: int = 0,
        winning_trades: int = 0,
        fees: Decimal = Decimal(0),
        last_report_sequence: int = 0,
    ) -> None:
        """Go on from what the journal holds (`Welcome`): once, before anything else.

        ``realised_pnl``, the counts and ``fees`` are of all closed positions, those among ``orders`` included.
        Reports up to ``last_report_sequence`` about orders that are not given are taken as known. Exits that are
        missing are decided here, at ``clock_us``; under StopLoss and Trailing once a price is known. What had led
        to no order is not in the journal and is decided anew: a stop from the price of then, an exit rule when it
        fires again.
        """
        self._clock_us = clock_us
        self._is_restored = True
        for known in orders:
            intent = known.intent
            self._ids.know(intent.client_order_id)
            stream = self._symbols.get(intent.symbol)
            if stream is not None and intent.purpose == "entry":
                stream.entered_bar_us = max(stream.entered_bar_us, self._bar_us(intent.decided_us))
        self._book.restore(
            [known for known in orders if known.intent.symbol in self._symbols],
            clock_us=clock_us,
            realised_pnl=realised_pnl,
            closed_trades=closed_trades,
            winning_trades=winning_trades,
            fees=fees,
            last_report_sequence=last_report_sequence,
        )
        for position in list(self._book.open.values()):
            reasons = [order.intent.reason for order in position.exits if order.intent.type == "limit"]
            if self._config.exit.policy == "NoLoss" and self._strategy_of(position).has_exit and reasons:
                position.rule_reason = reasons[-1].removeprefix("NoLoss: ")
            self._set_timers(position)
            for known in orders:
                if known.intent.position_id == position.trip.position_id and known.intent.side == "buy":
                    for fill in known.fills:
                        self.recall_best_price(position.trip.position_id, fill.price)
            self._review(position)

    def trails(self) -> list[Trail]:
        """The open positions whose exit depends on the best price since they were opened."""
        if self._config.exit.policy != "Trailing":
            return []
        trips = (position.trip for position in self._book.open.values())
        return [Trail(trip.position_id, trip.symbol, trip.opened_us) for trip in trips if trip.entry_lots]

    def recall_best_price(self, position_id: str, price: Decimal) -> None:
        """A position has seen this price since it was opened."""
        position = self._book.open.get(position_id)
        if position is not None:
            position.best_price = max(position.best_price or price, price)

    def warm_up(self, bars: Sequence[Bar]) -> None:
        """Show history to the strategies, oldest bar first; no signal comes of it."""
        for bar in bars:
            stream = self._symbols.get(bar.symbol)
            if stream is None:
                continue
            self._absorb(stream, bar)
            if stream.last_tick is None:
                stream.price = bar.close
            for position in self._book.of_symbol(bar.symbol):
                if position.trip.entry_lots and bar.start_us >= position.trip.opened_us:
                    position.best_price = max(position.best_price or bar.high, bar.high)

    def absorb_tick(self, tick: Tick) -> None:
        """Show a print of the bar that had begun when the engine was restored; no signal comes of it."""
        stream = self._symbols.get(tick.symbol)
        if stream is None or tick.late:
            return
        for bar in stream.bars.add(tick):
            self._absorb(stream, bar)
        stream.see(tick)
        self._raise_best_prices(tick)

    def _absorb(self, stream: _Symbol, bar: Bar) -> None:
        stream.strategy.absorb_bar(bar)
        stream.absorbed += 1
        stream.last_bar_us = bar.start_us

    # --- events in ---------------------------------------------------------------------------------

    def on_tick(self, tick: Tick) -> None:
        """A print of the stream. Late ones, and those of other symbols, are ignored."""
        stream = self._symbols.get(tick.symbol)
        if stream is None or tick.late:
            return
        self._advance(tick.time_us)
        for bar in stream.bars.add(tick):
            self._on_bar(stream, bar)
        stream.see(tick)
        if self._config.exit.acts_on_ticks:
            self._watch(tick)
        self._raise_best_prices(tick)
        self._on_signals(stream, stream.strategy.handle_tick(tick))

    def on_clock(self, time_us: int) -> None:
        """The market's clock is at ``time_us``; going back is ignored."""
        self._advance(time_us)

    def on_report(self, report: OrderReport, intent: OrderIntent | None = None) -> None:
        """News of an order. Held until the clock is at its ``effective_us``; twice or out of order is harmless.

        ``intent``: of an order that the gateway placed itself (``flatten``). Its lots are not offered beside it.
        """
        if intent is not None:
            self._book.adopt(intent)
        if report.effective_us <= self._clock_us:
            self._apply(report)
        else:
            self._schedule.hold(report)

    def on_trading_state(self, enabled: bool, reason: str = "") -> None:
        """Whether the gateway takes entries. Exits go on: they only lower the risk."""
        self._halted = None if enabled else (reason or "the gateway takes no entries")

    # --- what comes out ----------------------------------------------------------------------------

    def take_output(self) -> list[Output]:
        """What was decided since the last call, in order."""
        output, self._output = self._output, []
        return output

    def next_wake_us(self) -> int | None:
        """The earliest market time at which something other than a bar's end is due; None: nothing."""
        return self._schedule.next_due_us

    @property
    def clock_us(self) -> int:
        return self._clock_us

    @property
    def acts_on_ticks(self) -> bool:
        """Whether a single print can lead to an intent."""
        return self._config.exit.acts_on_ticks or any(
            stream.strategy.acts_on_ticks for stream in self._symbols.values()
        )

    @property
    def is_flat(self) -> bool:
        """Nothing is held and no order is open."""
        return not self._book.open

    def status(self, epoch: int = 0) -> RuntimeStatus:
        """What it does, or why it does nothing."""
        prices = self._prices()
        rules = tuple(rule for stream in self._symbols.values() for rule in stream.strategy.explain())
        positions = tuple(self._book.open.values())
        warm_up = {
            symbol: (stream.absorbed, stream.strategy.warm_up_bars)
            for symbol, stream in self._symbols.items()
            if not stream.strategy.is_warm
        }
        progress = Progress(
            is_restored=self._is_restored,
            halted=self._halted,
            warm_up=warm_up,
            rules=rules,
            positions=positions,
            capital_left=self._capital_left(),
            last_skip=self._last_skip,
        )
        state, why = explain(self._config, progress)
        shown = (position_status(position, self._config, prices) for position in positions)
        return RuntimeStatus(
            strategy=self._config.strategy_name,
            epoch=epoch,
            time_us=self._clock_us,
            state=state,
            why=why,
            rules=rules,
            positions=tuple(position for position in shown if position is not None),
            closed_trades=self._book.closed_trades,
            winning_trades=self._book.winning_trades,
            realised_pnl=self._book.realised_pnl,
            unrealised_pnl=self._book.unrealised(prices),
            fees=self._book.fees,
            signals_skipped=self._signals_skipped,
            open_orders=self._book.open_orders,
            last_price=prices,
        )

    # --- time --------------------------------------------------------------------------------------

    def _advance(self, time_us: int) -> None:
        """Step through the whole seconds at which something is due, then to ``time_us``."""
        while (due_us := self._next_due_us()) is not None:
            second = MICROSECONDS_PER_SECOND
            boundary_us = max(-(-due_us // second), self._clock_us // second + 1) * second
            if boundary_us > time_us:
                break
            self._step(boundary_us)
        if time_us > self._clock_us:
            self._step(time_us)

    def _next_due_us(self) -> int | None:
        due_us = self._schedule.next_due_us
        for stream in self._symbols.values():
            end_us = stream.bars.pending_end_us
            if end_us is not None and (due_us is None or end_us < due_us):
                due_us = end_us
        return due_us

    def _step(self, time_us: int) -> None:
        self._clock_us = time_us
        while (report := self._schedule.next_report(time_us)) is not None:
            self._apply(report)
        while (position_id := self._schedule.next_timer(time_us)) is not None:
            position = self._book.open.get(position_id)
            if position is not None:
                self._review(position)
        for stream in self._symbols.values():
            for bar in stream.bars.advance(time_us):
                self._on_bar(stream, bar)

    def _bar_us(self, time_us: int) -> int:
        return time_us - time_us % self._config.timeframe_us

    # --- reports -----------------------------------------------------------------------------------

    def _apply(self, report: OrderReport) -> None:
        for applied in self._book.apply(report):
            position, fill = applied.position, applied.fill
            if fill is not None:
                if position.trip.entry_lots == fill.lots and fill.side == "buy":
                    self._set_timers(position)
                stream = self._symbols[position.trip.symbol]
                if fill.side == "buy":
                    # Prints between the fill and its report count too: the best price is a function of the market.
                    seen = stream.highs.since(position.trip.opened_us)
                    self.recall_best_price(position.trip.position_id, max(fill.price, seen or fill.price))
                self._on_signals(stream, stream.strategy.handle_fill(fill))
            self._review(position)

    def _set_timers(self, position: TrackedPosition) -> None:
        trip, config = position.trip, self._config
        if position.entry.is_live:
            due_us = patience_us(position.entry.intent.decided_us, config.timeframe_us)
            self._schedule.wake(due_us, trip.position_id)
        if trip.entry_lots and config.exit.maximum_age_us is not None:
            self._schedule.wake(trip.opened_us + config.exit.maximum_age_us, trip.position_id)
        for order in (position.entry, *position.exits):
            if order.is_live and order.cancel_asked_us is not None:
                self._schedule.wake(order.cancel_asked_us + CANCEL_RETRY_US, trip.position_id)

    # --- bars and signals --------------------------------------------------------------------------

    def _on_bar(self, stream: _Symbol, bar: Bar) -> None:
        stream.absorbed += 1
        stream.last_bar_us = bar.start_us
        self._on_signals(stream, stream.strategy.handle_bar(bar))
        for position in list(self._book.of_symbol(bar.symbol)):
            if position.entry.is_live:
                self._review(position)

    def _on_signals(self, stream: _Symbol, signals: Sequence[Signal]) -> None:
        for signal in signals:
            if signal.kind == "exit":
                self._on_exit_signal(signal)
        for signal in signals:
            if signal.kind == "entry":
                self._on_entry_signal(stream, signal)

    def _on_exit_signal(self, signal: Signal) -> None:
        """The rule fired for one position, or for all of the symbol; a rule that goes on holding says nothing new."""
        named = [
            position
            for position in self._book.of_symbol(signal.symbol)
            if signal.position_id in {None, position.trip.position_id} and position.rule_reason is None
        ]
        if not named:
            return
        self._note(signal, taken=True, reason=signal.reason)
        for position in named:
            position.rule_reason = signal.reason
            self._review(position)

    def _on_entry_signal(self, stream: _Symbol, signal: Signal) -> None:
        bar_us = self._bar_us(self._clock_us)
        if stream.entered_bar_us == bar_us:
            return
        situation = EntrySituation(
            clock_us=self._clock_us,
            instrument=stream.instrument,
            last_price=stream.price,
            capital=self._config.capital,
            capital_left=self._capital_left(),
            open_positions=len(self._book.open),
            is_entry_pending=any(position.entry.is_live for position in self._book.of_symbol(signal.symbol)),
            halted=self._halted,
        )
        size = decide_entry(signal, situation)
        price = entry_price(signal, situation)
        if not size.lots or price is None:
            self._last_skip = size.refusal
            if stream.skipped_bar_us != bar_us:
                stream.skipped_bar_us = bar_us
                self._signals_skipped += 1
                self._note(signal, taken=False, reason=size.refusal)
            return
        stream.entered_bar_us = bar_us
        self._last_skip = ""
        self._note(signal, taken=True, reason=signal.reason)
        self._enter(signal, price, size.lots)

    def _note(self, signal: Signal, *, taken: bool, reason: str) -> None:
        self._output.append(
            SignalNote(time_us=self._clock_us, symbol=signal.symbol, signal=signal.kind, taken=taken, reason=reason)
        )

    def _capital_left(self) -> Decimal:
        return capital_left(self._config.capital, self._book.realised_pnl, self._book.locked)

    # --- orders ------------------------------------------------------------------------------------

    def _enter(self, signal: Signal, price: Decimal, lots: int) -> None:
        order_id = self._ids.next(self._clock_us, "buy")
        intent = OrderIntent(
            client_order_id=order_id,
            symbol=signal.symbol,
            side="buy",
            type="limit",
            lots=lots,
            price=price,
            purpose="entry",
            position_id=order_id,
            decided_us=self._clock_us,
            reason=signal.reason,
        )
        self._output.append(intent)
        self._set_timers(self._book.add_entry(TrackedOrder(intent=intent)))

    def _watch(self, tick: Tick) -> None:
        """Exit policies that act on single prints."""
        is_lost = exceeds_drawdown(
            self._book.unrealised(self._prices()), self._config.capital.amount, self._config.exit
        )
        positions = list(self._book.open.values()) if is_lost else list(self._book.of_symbol(tick.symbol))
        for position in positions:
            is_own = position.trip.symbol == tick.symbol
            self._review(position, low=tick.low if is_own else None, is_drawdown_exceeded=is_lost)

    def _raise_best_prices(self, tick: Tick) -> None:
        """After the policy was asked: nobody knows whether a bar's high came before its low."""
        high = tick.price if tick.high is None else tick.high
        self._symbols[tick.symbol].highs.add(tick.time_us, high)
        for position in self._book.of_symbol(tick.symbol):
            if position.trip.entry_lots and tick.time_us >= position.trip.opened_us:
                position.best_price = max(position.best_price or high, high)

    def _review(
        self, position: TrackedPosition, *, low: Decimal | None = None, is_drawdown_exceeded: bool = False
    ) -> None:
        """Bring a position's orders in line with what is decided about it. Asked again, it changes nothing."""
        if position.is_over:
            return
        config, stream = self._config, self._symbols[position.trip.symbol]
        holding = Holding(
            trip=position.trip,
            best_price=position.best_price,
            rule_reason=position.rule_reason,
            has_exit_rule=stream.strategy.has_exit,
            decided=position.decided,
        )
        market = Market(last=stream.price, low=low, is_drawdown_exceeded=is_drawdown_exceeded)
        decision = decide_exit(holding, market, self._clock_us, config.exit)
        if decision.action == "market" and position.decided is None:
            position.decided = decision
        self._withdraw_entry(position, stream)
        if decision.action == "hold":
            return
        if decision.action == "market":
            for order in position.live_exits:
                if order.intent.type == "limit":
                    self._cancel(position, order, decision.reason)
        self._offer(position, stream, decision)

    def _withdraw_entry(self, position: TrackedPosition, stream: _Symbol) -> None:
        reason = entry_withdrawal(
            position,
            clock_us=self._clock_us,
            last_bar_us=stream.last_bar_us,
            timeframe_us=self._config.timeframe_us,
            instrument=stream.instrument,
            exit_price=self._exit_price(position, position.trip.lots, stream),
        )
        if reason is not None:
            self._cancel(position, position.entry, reason)

    def _exit_price(self, position: TrackedPosition, lots: int, stream: _Symbol) -> Decimal:
        """What lots held would be offered at, for the venue's minimums."""
        if position.decided is None and self._config.exit.policy == "NoLoss" and lots > 0:
            return self._no_loss_price(position, lots, stream.instrument)
        return stream.price if stream.price is not None else (position.entry.intent.price or Decimal(0))

    def _no_loss_price(self, position: TrackedPosition, lots: int, instrument: Instrument) -> Decimal:
        return no_loss_price(
            position.trip,
            lots,
            position.offers,
            instrument=instrument,
            fees=self._config.fees,
            minimum_profit=self._config.exit.minimum_profit,
        )

    def _offer(self, position: TrackedPosition, stream: _Symbol, decision: ExitDecision) -> None:
        """Place an exit order for all lots that none covers yet, as soon as that is possible."""
        position.note = ""
        lots = position.sellable_lots
        if not lots:
            return
        if self._book.has_foreign_orders:
            position.note = "an order from outside the strategy is open"
            return
        if self._waits(position, stream, decision):
            return
        instrument = stream.instrument
        price = self._no_loss_price(position, lots, instrument) if decision.action == "no_loss" else None
        shown = price if price is not None else self._exit_price(position, lots, stream)
        if instrument.maximum_lots is not None:
            lots = min(lots, instrument.maximum_lots)
        if not is_tradable(instrument, shown, lots):
            self._merge(position, stream, lots)
            return
        intent = OrderIntent(
            client_order_id=self._ids.next(self._clock_us, "sell"),
            symbol=position.trip.symbol,
            side="sell",
            type="limit" if price is not None else "market",
            lots=lots,
            price=price,
            purpose="exit",
            position_id=position.trip.position_id,
            decided_us=self._clock_us,
            reason=decision.reason,
            breaks_policy=decision.breaks_policy,
        )
        self._output.append(intent)
        self._book.add_exit(position, TrackedOrder(intent=intent))

    def _waits(self, position: TrackedPosition, stream: _Symbol, decision: ExitDecision) -> bool:
        """Whether the next exit order has to wait for its time; sets the timer."""
        timeframe_us, failures = self._config.timeframe_us, position.failures
        due_us = 0
        if failures:
            last = position.exits[-1]
            due_us = retry_us(failures, last.intent.decided_us, timeframe_us)
            position.note = f"exit {last.status} ({last.reason or 'no reason given'}), {failures} in a row; tried again"
        elif decision.action == "no_loss" and position.entry.is_live and position.live_exits:
            # While the entry goes on filling, one exit order a bar: many small parts are not as many orders.
            due_us = self._bar_us(position.exits[-1].intent.decided_us) + timeframe_us
        hours = stream.instrument.trading_hours
        if due_us <= self._clock_us and hours is not None and not hours.is_open(self._clock_us):
            due_us = self._bar_us(self._clock_us) + max(timeframe_us, _CLOSED_MARKET_RETRY_US)
            position.note = "the exit waits for the market to open"
        if due_us <= self._clock_us:
            position.note = ""
            return False
        self._schedule.wake(due_us, position.trip.position_id)
        return True

    def _merge(self, position: TrackedPosition, stream: _Symbol, lots: int) -> None:
        """Lots too few for an order of their own join an open exit: it is withdrawn, then all are offered together."""
        instrument = stream.instrument
        if position.entry.is_live:
            position.note = f"{lots} lots are too few to be sold; the entry goes on"
            return
        for order in reversed(position.live_exits):
            price = order.intent.price
            if order.cancel_asked_us is not None:
                return
            if price is not None and is_tradable(instrument, price, lots + order.open_lots):
                self._cancel(position, order, f"joins {lots} lots that are too few for an order of their own")
                return
        position.note = f"{lots} lots are below the venue's minimum and cannot be sold (dust)"

    def _cancel(self, position: TrackedPosition, order: TrackedOrder, reason: str) -> None:
        """Ask for it once, and again when nothing has come of it."""
        if order.status.is_final:
            return
        asked_us = order.cancel_asked_us
        if asked_us is not None and self._clock_us < asked_us + CANCEL_RETRY_US:
            return
        order.cancel_asked_us = self._clock_us
        self._output.append(
            CancelIntent(client_order_id=order.intent.client_order_id, decided_us=self._clock_us, reason=reason)
        )
        self._schedule.wake(self._clock_us + CANCEL_RETRY_US, position.trip.position_id)

    # --- small things ------------------------------------------------------------------------------

    def _strategy_of(self, position: TrackedPosition) -> Strategy:
        return self._symbols[position.trip.symbol].strategy

    def _prices(self) -> dict[str, Decimal]:
        return {symbol: stream.price for symbol, stream in self._symbols.items() if stream.price is not None}


def _views_of(book: PositionBook, symbol: str) -> Callable[[], Sequence[PositionView]]:
    return lambda: book.views(symbol)
