"""Bad frames, permits and prints against a real gateway process, with another session that must not notice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import redis.asyncio as redis_asyncio

from christmas.execution.protocol import Command, CommandResult
from tests.bad_input import cases_frames, cases_permits, cases_ticks, gateway_doors
from tests.integration.gateway.client import Client, command
from tests.integration.gateway.running import Running, broker, permit
from tests.support.waiting import eventually

_REFUSED = "christmas_gateway_refused_total"
_DENIED = "christmas_gateway_denied_total"


@pytest.fixture
async def running(tmp_path: Path, redis_url: str) -> AsyncIterator[Running]:
    gateway = Running(tmp_path, redis_url, broker())
    await gateway.start()
    await gateway.ready()
    yield gateway
    gateway.stop()


@pytest.fixture
async def witness(running: Running) -> AsyncIterator[Client]:
    """Another strategy, in whose session nothing may happen."""
    client = Client()
    await client.connect(running.address, permit("witness"))
    await client.welcome()
    await client.wait_trading()
    yield client
    await client.close()


async def _total(running: Running, name: str) -> float:
    return sum(value for sample, value in (await running.metrics()).items() if sample.startswith(f"{name}{{"))


async def _unharmed(running: Running, witness: Client) -> None:
    assert not witness.closed
    assert witness.reports == []
    answer = await command(running.address, Command(permit=permit(role="admin"), action="statement"))
    assert isinstance(answer, CommandResult)
    statement = msgspec.json.decode(answer.message)
    assert (statement["holdings"], statement["blocked"]) == ({}, None)
    orders = await command(running.address, Command(permit=permit(role="admin"), action="orders"))
    assert isinstance(orders, CommandResult)
    assert {str(order.status) for order in orders.orders} <= {"denied"}


@pytest.mark.timeout(180)
async def test_bytes_and_frames(running: Running, witness: Client, redis_client: redis_asyncio.Redis) -> None:
    before = await _total(running, _REFUSED)
    wrong = {}
    for case in cases_frames.SECTION.cases:
        assert isinstance(case.give, bytes)
        said = await gateway_doors.strange_bytes(running, case.give)
        if said != case.message:
            wrong[case.id] = said
    assert wrong == {}
    assert await _total(running, _REFUSED) == before + len(cases_frames.SECTION.cases)

    async def told() -> bool:
        return {"BadFrame", "ProtocolVersion"} <= {alert.reason for alert in await gateway_doors.alerts(redis_client)}

    await eventually(told, what="an event for each code")
    denied_before, before = await _total(running, _DENIED), await _total(running, _REFUSED)
    for case in cases_frames.SESSION.cases:
        assert isinstance(case.give, bytes)
        said = await gateway_doors.in_session(running, case.give)
        if said != case.message:
            wrong[case.id] = said
    assert wrong == {}
    denied = sum(case.message.startswith("denied") for case in cases_frames.SESSION.cases)
    assert await _total(running, _DENIED) == denied_before + denied
    assert await _total(running, _REFUSED) == before + len(cases_frames.SESSION.cases) - denied
    await _unharmed(running, witness)


@pytest.mark.timeout(180)
async def test_permits(running: Running, witness: Client, redis_client: redis_asyncio.Redis) -> None:
    codes: set[str] = set()
    for case in cases_permits.SECTION.cases:
        assert isinstance(case.give, str)
        code = case.message.removeprefix("refused, ").partition(":")[0]
        counter = f'{_REFUSED}{{code="{code}"}}'
        before = (await running.metrics()).get(counter, 0.0)
        assert await gateway_doors.permit_given(running, case.give) == case.message
        # A process that is taken over from counts as refused too.
        assert (await running.metrics())[counter] > before
        codes.add(code)

    async def told() -> bool:
        return codes <= {alert.reason for alert in await gateway_doors.alerts(redis_client)}

    assert codes == {"PermitForged", "PermitExpired", "PermitForeign", "EpochSuperseded", "InstanceSuperseded"}
    await eventually(told, what="an event for each code")
    await _unharmed(running, witness)


async def test_a_flood_of_forged_permits_is_told_once_a_second(
    running: Running, redis_client: redis_asyncio.Redis
) -> None:
    for _ in range(50):
        await gateway_doors.permit_given(running, "none")
    metrics = await running.metrics()
    assert metrics[f'{_REFUSED}{{code="PermitForged"}}'] == 50

    async def told() -> int:
        return len([alert for alert in await gateway_doors.alerts(redis_client) if alert.reason == "PermitForged"])

    await eventually(told, what="an event")
    assert await told() < 25


async def test_an_admins_command_needs_an_admins_permit(running: Running, witness: Client) -> None:
    for recipe in ("another key", "expired", "no limits"):
        answer = await command(running.address, Command(permit=cases_permits.RECIPES[recipe](), action="flatten"))
        assert not isinstance(answer, CommandResult)
    assert not isinstance(
        await command(running.address, Command(permit=permit("witness"), action="halt")), CommandResult
    )
    await _unharmed(running, witness)


async def test_prints(tmp_path: Path, redis_url: str) -> None:
    cases = cases_ticks.SECTION.cases
    rows = (*cases_ticks.GOOD, *(str(case.give) for case in cases), *cases_ticks.LAST)
    refused, taken, counted = await gateway_doors.quarantined(tmp_path, redis_url, rows, cases_ticks.HEADER)
    assert refused == [case.message for case in cases]
    assert counted == len(cases)
    assert taken == len(cases_ticks.GOOD) + len(cases_ticks.LAST)
