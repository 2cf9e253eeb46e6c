"""The desk against a scripted venue: what is sent how often, whatever the venue and the power do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from christmas.brokers.gateway import book
from christmas.brokers.gateway.commands import Commands
from christmas.brokers.port import VenueAmbiguous, VenueError, VenueRateLimited, VenueRejected
from christmas.execution.journal import OrderChanged, OrderWritten, TradingChanged
from christmas.execution.order import CancelIntent, OrderStatus
from tests.support.waiting import eventually
from tests.unit.gateway.bench import LIMITS, NOW_US, OWNER, Bench, entry, exit_of
from tests.unit.gateway.scripted import ScriptedVenue

Lives = Callable[..., Awaitable[Bench]]


@pytest.fixture
def venue() -> ScriptedVenue:
    return ScriptedVenue()


@pytest.fixture
async def live(tmp_path: Path, venue: ScriptedVenue) -> AsyncIterator[Lives]:
    """Each call is a new life over the same journal and venue; the one before it crashes."""
    lives: list[Bench] = []

    async def begin(**options: object) -> Bench:
        if lives:
            await lives[-1].crash()
        bench = Bench(tmp_path / "journal.sqlite", venue, **options)  # type: ignore[arg-type]
        await bench.connect()
        lives.append(bench)
        return bench

    yield begin
    await lives[-1].crash()


async def test_an_intent_is_on_disk_before_it_is_sent(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    durable_at_submit: list[int] = []
    submit = venue.submit

    async def watched(intent: object) -> object:
        durable_at_submit.append(bench.journal.durable)
        return await submit(intent)  # type: ignore[arg-type]

    venue.submit = watched  # type: ignore[method-assign, assignment]
    bench.submit(entry())
    await bench.settled()
    written = next(item for item in bench.entries() if isinstance(item, OrderWritten))
    assert durable_at_submit[0] >= written.sequence
    assert bench.statuses("entry-1") == ["accepted"]


async def test_the_same_intent_again_is_the_same_order(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    bench.submit(entry())
    bench.submit(entry())
    await bench.settled()
    bench.submit(entry())
    await bench.settled()
    assert [intent.client_order_id for intent in venue.sent] == ["entry-1"]
    bench = await live()
    bench.submit(entry())
    await bench.settled()
    assert len(venue.sent) == 1


async def test_another_intent_with_a_known_id_is_not_sent(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    bench.submit(entry())
    bench.submit(entry(lots=20))
    await bench.settled()
    assert [intent.lots for intent in venue.sent] == [10]
    assert bench.alerts() == ["OrderIdConflict"]


async def test_a_timeout_after_accepting_is_unknown_and_then_found(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    venue.after.append(VenueAmbiguous("no answer"))
    bench.submit(entry())
    await bench.settled()
    assert bench.statuses("entry-1") == ["unknown", "accepted"]
    assert len(venue.sent) == 1


async def test_a_request_that_hangs_is_cut_off_and_asked_for(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    submit = venue.submit

    async def hanging(intent: object) -> object:
        await submit(intent)  # type: ignore[arg-type]
        venue.submit = submit  # type: ignore[method-assign]
        await asyncio.sleep(3600)
        raise AssertionError

    venue.submit = hanging  # type: ignore[method-assign, assignment]
    bench.submit(entry())
    await bench.settled()
    assert bench.statuses("entry-1") == ["unknown", "accepted"]


async def test_a_timeout_before_accepting_is_sent_again_with_the_same_id(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    venue.before.append(VenueAmbiguous("connection lost"))
    bench.submit(entry())
    await bench.settled()
    assert bench.statuses("entry-1") == ["unknown", "accepted"]
    assert venue.asked.count("query") == 2
    assert venue.submitted == ["entry-1"]


async def test_an_order_that_never_gets_through_is_given_up(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    lost = VenueAmbiguous("connection lost")
    venue.before.extend([lost, None, None] * 3)
    bench.submit(entry())
    await bench.settled()
    assert bench.statuses("entry-1") == ["unknown", "rejected"]
    assert venue.submitted == []


async def test_queries_without_an_answer_prove_nothing(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    venue.before.extend([None, *[VenueError("503")] * 6])
    venue.after.append(VenueAmbiguous("no answer"))
    bench.submit(entry())
    await bench.settled()
    assert bench.statuses("entry-1") == ["unknown", "accepted"]
    assert venue.asked.count("query") == 7
    assert "reconciling: 3 requests without an answer" in str(bench.blocked)


async def test_429_is_waited_out_and_the_same_order_sent(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    venue.before.append(VenueRateLimited("429", 0.05))
    bench.submit(entry())
    await eventually(lambda: bench.statuses("entry-1") == ["accepted"], within_s=3.0)
    assert venue.submitted == ["entry-1"]
    assert venue.asked.count("submit") == 2


async def test_a_rejection_is_final(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    venue.before.append(VenueRejected("insufficient funds"))
    bench.submit(entry())
    await bench.settled()
    assert bench.statuses("entry-1") == ["rejected"]
    assert bench.reports[-1].reason == "insufficient funds"


async def test_a_denied_intent_is_written_and_never_sent(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    bench.submit(entry(price="150"))
    bench.submit(entry(price="150"))
    await bench.settled()
    assert venue.sent == []
    assert bench.statuses("entry-1") == ["denied"]
    assert bench.reports[0].reason.startswith("PriceCollar")
    assert [type(item) for item in bench.entries()] == [OrderWritten, OrderChanged]


async def test_fills_twice_late_and_out_of_order_count_once(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    bench.submit(entry())
    await bench.settled()
    first = venue.fill("entry-1", 4, tell=False)
    second = venue.fill("entry-1", 6, tell=False)
    for report in (second, second, first, second, first):
        bench.desk.on_report(report)
    await bench.settled()
    assert bench.statuses("entry-1") == ["accepted", "partially_filled", "filled"]
    assert sum(report.fill.lots for report in bench.reports if report.fill is not None) == 10
    assert [report.sequence for report in bench.reports] == [1, 2, 3]
    assert bench.book.held_lots() == {"BTC/USDT": 10}


async def test_a_fill_of_an_order_that_is_forgotten_is_told_once_it_is_new(
    live: Lives, venue: ScriptedVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "FINISHED_MAXIMUM", 1)
    bench = await live()
    told = []
    for number in (1, 2):
        bench.submit(entry(number))
        await bench.settled()
        told.append(venue.fill(f"entry-{number}", 10))
        bench.submit(exit_of(number))
        await bench.settled()
        venue.fill(f"exit-{number}", 10, side="sell")
        await bench.settled()
    booked = told[0]
    assert bench.book.orders.keys() == {"entry-2", "exit-2"}
    bench.desk.on_report(booked)
    assert "LateFill" not in bench.alerts()
    assert booked.fill is not None
    bench.desk.on_report(msgspec.structs.replace(booked, fill=msgspec.structs.replace(booked.fill, fill_id="another")))
    assert bench.alerts().count("LateFill") == 1


async def test_a_fill_that_is_never_told_is_asked_for(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    bench.submit(entry())
    await bench.settled()
    report = venue.fill("entry-1", 10, tell=False, time_us=NOW_US)
    bench.desk.on_report(msgspec.structs.replace(report, fill=None))
    await eventually(lambda: bench.statuses("entry-1")[-1:] == ["filled"], within_s=3.0)
    assert "fills" in venue.asked


async def test_a_cancel_is_written_and_sent_once(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    bench.submit(entry())
    await bench.settled()
    bench.cancel("entry-1")
    bench.cancel("entry-1")
    await bench.settled()
    assert bench.statuses("entry-1") == ["accepted", "cancelled"]
    assert venue.asked.count("cancel") == 1


async def test_a_cancel_that_overtakes_its_order_is_done_after_it(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    venue.after.append(VenueAmbiguous("no answer"))
    bench.submit(entry())
    bench.cancel("entry-1")
    await bench.settled()
    assert bench.statuses("entry-1")[-1] == "cancelled"
    assert all(order.status.is_final for order in venue.orders.values())


async def test_a_cancel_without_an_answer_is_repeated(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    bench.submit(entry())
    await bench.settled()
    venue.before.extend([VenueAmbiguous("503"), VenueAmbiguous("503")])
    bench.cancel("entry-1")
    await bench.settled()
    assert bench.statuses("entry-1") == ["accepted", "cancelled"]
    assert venue.asked.count("cancel") == 3


async def test_another_strategy_cannot_cancel(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    bench.submit(entry())
    await bench.settled()
    bench.desk.cancel(
        CancelIntent(client_order_id="entry-1", decided_us=NOW_US), msgspec.structs.replace(OWNER, uid="other")
    )
    await bench.settled()
    assert "cancel" not in venue.asked


async def test_exits_need_a_position_and_cannot_sell_it_twice(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    bench.submit(exit_of(1))
    bench.submit(entry())
    await bench.settled()
    venue.fill("entry-1", 10)
    bench.submit(exit_of(1, lots=6, suffix="a"))
    bench.submit(exit_of(1, lots=6, suffix="b"))
    bench.submit(exit_of(1, lots=4, suffix="c"))
    await bench.settled()
    assert bench.statuses("exit-1") == ["denied"]
    assert bench.statuses("exit-1a") == ["accepted"]
    assert bench.statuses("exit-1b") == ["denied"]
    assert bench.statuses("exit-1c") == ["accepted"]


async def test_a_halt_stops_entries_and_lets_exits_pass(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    bench.submit(entry())
    await bench.settled()
    venue.fill("entry-1", 10)
    bench.ledger.write(TradingChanged(time_us=1, wall_us=1, enabled=False, reason="stop"))
    bench.submit(entry(2))
    bench.submit(exit_of(1))
    await bench.settled()
    assert bench.statuses("entry-2") == ["denied"]
    assert bench.statuses("exit-1") == ["accepted"]
    bench = await live()
    bench.submit(entry(3))
    await bench.settled()
    assert bench.statuses("entry-3") == ["denied"]


async def test_a_hold_outlives_the_gateway_and_ends_by_itself(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    held = {"strategy": OWNER.strategy, "enabled": False, "reason": "an update"}
    bench.ledger.write(TradingChanged(time_us=1, wall_us=1, hold_until_us=2, **held))  # type: ignore[arg-type]
    bench.submit(entry())
    await bench.settled()
    assert bench.statuses("entry-1") == ["denied"]
    bench = await live()
    bench.submit(entry(2))
    await bench.settled()
    assert bench.statuses("entry-2") == ["denied"]
    told: list[bool] = []
    commands = Commands(
        ledger=bench.ledger,
        desk=bench.desk,
        venue=venue,
        quotes=bench.quotes,
        on_trading=lambda: told.append(True),
    )
    commands.watch_holds()
    await eventually(lambda: not bench.ledger.book.holds)
    assert told == [True]
    bench.submit(entry(3))
    await bench.settled()
    assert bench.statuses("entry-3") == ["accepted"]


async def test_the_budget_holds_entries_back_and_drops_what_is_stale(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live(per_minute=4)
    for number in range(1, 4):
        bench.submit(entry(number))
    await bench.settled()
    assert venue.submitted == ["entry-1"]
    bench.cancel("entry-2")
    bench.tick("100", NOW_US + LIMITS.stale_after_us + 1)
    for minute in (60.0, 120.0):
        bench.skipped_s = minute
        bench.budget.pump()
        await bench.settled()
    assert venue.submitted == ["entry-1"]
    assert bench.statuses("entry-2") == ["cancelled"]
    assert bench.statuses("entry-3") == ["cancelled"]
    assert "request budget" in bench.reports[-1].reason


class Power(BaseException):
    """Goes out."""


@pytest.mark.parametrize("moment", ["judged", "written", "sending", "accepted", "answered"])
async def test_a_crash_at_any_moment_leaves_one_order_and_the_truth(
    live: Lives, venue: ScriptedVenue, moment: str
) -> None:
    """Whatever survives, the next life reconciles, takes the intent again and there is one order at most."""
    bench = await live()
    submit = venue.submit
    reached = asyncio.Event()

    async def dying(intent: object) -> object:
        if moment == "accepted":
            await submit(intent)  # type: ignore[arg-type]
        if moment == "answered":
            return await submit(intent)  # type: ignore[arg-type]
        reached.set()
        await asyncio.sleep(3600)
        raise AssertionError

    venue.submit = dying  # type: ignore[method-assign, assignment]
    bench.submit(entry())
    if moment == "written":
        await bench.journal.flushed()
    elif moment in {"sending", "accepted"}:
        await reached.wait()
    elif moment == "answered":
        await bench.settled()
    venue.submit = submit  # type: ignore[method-assign]
    bench = await live(reconciled=False)
    bench.submit(entry(9))
    await bench.settled()
    assert bench.statuses("entry-9") == ["denied"], "nothing is sent before it is reconciled"
    await bench.reconcile()
    bench.submit(entry())
    await bench.settled()
    order = bench.book.orders["entry-1"]
    assert venue.submitted.count("entry-1") <= 1
    if moment in {"accepted", "answered"}:
        assert order.status is OrderStatus.ACCEPTED
        assert venue.orders["entry-1"].status is OrderStatus.ACCEPTED
    else:
        # It was written and never arrived: that is what the strategy is told, it decides anew.
        assert order.status is OrderStatus.REJECTED
        assert venue.submitted == []
    written = [item for item in bench.entries() if isinstance(item, OrderWritten)]
    assert [item.intent.client_order_id for item in written] == ["entry-1", "entry-9"]
    sequences = [item.sequence for item in bench.entries()]
    assert sequences == list(range(1, len(sequences) + 1))


async def test_a_crash_between_a_cancel_and_its_sending_is_made_up_for(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    bench.submit(entry())
    await bench.settled()
    cancel = venue.cancel

    async def dying(client_order_id: str, decided_us: int = 0) -> object:
        await asyncio.sleep(3600)
        raise AssertionError

    venue.cancel = dying  # type: ignore[method-assign, assignment]
    bench.cancel("entry-1")
    await bench.journal.flushed()
    venue.cancel = cancel  # type: ignore[method-assign]
    bench = await live(reconciled=False)
    await bench.reconcile()
    await bench.settled()
    assert bench.book.orders["entry-1"].status is OrderStatus.CANCELLED


async def test_reports_after_a_restart_go_on_without_a_gap(live: Lives, venue: ScriptedVenue) -> None:
    bench = await live()
    bench.submit(entry())
    bench.submit(entry(2, price="150"))
    await bench.settled()
    venue.fill("entry-1", 4)
    await bench.settled()
    before = list(bench.reports)
    bench = await live(reconciled=False)
    assert bench.ledger.reports_after(OWNER.uid, 0) == before
    assert bench.ledger.reports_after(OWNER.uid, 2) == before[2:]
    await bench.reconcile()
    venue.fill("entry-1", 6)
    await bench.settled()
    assert [report.sequence for report in bench.ledger.reports_after(OWNER.uid, 0)] == [1, 2, 3, 4]
    assert bench.reports[-1].sequence == 4
