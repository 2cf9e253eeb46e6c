from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from christmas.fleet.control import Answer, Apply, ControlServer, GetFleet, Request, SetState, ask
from christmas.fleet.errors import FleetError, NotRunningError
from tests.unit.resources.test_validate import BROKER, STRATEGY


async def handle(request: Request) -> Answer:
    match request:
        case Apply(strategies=strategies, brokers=brokers):
            names = [broker.metadata.name for broker in brokers] + [entry.metadata.name for entry in strategies]
            return Answer(lines=tuple(names))
        case SetState():
            raise FleetError("no", "do otherwise")
        case _:
            raise ValueError("unforeseen")


@pytest.fixture
async def socket(tmp_path: Path) -> AsyncIterator[Path]:
    server = ControlServer(tmp_path / "s", handle)
    await server.start()
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600
    yield tmp_path / "s"
    await server.close()


async def test_resources_pass_whole(socket: Path) -> None:
    assert (await ask(socket, Apply(strategies=(STRATEGY,), brokers=(BROKER,)))).lines == ("paper", "scalper")


async def test_a_refusal_comes_with_its_mend(socket: Path) -> None:
    with pytest.raises(FleetError, match=r"no \(do otherwise\)"):
        await ask(socket, SetState(name="x", state="Running"))


async def test_a_bug_is_told_and_the_server_lives(socket: Path) -> None:
    with pytest.raises(FleetError, match="ValueError: unforeseen"):
        await ask(socket, GetFleet())
    assert (await ask(socket, Apply())).ok


async def test_what_is_no_request_is_answered(socket: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(socket)
    writer.write(b"{}\n")
    assert b"not understood" in await reader.readline()
    writer.close()


async def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match="christmas up"):
        await ask(tmp_path / "none", GetFleet())


async def test_a_stuck_supervisor_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    server = await asyncio.start_unix_server(lambda reader, writer: asyncio.sleep(30), tmp_path / "s")
    with pytest.raises(FleetError, match="not answered"):
        await ask(tmp_path / "s", GetFleet(), within_s=0.2)
    server.close()
