"""What the engine does with each event, one at a time."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from christmas.execution.config import CapitalConfig, ExitConfig
from christmas.execution.engine import Engine, EngineConfig
from christmas.execution.order import CancelIntent, Fill, OrderIntent, OrderReport, OrderStatus, client_order_id
from christmas.execution.protocol import KnownOrder, SignalNote
from christmas.execution.strategies.base import Strategy
from christmas.market.bar import Bar
from christmas.market.hours import TradingHours, TradingSession
from christmas.market.tick import Tick
from tests.unit.execution.venue import FEES, INSTRUMENT, SECOND, START_US, SYMBOL, config

BAR = 5 * SECOND
T = START_US


class Scripted(Strategy):
    """Does at each bar's end what the test has asked for."""

    has_exit = False

    def on_start(self) -> None:
        self.wishes: list[str] = []
        self.options: dict[str, object] = {}

    def on_bar(self, bar: Bar) -> None:
        for wish in self.wishes:
            if wish == "buy":
                self.buy(reason="asked", **self.options)  # type: ignore[arg-type]
            else:
                self.close(reason="asked")
        self.wishes = []


class ScriptedExit(Scripted):
    has_exit = True


class Desk:
    """An engine, and a gateway played by hand."""

    def __init__(self, strategy: type[Scripted] = Scripted, **changes: object) -> None:
        self.config: EngineConfig = config(**changes)
        self.kind = strategy
        self.strategy = strategy()
        self.engine = Engine(self.config, {SYMBOL: self.strategy})
        self.engine.restore((), T)
        self.now = T
        self.number = 0
        self.sequence = 0

    def tick(self, price: str, after_us: int = 0, **changes: object) -> list[OrderIntent | CancelIntent | SignalNote]:
        self.now += after_us
        self.number += 1
        tick = Tick(time_us=self.now, symbol=SYMBOL, trade_id=str(self.number), price=Decimal(price), lots=10)
        self.engine.on_tick(msgspec.structs.replace(tick, **changes))
        return self.engine.take_output()

    def clock(self, time_us: int) -> list[OrderIntent | CancelIntent | SignalNote]:
        self.now = max(self.now, time_us)
        self.engine.on_clock(time_us)
        return self.engine.take_output()

    def next_bar(self) -> list[OrderIntent | CancelIntent | SignalNote]:
        return self.clock(self.now - self.now % BAR + BAR)

    def buy(self, price: str = "2000", **options: object) -> OrderIntent:
        """A print, the wish, and the bar's end."""
        self.tick(price)
        self.strategy.wishes, self.strategy.options = ["buy"], options
        _, intent = self.next_bar()
        assert isinstance(intent, OrderIntent)
        return intent

    def report(
        self,
        intent: OrderIntent,
        status: OrderStatus,
        *,
        lots: int = 0,
        total: int | None = None,
        price: str | None = None,
        effective_us: int = 0,
        reason: str = "",
    ) -> OrderReport:
        self.sequence += 1
        fill = None
        if lots:
            paid = Decimal(price) if price is not None else intent.price
            assert paid is not None
            fill = Fill(
                fill_id=f"f{self.sequence}",
                client_order_id=intent.client_order_id,
                symbol=SYMBOL,
                side=intent.side,
                price=paid,
                lots=lots,
                fee=paid * INSTRUMENT.lot_size * lots * FEES.maker,
                liquidity="maker",
                time_us=self.now,
            )
        filled = lots if total is None else total
        return OrderReport(
            sequence=self.sequence,
            client_order_id=intent.client_order_id,
            status=status,
            filled_lots=filled,
            leaves_lots=0 if status.is_final else intent.lots - filled,
            fill=fill,
            reason=reason,
            time_us=self.now,
            effective_us=effective_us,
        )

    def tell(self, *reports: OrderReport) -> list[OrderIntent | CancelIntent | SignalNote]:
        for report in reports:
            self.engine.on_report(report)
        return self.engine.take_output()

    def restarted(self, *orders: KnownOrder) -> Engine:
        engine = Engine(self.config, {SYMBOL: self.kind()})
        engine.restore(orders, self.engine.clock_us)
        return engine


def only_order(output: list[OrderIntent | CancelIntent | SignalNote]) -> OrderIntent:
    (intent,) = output
    assert isinstance(intent, OrderIntent)
    return intent


def held(desk: Desk, *, lots: int = 50) -> tuple[OrderIntent, list[OrderIntent | CancelIntent | SignalNote]]:
    entry = desk.buy()
    return entry, desk.tell(desk.report(entry, OrderStatus.FILLED, lots=lots))


def test_a_signal_becomes_a_limit_order_at_the_last_price() -> None:
    desk = Desk()
    desk.tick("2000.5")
    desk.tick("2001.004")
    desk.strategy.wishes = ["buy"]
    note, intent = desk.next_bar()
    assert note == SignalNote(time_us=T + BAR, symbol=SYMBOL, signal="entry", taken=True, reason="asked")
    order_id = client_order_id("uid-1", T + BAR, "buy", 0)
    assert intent == OrderIntent(
        client_order_id=order_id,
        symbol=SYMBOL,
        side="buy",
        type="limit",
        lots=49,
        price=Decimal("2001.00"),
        purpose="entry",
        position_id=order_id,
        decided_us=T + BAR,
        reason="asked",
    )


def test_a_strategy_s_own_limit_and_size_are_respected() -> None:
    intent = Desk().buy("2000", limit=Decimal("1990.009"), lots=7)
    assert (intent.price, intent.lots) == (Decimal("1990.00"), 7)


def test_signals_that_cannot_be_taken_are_counted_with_the_reason() -> None:
    desk = Desk(capital=CapitalConfig(amount=Decimal(100), per_trade=Decimal(100), max_positions=1))
    entry = desk.buy()
    for state, reason, expected in (
        (True, "", "still waiting"),
        (False, "by hand", "halted: by hand"),
    ):
        desk.engine.on_trading_state(state, reason)
        desk.tick("2000")
        desk.strategy.wishes = ["buy", "buy"]
        (note,) = desk.next_bar()
        assert isinstance(note, SignalNote)
        assert (note.taken, expected in note.reason) == (False, True)
    desk.engine.on_trading_state(True)
    desk.tell(desk.report(entry, OrderStatus.FILLED, lots=50))
    desk.tick("2000")
    desk.strategy.wishes = ["buy"]
    (note,) = desk.next_bar()
    assert isinstance(note, SignalNote)
    assert note.reason == "all 1 positions are used"
    assert desk.engine.status().signals_skipped == 3


def test_capital_in_positions_and_waiting_entries_is_not_spent_twice() -> None:
    desk = Desk(capital=CapitalConfig(amount=Decimal(130), per_trade=Decimal(100), max_positions=3))
    first = desk.buy()
    desk.tell(desk.report(first, OrderStatus.FILLED, lots=50))
    assert desk.buy("2000").lots == 15


def test_reports_are_held_until_they_may_be_known() -> None:
    desk = Desk()
    entry = desk.buy()
    due = desk.now + 300_000
    assert desk.tell(desk.report(entry, OrderStatus.FILLED, lots=50, effective_us=due)) == []
    assert desk.engine.next_wake_us() == due
    assert desk.tick("2000", 299_999) == []
    exit_ = only_order(desk.tick("2000", 1))
    assert exit_.decided_us == due
    # Without a tick, the next whole second.
    other = Desk()
    entry = other.buy()
    other.tell(other.report(entry, OrderStatus.FILLED, lots=50, effective_us=other.now + 300_000))
    assert only_order(other.clock(other.now + 9 * SECOND)).decided_us == entry.decided_us + SECOND


def test_an_exit_rests_as_soon_as_the_entry_fills_and_covers_all_of_it() -> None:
    desk = Desk()
    _, output = held(desk)
    exit_ = only_order(output)
    # 100 x 1.0005 + 0.02 = 100.07, of 0.05 x 0.9995 a price unit: 2002.40..., up to 2002.41, one more.
    assert (exit_.type, exit_.lots, exit_.price, exit_.purpose) == ("limit", 50, Decimal("2002.42"), "exit")


def test_repeated_and_disordered_reports_count_once() -> None:
    desk = Desk()
    entry = desk.buy()
    accepted = desk.report(entry, OrderStatus.ACCEPTED)
    part = desk.report(entry, OrderStatus.PARTIALLY_FILLED, lots=20)
    rest = desk.report(entry, OrderStatus.FILLED, lots=30, total=50)
    orders = desk.tell(rest, rest, accepted, part, part, accepted, rest)
    assert sum(order.lots for order in orders if isinstance(order, OrderIntent)) == 50
    (position,) = desk.engine.status().positions
    assert position.quantity == Decimal("0.050")
    assert desk.engine.status().open_orders == len(orders)


def test_a_cancelled_exit_whose_fill_is_on_its_way_is_not_offered_again() -> None:
    desk = Desk()
    _, output = held(desk)
    exit_ = only_order(output)
    fill = desk.report(exit_, OrderStatus.PARTIALLY_FILLED, lots=30)
    cancelled = desk.report(exit_, OrderStatus.CANCELLED, total=30)
    replaced = only_order(desk.tell(cancelled))
    assert replaced.lots == 20
    assert desk.tell(fill) == []


def test_an_entry_has_three_bars_then_it_is_withdrawn() -> None:
    desk = Desk()
    entry = desk.buy()
    desk.tick("2001", after_us=SECOND)
    assert desk.clock(entry.decided_us + 3 * BAR - SECOND) == []
    (cancel,) = desk.clock(entry.decided_us + 3 * BAR)
    assert cancel == CancelIntent(
        client_order_id=entry.client_order_id, decided_us=entry.decided_us + 3 * BAR, reason="not filled within 3 bars"
    )
    # Nothing came of it: asked again, once in a while.
    assert [type(output) for output in desk.clock(desk.now + 35 * SECOND)] == [CancelIntent]
    desk.tell(desk.report(entry, OrderStatus.CANCELLED))
    assert desk.engine.is_flat


def test_an_entry_waits_on_in_a_market_that_stands_still() -> None:
    desk = Desk()
    entry = desk.buy()
    assert desk.clock(entry.decided_us + 60 * BAR) == []
    desk.tick("2001")
    (cancel,) = desk.next_bar()
    assert isinstance(cancel, CancelIntent)
    assert (cancel.client_order_id, cancel.decided_us) == (entry.client_order_id, entry.decided_us + 61 * BAR)


def test_an_entry_filled_too_little_to_be_sold_goes_on_until_it_can_be() -> None:
    desk = Desk()
    entry = desk.buy()
    assert desk.tell(desk.report(entry, OrderStatus.PARTIALLY_FILLED, lots=2)) == []
    desk.tick("2001", after_us=SECOND)
    assert desk.clock(entry.decided_us + 4 * BAR) == []
    cancel, exit_ = desk.tell(desk.report(entry, OrderStatus.PARTIALLY_FILLED, lots=3, total=5))
    assert isinstance(cancel, CancelIntent)
    assert isinstance(exit_, OrderIntent)
    assert exit_.lots == 5


def test_lots_too_few_for_an_order_join_an_open_exit() -> None:
    desk = Desk()
    entry = desk.buy()
    first = only_order(desk.tell(desk.report(entry, OrderStatus.PARTIALLY_FILLED, lots=48)))
    (cancel,) = desk.tell(desk.report(entry, OrderStatus.FILLED, lots=2, total=50))
    assert isinstance(cancel, CancelIntent)
    assert cancel.client_order_id == first.client_order_id
    assert only_order(desk.tell(desk.report(first, OrderStatus.CANCELLED))).lots == 50


def test_dust_is_shown() -> None:
    desk = Desk()
    entry = desk.buy()
    exit_ = only_order(desk.tell(desk.report(entry, OrderStatus.FILLED, lots=50)))
    desk.tell(desk.report(exit_, OrderStatus.PARTIALLY_FILLED, lots=49))
    assert desk.tell(desk.report(exit_, OrderStatus.EXPIRED, total=49)) == []
    assert "dust" in desk.engine.status().why
    assert desk.engine.status().positions[0].quantity == Decimal("0.001")


def test_a_refused_exit_is_placed_again_with_back_off_and_the_status_says_so() -> None:
    desk = Desk()
    _, output = held(desk)
    refused = only_order(output)
    ids = [refused.client_order_id]
    for bars in (1, 2, 4):
        decided = refused.decided_us
        assert desk.tell(desk.report(refused, OrderStatus.DENIED, reason="OpenOrders: 20")) == []
        assert "OpenOrders: 20" in desk.engine.status().why
        assert desk.clock(decided - decided % BAR + bars * BAR - SECOND) == []
        refused = only_order(desk.clock(decided - decided % BAR + bars * BAR))
        ids.append(refused.client_order_id)
    assert len(set(ids)) == 4


def test_a_denied_entry_leaves_nothing_and_the_next_has_another_id() -> None:
    desk = Desk()
    entry = desk.buy()
    desk.tell(desk.report(entry, OrderStatus.DENIED))
    assert desk.engine.is_flat
    assert desk.buy().client_order_id != entry.client_order_id


def test_after_a_crash_before_the_report_nothing_is_ordered_twice() -> None:
    desk = Desk()
    entry = desk.buy()
    engine = desk.restarted(KnownOrder(intent=entry, status=OrderStatus.PENDING))
    assert engine.take_output() == []
    assert not engine.is_flat
    engine.on_report(desk.report(entry, OrderStatus.FILLED, lots=50))
    assert only_order(engine.take_output()).position_id == entry.position_id


def test_an_exit_that_the_journal_does_not_hold_is_decided_again_with_the_same_id() -> None:
    desk = Desk()
    entry, output = held(desk)
    lost = only_order(output)
    fill = desk.report(entry, OrderStatus.FILLED, lots=50).fill
    assert fill is not None
    known = KnownOrder(intent=entry, status=OrderStatus.FILLED, fills=(fill,))
    assert desk.restarted(known).take_output() == [lost]
    # And one that it does hold is not, and its id is not given to another.
    engine = desk.restarted(known, KnownOrder(intent=lost, status=OrderStatus.REJECTED))
    assert engine.take_output() == []
    engine.on_clock(desk.now + BAR)
    assert only_order(engine.take_output()).client_order_id != lost.client_order_id


def test_an_id_within_one_bar_is_never_given_to_another_order() -> None:
    desk = Desk()
    entry = desk.buy()
    second = msgspec.structs.replace(entry, client_order_id=client_order_id("uid-1", entry.decided_us, "buy", 1))
    engine = desk.restarted(
        KnownOrder(intent=entry, status=OrderStatus.DENIED), KnownOrder(intent=second, status=OrderStatus.DENIED)
    )
    fresh = engine._ids.next(desk.engine.clock_us, "buy")
    assert fresh == client_order_id("uid-1", entry.decided_us, "buy", 2)


def test_under_no_loss_a_rule_sells_at_the_floor_whatever_the_market() -> None:
    desk = Desk(ScriptedExit)
    _, output = held(desk)
    assert output == []
    desk.tick("1500")
    desk.strategy.wishes = ["close"]
    note, exit_ = desk.next_bar()
    assert isinstance(note, SignalNote)
    assert isinstance(exit_, OrderIntent)
    assert (exit_.type, exit_.price, exit_.reason) == ("limit", Decimal("2002.42"), "NoLoss: asked")
    desk.tick("1500")
    desk.strategy.wishes = ["close"]
    assert desk.next_bar() == []


def test_an_exit_rule_withdraws_an_entry_that_still_waits() -> None:
    desk = Desk(ScriptedExit)
    entry = desk.buy()
    desk.tick("2100")
    desk.strategy.wishes = ["close"]
    _, cancel = desk.next_bar()
    assert isinstance(cancel, CancelIntent)
    assert cancel.client_order_id == entry.client_order_id


def test_a_stop_withdraws_the_take_profit_and_sells_what_is_free() -> None:
    desk = Desk(exit=ExitConfig(policy="StopLoss", stop_loss=Decimal("0.01")))
    _, output = held(desk)
    profit = only_order(output)
    assert profit.type == "limit"
    (cancel,) = desk.tick("1980")
    assert isinstance(cancel, CancelIntent)
    assert desk.tick("1999") == []
    part = desk.report(profit, OrderStatus.PARTIALLY_FILLED, lots=10)
    stop = only_order(desk.tell(part, desk.report(profit, OrderStatus.CANCELLED, total=10)))
    assert (stop.type, stop.lots, stop.price, stop.breaks_policy) == ("market", 40, None, None)
    assert "stop loss" in stop.reason


def test_trailing_sells_below_the_best_price_seen() -> None:
    desk = Desk(exit=ExitConfig(policy="Trailing", stop_loss=Decimal("0.05"), trailing_distance=Decimal("0.01")))
    held(desk)
    assert desk.tick("2100") == []
    assert desk.tick("2079.01") == []
    assert only_order(desk.tick("2079")).type == "market"


def test_trailing_counts_what_happened_before_the_fill_was_known() -> None:
    desk = Desk(exit=ExitConfig(policy="Trailing", stop_loss=Decimal("0.05"), trailing_distance=Decimal("0.01")))
    entry = desk.buy("2000")
    filled = desk.report(entry, OrderStatus.FILLED, lots=entry.lots, effective_us=desk.now + 500_000)
    assert desk.tick("2100", after_us=100_000) == []
    assert desk.tell(filled) == []
    assert only_order(desk.tick("2050", after_us=600_000)).type == "market"


def test_trailing_goes_on_after_a_restart_from_the_best_price_that_is_recalled() -> None:
    desk = Desk(exit=ExitConfig(policy="Trailing", stop_loss=Decimal("0.05"), trailing_distance=Decimal("0.01")))
    held(desk)
    (trail,) = desk.engine.trails()
    desk.engine.recall_best_price(trail.position_id, Decimal(2100))
    desk.engine.recall_best_price("another", Decimal(9999))
    assert desk.tick("2079.01") == []
    assert only_order(desk.tick("2079")).type == "market"
    assert Desk(exit=ExitConfig()).engine.trails() == []


def test_a_drawdown_closes_every_position_and_says_what_it_breaks() -> None:
    desk = Desk(ScriptedExit, exit=ExitConfig(maximum_drawdown=Decimal("0.02")))
    held(desk)
    held(desk)
    assert desk.engine.acts_on_ticks
    assert desk.tick("1900") == []
    sold = desk.tick("1790")
    assert [order.breaks_policy for order in sold if isinstance(order, OrderIntent)] == ["maximumDrawdown"] * 2


def test_an_age_is_a_timer_that_the_gateway_is_told_of() -> None:
    desk = Desk(ScriptedExit, exit=ExitConfig(maximum_age_us=60 * SECOND))
    entry, output = held(desk)
    assert output == []
    assert not desk.engine.acts_on_ticks
    desk.clock(entry.decided_us + 20 * SECOND)
    assert desk.engine.next_wake_us() == entry.decided_us + 60 * SECOND
    sold = only_order(desk.clock(entry.decided_us + 600 * SECOND))
    assert (sold.type, sold.breaks_policy) == ("market", "maximumAge")
    assert sold.decided_us == entry.decided_us + 60 * SECOND


def test_a_late_fill_of_a_withdrawn_entry_is_sold_too() -> None:
    desk = Desk()
    entry = desk.buy()
    desk.tick("2001", after_us=SECOND)
    (_,) = desk.clock(entry.decided_us + 3 * BAR)
    desk.tell(desk.report(entry, OrderStatus.CANCELLED))
    assert desk.engine.is_flat
    assert only_order(desk.tell(desk.report(entry, OrderStatus.CANCELLED, lots=9))).lots == 9


def test_the_fleet_may_flatten_and_nothing_is_sold_twice() -> None:
    desk = Desk()
    entry, output = held(desk)
    exit_ = only_order(output)
    flatten = OrderIntent(
        client_order_id="flatten-1",
        symbol=SYMBOL,
        side="sell",
        type="market",
        lots=50,
        purpose="exit",
        position_id=entry.position_id,
        decided_us=desk.now,
        breaks_policy="flatten",
    )
    desk.tell(desk.report(exit_, OrderStatus.CANCELLED), desk.report(flatten, OrderStatus.ACCEPTED))
    assert desk.clock(desk.now + 10 * BAR) == []
    assert "outside" in desk.engine.status().why
    part = desk.report(flatten, OrderStatus.PARTIALLY_FILLED, lots=20, price="1990")
    assert desk.tell(part, part) == []
    assert desk.tell(desk.report(flatten, OrderStatus.FILLED, lots=30, total=50, price="1990")) == []
    assert desk.engine.is_flat
    status = desk.engine.status()
    assert (status.closed_trades, status.winning_trades) == (1, 0)
    assert status.realised_pnl < 0


def test_an_order_of_the_gateway_counts_for_the_position_that_it_names() -> None:
    desk = Desk()
    first, _ = held(desk)
    second, output = held(desk)
    flatten = msgspec.structs.replace(
        only_order(output), client_order_id="flatten-2", type="market", price=None, breaks_policy="flatten"
    )
    desk.tell(desk.report(only_order(output), OrderStatus.CANCELLED))
    desk.engine.on_report(desk.report(flatten, OrderStatus.ACCEPTED), flatten)
    assert desk.clock(desk.now + 10 * BAR) == []
    desk.engine.on_report(desk.report(flatten, OrderStatus.FILLED, lots=50, price="1990"), flatten)
    (left,) = desk.engine.status().positions
    assert left.position_id == first.position_id != second.position_id
    assert desk.engine.status().closed_trades == 1
    # What it left unsold is offered again.
    other = Desk()
    _, output = held(other)
    other.tell(other.report(only_order(output), OrderStatus.CANCELLED))
    part = msgspec.structs.replace(only_order(output), client_order_id="flatten-3", type="market", price=None)
    other.engine.on_report(other.report(part, OrderStatus.PARTIALLY_FILLED, lots=20, price="1990"), part)
    other.engine.on_report(other.report(part, OrderStatus.EXPIRED, total=20), part)
    assert sum(order.lots for order in other.clock(other.now + 10 * BAR) if isinstance(order, OrderIntent)) == 30
    assert other.engine.status().open_orders == 1


def test_totals_go_on_after_a_restart_and_count_nothing_twice() -> None:
    desk = Desk()
    entry, output = held(desk)
    exit_ = only_order(output)
    sold = desk.report(exit_, OrderStatus.FILLED, lots=50)
    desk.tell(sold)
    status = desk.engine.status()
    assert (status.closed_trades, status.winning_trades) == (1, 1)
    bought = desk.report(entry, OrderStatus.FILLED, lots=50).fill
    assert bought is not None
    assert sold.fill is not None
    engine = Engine(desk.config, {SYMBOL: Scripted()})
    engine.restore(
        (
            KnownOrder(intent=entry, status=OrderStatus.FILLED, fills=(bought,)),
            KnownOrder(intent=exit_, status=OrderStatus.FILLED, fills=(sold.fill,)),
        ),
        desk.now,
        status.realised_pnl + 5,
        closed_trades=4,
        winning_trades=3,
        fees=status.fees + 1,
    )
    again = engine.status()
    assert again.realised_pnl == status.realised_pnl + 5
    assert (again.closed_trades, again.winning_trades) == (4, 3)
    assert again.fees == status.fees + 1
    engine.on_report(sold)
    assert engine.status().realised_pnl == again.realised_pnl


def test_entries_wait_for_the_market_to_open() -> None:
    hours = TradingHours(timezone="Asia/Seoul", sessions=(TradingSession(opens="09:00", closes="15:30"),))
    closed = msgspec.structs.replace(INSTRUMENT, trading_hours=hours)
    desk = Desk(instruments={SYMBOL: closed})
    assert not hours.is_open(T)
    desk.tick("2000")
    desk.strategy.wishes = ["buy"]
    (note,) = desk.next_bar()
    assert isinstance(note, SignalNote)
    assert "does not trade now" in note.reason


def test_status_says_why_it_is_not_trading() -> None:
    desk = Desk()
    fresh = Engine(desk.config, {SYMBOL: Scripted()})
    assert fresh.status().state == "Starting"
    assert desk.engine.status().why == f"warming up: {SYMBOL}: 0 of 1 bars"
    desk.tick("2000")
    desk.next_bar()
    assert (desk.engine.status().state, desk.engine.status().why) == ("Waiting", "waits for a signal")
    entry = desk.buy()
    assert desk.engine.status().state == "Trading"
    assert f"entry waits at {entry.price}" in desk.engine.status().why
    desk.engine.on_trading_state(False, "daily loss")
    assert desk.engine.status(epoch=3).state == "Halted"
    assert "daily loss" in desk.engine.status().why


def test_history_warms_up_without_a_signal() -> None:
    desk = Desk()
    desk.strategy.wishes = ["buy"]
    bar = Bar(
        symbol=SYMBOL,
        start_us=T - BAR,
        end_us=T,
        open=Decimal(1),
        high=Decimal(1),
        low=Decimal(1),
        close=Decimal(1),
        lots=1,
        buy_lots=0,
        sell_lots=0,
        price_lots=Decimal(1),
        ticks=1,
    )
    desk.engine.warm_up([bar])
    assert desk.engine.take_output() == []
    assert desk.engine.status().state == "Waiting"
    assert desk.engine.status().last_price == {SYMBOL: Decimal(1)}


def test_a_config_that_cannot_trade_is_refused() -> None:
    with pytest.raises(ValueError, match="whole number of seconds"):
        config(timeframe_us=1_500_000)
    with pytest.raises(ValueError, match="no instrument"):
        config(symbols=("ETH/USDT",))
    with pytest.raises(ValueError, match="no strategy instance"):
        Engine(config(), {})
    with pytest.raises(ValueError, match="above zero"):
        CapitalConfig(amount=Decimal(0), per_trade=Decimal(1))
