"""Ctrl-C ends a fleet within a bound, whatever a store or a process does."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from christmas.fleet.event_feed import follow_events
from christmas.telemetry.cancelling import end
from tests.integration.fleet.running import BROKER, EAGER, Fleet, strategy
from tests.support.servers import ValkeyServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(300)
_ENDS_WITHIN_S = 100.0
"""The sum of what runtimes, gateways, recorder and stores are given before they are killed, and a slow machine."""


def child(parent: int, word: str) -> psutil.Process:
    children = {each: " ".join(each.cmdline()) for each in psutil.Process(parent).children()}
    found = [each for each, line in children.items() if word in line]
    assert found, f"no {word!r} among {list(children.values())}"
    return found[0]


async def test_following_events_ends_at_whichever_step_it_is_cancelled(own_valkey: ValkeyServer) -> None:
    async def follow() -> None:
        async for _ in follow_events(f"redis://127.0.0.1:{own_valkey.port}/0"):
            pass

    for steps in range(30):
        task = asyncio.create_task(follow())
        for _ in range(steps):
            await asyncio.sleep(0)
        await end(task)
        assert task.done(), f"not ended when cancelled after {steps} steps"


@pytest.mark.parametrize("stopped", ["valkey-server", "/postgres", "christmas.brokers.gateway"])
async def test_an_interrupt_ends_the_fleet_while_a_part_is_stopped(tmp_path: Path, stopped: str) -> None:
    fleet = Fleet(tmp_path)
    fleet.write("broker.yaml", BROKER)
    fleet.write("eager.yaml", strategy("eager", EAGER))
    fleet.up(str(fleet.manifests))
    part = None
    try:
        await eventually(lambda: fleet.is_trading("eager"), within_s=90.0, every_s=0.5, what="it trades")
        part = child(fleet.pid, stopped)
        os.kill(part.pid, signal.SIGSTOP)
        await asyncio.to_thread(fleet.interrupt, _ENDS_WITHIN_S)
        assert "fleet: stopping" in fleet.log.read_text()
        assert not part.is_running() or part.status() == psutil.STATUS_ZOMBIE
        assert fleet.processes() == []
    finally:
        if part is not None and part.is_running():
            part.send_signal(signal.SIGCONT)
        await asyncio.to_thread(fleet.close)
