"""The real process: against a synthetic market, in a lock-step replay, and through a kill -9."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import redis.asyncio as redis_asyncio

from christmas.brokers.gateway.app import Ended
from christmas.execution.journal import FillRecorded, JournalEntry, OrderChanged, OrderWritten
from christmas.execution.order import OrderReport, OrderStatus
from christmas.execution.protocol import Advance, Cancel, Command, CommandResult, Submit
from christmas.market.tick import ticks_key
from tests.integration.gateway.client import Client, command
from tests.integration.gateway.conftest import MakeGateway
from tests.integration.gateway.running import SYMBOL, Running, broker, buy, limits, permit, replay
from tests.support.data import SPOT_BTC


async def journal_of(client: redis_asyncio.Redis, market: str) -> list[JournalEntry]:
    entries = await client.xrange(f"journal:{market}")
    decoder = msgspec.json.Decoder(JournalEntry)
    return [decoder.decode(fields[b"e"]) for _, fields in entries]


async def test_an_order_on_the_synthetic_market_is_filled_reported_and_journaled(
    gateway: MakeGateway, redis_client: redis_asyncio.Redis
) -> None:
    running = gateway()
    await running.start()
    await running.ready()
    client = Client()
    await client.connect(running.address, permit())
    welcome = await client.welcome()
    await client.wait_trading()
    assert welcome.market == "paper"
    assert welcome.mode == "live"
    assert SYMBOL in welcome.instruments
    intent = buy(welcome.clock_us)
    client.submit(intent)
    filled = await client.wait_report(lambda report: report.status is OrderStatus.FILLED)
    assert filled.filled_lots == 100
    assert filled.effective_us >= intent.decided_us
    assert [report.sequence for report in client.reports] == list(range(1, len(client.reports) + 1))
    statement = await command(running.address, Command(permit=permit(role="admin"), action="statement"))
    assert isinstance(statement, CommandResult)
    assert msgspec.json.decode(statement.message)["holdings"] == {SYMBOL: 100}
    await client.close()
    running.stop()
    assert running.process is not None
    assert running.process.returncode == 0
    entries = await journal_of(redis_client, "paper")
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    assert [entry.intent for entry in entries if isinstance(entry, OrderWritten)] == [intent]
    assert sum(entry.fill.lots for entry in entries if isinstance(entry, FillRecorded)) == 100


async def replay_once(
    running: Running, redis_client: redis_asyncio.Redis, *, acts_on_ticks: bool
) -> tuple[list[JournalEntry], Ended, Client]:
    await running.start()
    client = Client(acts_on_ticks=acts_on_ticks)
    number = 0

    def decide(advance: Advance) -> list[Submit | Cancel]:
        nonlocal number
        if advance.clock_us % 5_000_000 or number >= 3:
            return []
        number += 1
        return [Submit(intent=buy(advance.clock_us, number=number))]

    client.on_advance = decide
    await client.connect(running.address, permit())
    code = await running.wait_exit()
    assert code == 0, running.log.read_text()[-3000:]
    ended = msgspec.json.decode((running.state / "ended.json").read_bytes(), type=Ended)
    return await journal_of(redis_client, "paper.r1"), ended, client


@pytest.mark.parametrize("acts_on_ticks", [False, True])
async def test_a_lockstep_replay_shows_every_trade_and_ends_by_itself(
    gateway: MakeGateway, redis_client: redis_asyncio.Redis, shared_data: Path, acts_on_ticks: bool
) -> None:
    running = gateway(replay=replay(shared_data / SPOT_BTC), replay_id="r1", expected_sessions=("scalper",))
    entries, ended, client = await replay_once(running, redis_client, acts_on_ticks=acts_on_ticks)
    assert (ended.received, ended.quarantined, ended.duplicates) == (9_757, 0, 0)
    assert await redis_client.zcard(ticks_key("paper.r1", SYMBOL)) == 9_757
    assert client.goodbye is not None
    written = [entry for entry in entries if isinstance(entry, OrderWritten)]
    assert len(written) == 3
    finals = [entry for entry in entries if isinstance(entry, OrderChanged) and entry.status is OrderStatus.FILLED]
    assert len(finals) == 3
    clocks = [frame.clock_us for frame in client.frames if isinstance(frame, Advance)]
    assert clocks == sorted(clocks)
    last = [frame for frame in client.frames if isinstance(frame, Advance)][-1]
    assert last.sequences == {SYMBOL: 9_757}
    assert last.clock_us >= ended.last_us


async def test_the_same_replay_twice_gives_the_same_journal(
    gateway: MakeGateway, redis_client: redis_asyncio.Redis, shared_data: Path, tmp_path: Path, redis_url: str
) -> None:
    journals = []
    for turn in ("a", "b"):
        await redis_client.flushall()
        (tmp_path / turn).mkdir()
        running = Running(
            tmp_path / turn,
            redis_url,
            broker(),
            replay=replay(shared_data / SPOT_BTC),
            replay_id="r1",
            expected_sessions=("scalper",),
        )
        entries, _, _ = await replay_once(running, redis_client, acts_on_ticks=False)
        journals.append(
            [
                msgspec.structs.replace(entry, wall_us=0)
                for entry in entries
                if isinstance(entry, OrderWritten | OrderChanged | FillRecorded)
            ]
        )
    assert journals[0] == journals[1]
    assert len(journals[0]) > 5


async def test_a_gateway_killed_in_the_middle_goes_on_where_it_was(
    gateway: MakeGateway, redis_client: redis_asyncio.Redis
) -> None:
    """kill -9 with a position, a resting order and an intent just sent; the runtime resends and resumes."""
    running = gateway()
    await running.start()
    client = Client()
    await client.connect(running.address, permit())
    welcome = await client.welcome()
    await client.wait_trading()
    held = buy(welcome.clock_us)
    client.submit(held)
    filled = await client.wait_report(lambda report: report.status is OrderStatus.FILLED)
    resting = buy(welcome.clock_us, number=2, price=filled_price(filled) * Decimal("0.97"))
    client.submit(resting)
    await client.wait_report(lambda report: report.client_order_id == resting.client_order_id)
    torn = buy(welcome.clock_us, number=3, price=filled_price(filled) * Decimal("0.96"))
    client.submit(torn)
    running.kill()
    await client.wait_closed()
    known = list(client.reports)

    await running.start()
    again = Client(instance=client.instance)
    await again.connect(running.address, permit(), last_report_sequence=known[-1].sequence)
    second = await again.welcome()
    await again.wait_trading()
    orders = {order.intent.client_order_id: order for order in second.orders}
    assert orders[held.client_order_id].status is OrderStatus.FILLED
    assert orders[resting.client_order_id].status is OrderStatus.ACCEPTED
    again.submit(torn)
    again.submit(held)
    final = await again.wait_report(lambda report: report.client_order_id == torn.client_order_id)
    assert final.status in {OrderStatus.ACCEPTED, OrderStatus.REJECTED}
    sequences = [report.sequence for report in known + again.reports]
    assert sequences == list(range(1, len(sequences) + 1))
    admin = await command(running.address, Command(permit=permit(role="admin"), action="statement"))
    assert isinstance(admin, CommandResult)
    assert msgspec.json.decode(admin.message)["holdings"] == {SYMBOL: 100}
    running.stop()
    entries = await journal_of(redis_client, "paper")
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    written = [entry.intent.client_order_id for entry in entries if isinstance(entry, OrderWritten)]
    assert sorted(written) == sorted({held.client_order_id, resting.client_order_id, torn.client_order_id})


def filled_price(report: OrderReport) -> Decimal:
    assert report.fill is not None
    return report.fill.price.quantize(Decimal(1))


async def test_a_replay_whose_gateway_is_killed_is_played_to_its_end(
    gateway: MakeGateway, redis_client: redis_asyncio.Redis, shared_data: Path
) -> None:
    """kill -9 in the middle of a lock-step replay: no trade is lost or shown twice, no order either."""
    running = gateway(replay=replay(shared_data / SPOT_BTC), replay_id="r1", expected_sessions=("scalper",))
    await running.start()
    client = Client()
    number = 0

    def decide(advance: Advance) -> list[Submit | Cancel]:
        nonlocal number
        if advance.clock_us % 5_000_000 or number >= 20:
            return []
        number += 1
        if number == 8:
            running.kill()
            return []
        return [Submit(intent=buy(advance.clock_us, number=number, lots=20))]

    client.on_advance = decide
    await client.connect(running.address, permit(limits=limits(max_positions=50)))
    await client.wait_closed(30.0)
    assert number == 8
    await running.start()
    again = Client(instance=client.instance)
    again.on_advance = decide
    last = client.reports[-1].sequence if client.reports else 0
    await again.connect(running.address, permit(limits=limits(max_positions=50)), last_report_sequence=last)
    assert await running.wait_exit() == 0, running.log.read_text()[-3000:]
    ended = msgspec.json.decode((running.state / "ended.json").read_bytes(), type=Ended)
    assert (ended.received, ended.quarantined) == (9_757, 0)
    assert await redis_client.zcard(ticks_key("paper.r1", SYMBOL)) == 9_757
    final = [frame for frame in again.frames if isinstance(frame, Advance)][-1]
    assert final.sequences == {SYMBOL: 9_757}
    entries = await journal_of(redis_client, "paper.r1")
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    fills = [entry.fill.fill_id for entry in entries if isinstance(entry, FillRecorded)]
    assert len(fills) == len(set(fills))
    sequences = [report.sequence for report in client.reports + again.reports]
    assert sequences == list(range(1, len(sequences) + 1))
    written = [entry for entry in entries if isinstance(entry, OrderWritten)]
    filled = [entry for entry in entries if isinstance(entry, OrderChanged) and entry.status is OrderStatus.FILLED]
    assert len(written) == len(filled) == 19
