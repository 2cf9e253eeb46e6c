"""The network between any two processes fails in its ways: nothing is lost or doubled, and trading resumes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from christmas.brokers.admin import GatewaySilentError, command
from tests.faults.bench import Bench, Process, running
from tests.faults.proxy import Fault
from tests.integration.gateway.running import KEY
from tests.support.servers import ValkeyServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(240)
HALF_OPEN = Fault(half_open=True)
SLOW = Fault(bytes_per_s=20_000.0)
DELAYED = Fault(delay_s=0.1, jitter_s=0.15)
MENDED_WITHIN_S = 45.0


@pytest.fixture
async def bench(tmp_path: Path, own_valkey: ValkeyServer, database_url: str) -> AsyncIterator[Bench]:
    async with running(tmp_path, own_valkey, database_url) as one:
        yield one


async def held(bench: Bench, link: str, fault: Fault, shown: str, at: str) -> None:
    """Put a fault on a link, see it in the condition and the metric of the process ``at`` while it lasts, take it off,
    and see both go."""
    process = getattr(bench, at)
    with bench.links[link].with_fault(fault):
        await eventually(
            lambda: shown in (process.why_not_ready() or ""), within_s=25.0, every_s=0.2, what=f"{at} shows {shown!r}"
        )
        assert process.metrics()["christmas_process_ready"] == 0.0
    bench.links[link].cut()
    await ready(process, at)
    assert process.metrics()["christmas_process_ready"] == 1.0


async def ready(process: Process, name: str) -> None:
    """Return when it is; else what it waits for, and its last words, are in the failure."""

    def is_ready() -> bool:
        reason = process.why_not_ready()
        assert reason is None, f"{reason}\n{process.log.read_text()[-3000:]}"
        return True

    await eventually(is_ready, within_s=MENDED_WITHIN_S, every_s=0.2, what=f"{name} ready")


async def test_between_gateway_and_redis(bench: Bench) -> None:
    for fault in (HALF_OPEN, Fault(lost=frozenset({"back"}))):
        await held(bench, "gateway-redis", fault, "ticks wait for Redis", "gateway")
        await bench.trading(within_s=MENDED_WITHIN_S)
    with bench.links["gateway-redis"].gone():
        await eventually(
            lambda: bench.gateway.metrics()["christmas_gateway_redis_away"] == 1.0, within_s=20.0, what="the metric"
        )
    await bench.trading(within_s=MENDED_WITHIN_S)
    assert bench.event(event="alert", reason="RedisUnavailable")
    assert await bench.audited() == []


async def test_between_runtime_and_redis(bench: Bench) -> None:
    await held(bench, "runtime-redis", HALF_OPEN, "the stream waits for Redis", "runtime")
    await bench.trading(within_s=MENDED_WITHIN_S)
    with bench.links["runtime-redis"].gone():
        await eventually(
            lambda: bench.runtime.metrics().get('christmas_runtime_waiting{what="redis"}') == 1.0,
            within_s=20.0,
            what="the metric",
        )
    await bench.trading(within_s=MENDED_WITHIN_S)
    assert bench.event(event="state", component="runtime", state="Waiting", message="waits for Redis")
    assert await bench.audited() == []


async def test_between_runtime_and_gateway(bench: Bench) -> None:
    """The session is silent, one-way, reset and slow in turn; no order of it is lost or repeated."""
    await held(bench, "runtime-gateway", HALF_OPEN, "gateway", "runtime")
    await bench.trading(within_s=MENDED_WITHIN_S)
    for lost in ("there", "back"):
        await held(bench, "runtime-gateway", Fault(lost=frozenset({lost})), "gateway", "runtime")
        await bench.trading(within_s=MENDED_WITHIN_S)
    for _ in range(5):
        bench.links["runtime-gateway"].cut()
        await bench.trading(more=1, within_s=MENDED_WITHIN_S)
    with bench.links["runtime-gateway"].with_fault(DELAYED):
        await bench.trading(more=3, within_s=MENDED_WITHIN_S)
    assert bench.event(event="state", component="runtime", state="Waiting", message="gateway")
    assert bench.event(event="state", component="gateway", state="SessionClosed")
    assert await bench.audited() == []


@pytest.mark.parametrize("store", ["database", "redis"])
async def test_between_recorder_and_its_stores(bench: Bench, store: str) -> None:
    """Trading does not notice; what waited is stored afterwards, once."""
    link, recorder = bench.links[f"recorder-{store}"], bench.recorder
    with link.gone():
        await eventually(
            lambda: f"{store} failed" in (recorder.why_not_ready() or ""), within_s=20.0, every_s=0.2, what="condition"
        )
        failures = [value for name, value in recorder.metrics().items() if f'kind="{store}"' in name]
        assert sum(failures) > 0
        if store == "database":
            # Redis takes the event while the database is away.
            await eventually(lambda: bench.event(event="state", component="recorder", state="Waiting"), what="event")
        await bench.trading()
    await ready(recorder, "recorder")
    await eventually(lambda: bench.event(event="state", component="recorder", state="Waiting"), what="the event")
    with link.with_fault(SLOW):
        await bench.trading()
    assert await bench.audited() == []


async def test_slow_and_delayed_links_delay_and_lose_nothing(bench: Bench) -> None:
    """Jitter reorders what travels on different connections: doorbells, sets, journal, sessions."""
    for link in ("gateway-redis", "runtime-redis", "recorder-redis", "recorder-database", "runtime-gateway"):
        bench.links[link].fault = DELAYED
    await bench.trading(more=3, within_s=MENDED_WITHIN_S)
    for proxy in bench.links.values():
        proxy.fault = Fault()
    with bench.links["runtime-redis"].with_fault(SLOW):
        await bench.trading(more=1, within_s=MENDED_WITHIN_S)
    await bench.trading(within_s=MENDED_WITHIN_S)
    assert await bench.audited() == []


async def test_history_that_does_not_answer_keeps_no_runtime_from_starting(bench: Bench) -> None:
    bench.runtime.end()
    with bench.links["runtime-database"].with_fault(HALF_OPEN):
        bench.runtime = bench.make_runtime(epoch=2, folder="runtime-again")
        bench.runtime.start()
        began = time.monotonic()
        await bench.trading(within_s=60.0)
        assert time.monotonic() - began < 60.0
    assert await bench.audited() == []


async def test_a_command_over_a_dead_link_ends_by_its_deadline(bench: Bench) -> None:
    link = bench.links["admin-gateway"]
    with link.with_fault(HALF_OPEN):
        began = time.monotonic()
        with pytest.raises(GatewaySilentError, match="does not answer"):
            await command(link.address, KEY, broker="paper", action="positions", within_s=3.0)
        assert time.monotonic() - began < 15.0
    link.cut()
    assert (await command(link.address, KEY, broker="paper", action="positions")).ok
