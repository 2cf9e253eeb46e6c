"""Sessions with a real gateway process: permits, takeover, fences that outlive a kill, commands, slow peers."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal

import msgspec

from christmas.brokers.admin import CommandName, Exposed, exposure
from christmas.brokers.permit import issue
from christmas.execution.order import CancelIntent, OrderStatus
from christmas.execution.protocol import Command, CommandResult, Refused, Report, SignalNote
from tests.integration.gateway.client import Client, command
from tests.integration.gateway.conftest import MakeGateway
from tests.integration.gateway.running import KEY, SYMBOL, buy, permit, raw_permit
from tests.support.waiting import eventually


async def refused(address: str, text: str, client: Client | None = None) -> str:
    client = client or Client()
    await client.connect(address, text)
    await client.wait_closed()
    assert client.refused is not None
    return client.refused.code


async def test_permits_that_open_nothing(gateway: MakeGateway) -> None:
    running = gateway()
    await running.start()
    genuine = raw_permit()
    now_us = time.time_ns() // 1000
    assert await refused(running.address, issue(genuine, b"another key of thirty-two bytes!")) == "PermitForged"
    assert await refused(running.address, "nonsense") == "PermitForged"
    assert await refused(running.address, permit(expires_us=now_us - 1)) == "PermitExpired"
    assert await refused(running.address, permit(broker="binance")) == "PermitForeign"
    assert await refused(running.address, permit(role="admin")) == "PermitForeign"
    answer = await command(running.address, Command(permit=permit(), action="halt"))
    assert isinstance(answer, Refused)
    assert answer.code == "PermitForeign"


async def test_a_newer_process_takes_over_and_the_older_is_refused_for_good(gateway: MakeGateway) -> None:
    running = gateway()
    await running.start()
    older, newer = Client(), Client()
    await older.connect(running.address, permit())
    await older.welcome()
    await newer.connect(running.address, permit())
    await newer.welcome()
    await older.wait_closed()
    assert older.refused is not None
    assert older.refused.code == "InstanceSuperseded"
    assert await refused(running.address, permit(), Client(instance=older.instance)) == "InstanceSuperseded"
    third = Client()
    await third.connect(running.address, permit(epoch=2))
    await third.welcome()
    await newer.wait_closed()
    assert newer.refused is not None
    assert newer.refused.code == "EpochSuperseded"

    running.kill()
    await running.start()
    assert await refused(running.address, permit(), Client(instance=older.instance)) == "EpochSuperseded"
    assert await refused(running.address, permit(epoch=2), Client(instance=newer.instance)) == "InstanceSuperseded"
    assert await refused(running.address, permit(epoch=1)) == "EpochSuperseded"
    back = Client(instance=third.instance)
    await back.connect(running.address, permit(epoch=2))
    assert (await back.welcome()).epoch == 2


async def test_the_same_process_resumes_its_reports(gateway: MakeGateway) -> None:
    running = gateway()
    await running.start()
    client = Client()
    await client.connect(running.address, permit())
    welcome = await client.welcome()
    await client.wait_trading()
    client.submit(buy(welcome.clock_us))
    await client.wait_report(lambda report: report.status is OrderStatus.FILLED)
    reports = list(client.reports)
    await client.close()
    again = Client(instance=client.instance)
    await again.connect(running.address, permit(), last_report_sequence=1)
    await eventually(lambda: len(again.reports) == len(reports) - 1)
    assert again.reports == reports[1:]
    other = Client()
    await other.connect(running.address, permit())
    second = await other.welcome()
    assert second.last_report_sequence == len(reports)
    assert [order.status for order in second.orders] == [OrderStatus.FILLED]
    other.submit(buy(second.clock_us, number=2, lots=200))
    fresh = await other.wait_report(lambda _report: True)
    assert fresh.sequence == len(reports) + 1


async def test_halt_cancel_flatten_and_resume(gateway: MakeGateway) -> None:
    running = gateway()
    await running.start()
    client = Client()
    await client.connect(running.address, permit())
    welcome = await client.welcome()
    await client.wait_trading()
    bought = buy(welcome.clock_us)
    client.submit(bought)
    filled = await client.wait_report(lambda report: report.status is OrderStatus.FILLED)
    assert filled.fill is not None
    far = (filled.fill.price * Decimal("0.97")).quantize(Decimal(1))
    resting = buy(welcome.clock_us, number=2, price=far)
    client.submit(resting)
    await client.wait_report(lambda report: report.client_order_id == resting.client_order_id)

    admin = permit(role="admin")
    positions = await command(running.address, Command(permit=admin, action="positions", strategy="scalper"))
    assert isinstance(positions, CommandResult)
    assert [position["lots"] for position in msgspec.json.decode(positions.message)] == [100]
    found = await exposure(running.address, KEY, broker="paper")
    assert found.strategies == {"scalper": Exposed(positions=2, orders=1)}
    assert not found.halts
    done = await command(running.address, Command(permit=admin, action="flatten", strategy="scalper", reason="enough"))
    assert isinstance(done, CommandResult)
    assert done.ok, done.message
    await client.wait_report(
        lambda report: report.client_order_id == resting.client_order_id and report.status is OrderStatus.CANCELLED
    )
    sold = await client.wait_report(
        lambda report: report.fill is not None and report.fill.side == "sell" and report.status is OrderStatus.FILLED
    )
    report_frame = next(
        frame for frame in client.frames if isinstance(frame, Report) and frame.report.sequence == sold.sequence
    )
    assert report_frame.intent is not None
    assert report_frame.intent.breaks_policy == "flatten"
    assert report_frame.intent.position_id == bought.client_order_id

    found = await exposure(running.address, KEY, broker="paper")
    assert (found.strategies, found.halts) == ({}, {"scalper": "enough"})
    client.submit(buy(welcome.clock_us, number=3))
    denied = await client.wait_report(lambda report: report.status is OrderStatus.DENIED)
    assert denied.reason == "Halted: enough"
    await command(running.address, Command(permit=admin, action="resume", strategy="scalper"))
    await client.wait_trading()
    client.submit(buy(welcome.clock_us, number=4))
    key = buy(welcome.clock_us, number=4).client_order_id
    await client.wait_report(lambda report: report.client_order_id == key and report.status is OrderStatus.FILLED)
    orders = await command(running.address, Command(permit=admin, action="orders"))
    assert isinstance(orders, CommandResult)
    assert len(orders.orders) == 5


async def test_two_flattens_at_once_sell_each_lot_once(gateway: MakeGateway) -> None:
    """Of one strategy and of the whole account, each over a connection of its own, three times over."""
    running = gateway()
    await running.start()
    client = Client()
    await client.connect(running.address, permit())
    welcome = await client.welcome()
    await client.wait_trading()
    bought = [buy(welcome.clock_us, number=number, lots=lots) for number, lots in enumerate((100, 70, 30), start=1)]
    for intent in bought:
        client.submit(intent)
    for intent in bought:
        key = intent.client_order_id
        await client.wait_report(lambda r, key=key: r.client_order_id == key and r.status is OrderStatus.FILLED)  # type: ignore[misc]
    admin = permit(role="admin")
    whom = ("scalper", None) * 3
    answers = await asyncio.gather(
        *(command(running.address, Command(permit=admin, action="flatten", strategy=name)) for name in whom)
    )
    assert all(isinstance(answer, CommandResult) and answer.ok for answer in answers), answers

    async def flat() -> bool:
        return not (await exposure(running.address, KEY, broker="paper")).strategies

    await eventually(flat, within_s=20.0, every_s=0.1, what="everything is sold and nothing is under way")
    statement = await command(running.address, Command(permit=admin, action="statement"))
    assert isinstance(statement, CommandResult)
    content = msgspec.json.decode(statement.message)
    assert (content["holdings"], content["positions"]) == ({}, [])

    def sold() -> dict[str, int]:
        """Lots by position, as far as it has been told."""
        lots = {intent.client_order_id: 0 for intent in bought}
        frames = [frame for frame in client.frames if isinstance(frame, Report)]
        exits = {frame.report.client_order_id: frame.intent.position_id for frame in frames if frame.intent is not None}
        for frame in frames:
            if frame.report.fill is not None and frame.report.fill.side == "sell":
                lots[exits[frame.report.client_order_id]] += frame.report.fill.lots
        return lots

    # A report is sent when its entry is on disk; the exposure is known before.
    await eventually(lambda: sum(sold().values()) >= 200, what="every sale is told")
    assert sold() == {intent.client_order_id: intent.lots for intent in bought}
    assert sum(fill.lots for fill in statement.fills if fill.side == "sell") == 200


async def test_a_resting_order_is_cancelled(gateway: MakeGateway) -> None:
    running = gateway()
    await running.start()
    client = Client()
    await client.connect(running.address, permit())
    welcome = await client.welcome()
    await client.wait_trading()
    bought = buy(welcome.clock_us)
    client.submit(bought)
    filled = await client.wait_report(lambda report: report.status is OrderStatus.FILLED)
    assert filled.fill is not None
    far = (filled.fill.price * Decimal("0.97")).quantize(Decimal(1))
    order = buy(welcome.clock_us, number=2, price=far, lots=20)
    client.submit(order)
    answer = await client.wait_report(lambda report: report.client_order_id == order.client_order_id)
    assert answer.status is OrderStatus.ACCEPTED, answer.reason
    client.cancel(CancelIntent(client_order_id=order.client_order_id, decided_us=answer.time_us))
    cancelled = await client.wait_report(lambda report: report.status is OrderStatus.CANCELLED)
    assert cancelled.filled_lots == 0


async def test_a_silent_peer_is_cut_off_and_a_lively_one_is_not(gateway: MakeGateway) -> None:
    running = gateway()
    await running.start()
    silent, lively = Client(), Client()
    await silent.connect(running.address, permit("silent"))
    await silent.welcome()
    silent.stop_reading()
    await lively.connect(running.address, permit("lively"))
    await lively.welcome()

    async def only_the_lively_is_left() -> bool:
        found = await running.metrics()
        return (
            found.get('christmas_gateway_sessions_ended_total{why="silence"}') == 1
            and found["christmas_gateway_sessions"] == 1
        )

    await eventually(only_the_lively_is_left, within_s=15.0, every_s=0.2)
    assert not lively.closed
    await silent.close()


async def test_nonsense_ends_only_its_own_connection(gateway: MakeGateway) -> None:
    running = gateway()
    await running.start()
    good, bad = Client(), Client()
    await good.connect(running.address, permit("good"))
    await good.welcome()
    await bad.connect(running.address, permit("bad"))
    await bad.welcome()
    bad.send_bytes(b"\x00\x00\x00\x02{}")
    await bad.wait_closed()
    assert bad.refused is not None
    assert bad.refused.code == "BadFrame"
    good.note(SignalNote(time_us=1, symbol=SYMBOL, signal="entry", taken=False, reason="a test"))
    await asyncio.sleep(0)
    assert not good.closed
    orders = await command(running.address, Command(permit=permit(role="admin"), action="orders"))
    assert isinstance(orders, CommandResult)


async def test_flatten_sells_several_positions_of_one_strategy(gateway: MakeGateway) -> None:
    """Positions with equally many orders are sold at one moment, each by an order of its own."""
    running = gateway()
    await running.start()
    client = Client()
    await client.connect(running.address, permit())
    welcome = await client.welcome()
    await client.wait_trading()
    bought = [buy(welcome.clock_us, number=number) for number in (1, 2, 3)]
    for intent in bought:
        client.submit(intent)
    filled: set[str] = set()
    while len(filled) < len(bought):
        report = await client.wait_report(
            lambda report: report.status is OrderStatus.FILLED and report.client_order_id not in filled
        )
        filled.add(report.client_order_id)
    done = await command(
        running.address, Command(permit=permit(role="admin"), action="flatten", strategy="scalper", reason="enough")
    )
    assert isinstance(done, CommandResult)
    assert done.ok, done.message

    def sold() -> bool:
        frames = [frame for frame in client.frames if isinstance(frame, Report) and frame.intent is not None]
        closed = {
            frame.intent.position_id
            for frame in frames
            if frame.intent is not None and frame.report.status is OrderStatus.FILLED
        }
        return closed == {intent.position_id for intent in bought}

    await eventually(sold)


async def test_a_hold_of_an_update_denies_entries_and_is_no_halt(gateway: MakeGateway) -> None:
    running = gateway()
    await running.start()
    client = Client()
    await client.connect(running.address, permit())
    welcome = await client.welcome()
    await client.wait_trading()
    admin = permit(role="admin")

    async def tell(action: CommandName, reason: str = "") -> None:
        done = await command(running.address, Command(permit=admin, action=action, strategy="scalper", reason=reason))
        assert isinstance(done, CommandResult)
        assert done.ok, done.message

    async def denial(number: int) -> str:
        order = buy(welcome.clock_us, number=number)
        client.submit(order)
        denied = await client.wait_report(lambda report: report.client_order_id == order.client_order_id)
        assert denied.status is OrderStatus.DENIED
        return denied.reason

    await tell("hold", "an update")
    assert await denial(1) == "Halted: an update"
    await tell("halt", "my own")
    found = await exposure(running.address, KEY, broker="paper")
    assert (found.halts, found.holds) == ({"scalper": "my own"}, {"scalper": "an update"})
    await tell("release")
    assert await denial(2) == "Halted: my own"
    await tell("hold", "an update")
    await tell("resume")
    found = await exposure(running.address, KEY, broker="paper")
    assert (found.halts, found.holds) == ({}, {"scalper": "an update"})
    await tell("release")
    await client.wait_trading()
    unnamed = await command(running.address, Command(permit=admin, action="hold"))
    assert isinstance(unnamed, CommandResult)
    assert not unnamed.ok
