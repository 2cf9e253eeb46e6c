"""Disk, files, clock, memory and processor fail in their ways: refused with words, or got over, and nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from christmas.execution.protocol import Refused, Welcome
from tests.faults.bench import Bench, Process, running
from tests.faults.clock import NoCompiler, SteppedClock
from tests.integration.gateway.client import Client
from tests.integration.gateway.running import permit
from tests.support.servers import ValkeyServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(240)
RESUMES_WITHIN_S = 45.0


@pytest.fixture
async def bench(tmp_path: Path, own_valkey: ValkeyServer, database_url: str) -> AsyncIterator[Bench]:
    async with running(tmp_path, own_valkey, database_url) as one:
        yield one


# --- the journal --------------------------------------------------------------------------------


def flip_in_the_log(state: Path) -> None:
    """One bit of a committed frame of the write-ahead log: SQLite drops it and all behind it, and says nothing."""
    log = state / "journal.sqlite-wal"
    raw = bytearray(log.read_bytes())
    salt, frame = raw[16:24], 24 + 4096
    valid = [at for at in range(32, len(raw) - frame, frame) if raw[at + 8 : at + 16] == salt]
    raw[valid[len(valid) // 2] + 24 + 2000] ^= 0x10
    log.write_bytes(raw)


def tear_the_last_page(state: Path) -> None:
    """Of the log's valid frames the last one is half written."""
    log = state / "journal.sqlite-wal"
    raw = bytearray(log.read_bytes())
    salt, frame = raw[16:24], 24 + 4096
    last = max(at for at in range(32, len(raw) - frame, frame) if raw[at + 8 : at + 16] == salt)
    raw[last + 2048 : last + frame] = bytes(frame - 2048)
    log.write_bytes(raw)


def change_an_entry(state: Path) -> None:
    with sqlite3.connect(state / "journal.sqlite") as journal:
        journal.execute(
            "UPDATE entries SET body = CAST(replace(body, '\"lots\":', '\"lots\":1') AS BLOB) WHERE sequence ="
            " (SELECT min(sequence) FROM entries WHERE kind = 'order_written')"
        )


def lose_an_entry(state: Path) -> None:
    with sqlite3.connect(state / "journal.sqlite") as journal:
        journal.execute(
            "DELETE FROM entries WHERE sequence = (SELECT min(sequence) FROM entries WHERE kind = 'order_changed')"
        )


def lose_the_end(state: Path) -> None:
    with sqlite3.connect(state / "journal.sqlite") as journal:
        journal.execute("DELETE FROM entries WHERE sequence > (SELECT max(sequence) - 3 FROM entries)")


def break_a_page(state: Path) -> None:
    with sqlite3.connect(state / "journal.sqlite") as journal:
        journal.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    with (state / "journal.sqlite").open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(4096))


def loses_entries(copy: Path, damage: Callable[[Path], None], scratch: Path) -> bool:
    """Whether so damaged it ends before what had been on disk. It does not where the log's end is written back
    already, holds but a mark, or came on disk in the moment of the kill: such damage costs nothing."""
    shutil.copytree(copy, scratch)
    head = int.from_bytes((scratch / "journal.head").read_bytes(), "big")
    try:
        damage(scratch)
        with contextlib.closing(sqlite3.connect(scratch / "journal.sqlite")) as journal:
            return bool((journal.execute("SELECT max(sequence) FROM entries").fetchone()[0] or 0) < head)
    finally:
        shutil.rmtree(scratch)


async def killed_with_entries_in_the_log(bench: Bench, copy: Path) -> None:
    """Kill the gateway, and copy its state to ``copy``, at a moment when damage to the log's end loses entries."""
    for _ in range(20):
        os.kill(bench.gateway.pid, signal.SIGKILL)
        assert bench.gateway.process is not None
        bench.gateway.process.wait(10)
        shutil.copytree(bench.journal.parent, copy)
        if all(loses_entries(copy, one, copy.with_name("scratch")) for one in (flip_in_the_log, tear_the_last_page)):
            return
        shutil.rmtree(copy)
        bench.gateway.start()
        await bench.trading(within_s=RESUMES_WITHIN_S)
    pytest.fail("the log never had an entry at its end when the gateway was killed")


async def test_a_damaged_journal_is_refused_by_name_and_an_undamaged_copy_goes_on(bench: Bench, tmp_path: Path) -> None:
    state, copy = bench.journal.parent, tmp_path / "undamaged"
    await killed_with_entries_in_the_log(bench, copy)
    damages: list[Callable[[Path], None]] = [
        flip_in_the_log,
        tear_the_last_page,
        change_an_entry,
        lose_an_entry,
        lose_the_end,
        break_a_page,
    ]
    for damage in damages:
        shutil.rmtree(state)
        shutil.copytree(copy, state)
        damage(state)
        bench.gateway.log.write_bytes(b"")
        bench.gateway.start()
        assert bench.gateway.process is not None
        code = await asyncio.to_thread(bench.gateway.process.wait, 30)
        words = bench.gateway.log.read_text()
        assert code == 2, f"{damage.__name__}: {words}"
        assert f"{state}/journal.sqlite: the journal is damaged" in words, f"{damage.__name__}: {words}"
        assert "Put back an undamaged copy" in words
    shutil.rmtree(state)
    shutil.copytree(copy, state)
    bench.gateway.start()
    await bench.trading(within_s=RESUMES_WITHIN_S)
    assert await bench.audited() == []


async def test_a_full_disk_stops_orders_and_loses_none(bench: Bench) -> None:
    """No byte more can be written to any file of the gateway; then there is room again."""
    pid = bench.gateway.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        await eventually(
            lambda: "the journal waits for its disk" in (bench.gateway.why_not_ready() or ""),
            within_s=20.0,
            every_s=0.2,
            what="the condition",
        )
        assert bench.gateway.metrics()["christmas_gateway_journal_stalled"] == 1.0
        await eventually(lambda: bench.event(event="alert", reason="JournalWaits", severity="critical"), what="event")
        assert bench.gateway.exit_code is None
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    await eventually(
        lambda: bench.gateway.why_not_ready() is None, within_s=RESUMES_WITHIN_S, every_s=0.2, what="ready"
    )
    await bench.trading(within_s=RESUMES_WITHIN_S)
    assert bench.gateway.metrics()["christmas_gateway_journal_stalled"] == 0.0
    assert await bench.audited() == []


# --- the clock ----------------------------------------------------------------------------------


async def test_a_stepped_clock_breaks_no_bar_and_revives_no_permit(bench: Bench, tmp_path: Path) -> None:
    try:
        clock = SteppedClock(tmp_path)
    except NoCompiler as error:
        pytest.skip(str(error))
    for process in (bench.runtime, bench.gateway, bench.recorder):
        await asyncio.to_thread(process.end)
        process.start(clock.environment)
    await bench.trading(within_s=RESUMES_WITHIN_S)
    late, published = _late_and_published(bench)
    brief = permit("brief", expires_us=time.time_ns() // 1000 + 1_000_000)
    await eventually(lambda: _is_expired(bench, brief), within_s=10.0, every_s=0.2, what="the permit expires")
    for seconds in (-7_200, 3_600, 0):
        clock.step(seconds)
        await bench.trading(within_s=RESUMES_WITHIN_S)
        assert await _is_expired(bench, brief), f"valid again after a step of {seconds} s"
    # A gateway that obeyed the clock would find every print late; one that stood still for a moment finds some.
    late_now, published_now = _late_and_published(bench)
    assert late_now - late <= (published_now - published) / 4
    assert await bench.audited() == []


def _late_and_published(bench: Bench) -> tuple[float, float]:
    metrics = bench.gateway.metrics()
    return (
        metrics.get('christmas_market_late_ticks_total{market="paper"}', 0.0),
        metrics['christmas_market_ticks_written_total{market="paper"}'],
    )


async def _is_expired(bench: Bench, text: str) -> bool:
    client = Client()
    await client.connect(f"unix:{bench.folder}/g.sock", text)
    try:
        await eventually(lambda: any(isinstance(frame, Refused | Welcome) for frame in client.frames))
        return client.refused is not None and client.refused.code == "PermitExpired"
    finally:
        await client.close()


# --- files and processor ------------------------------------------------------------------------


async def test_a_gateway_without_file_descriptors_gets_over_it(bench: Bench) -> None:
    pid = bench.gateway.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        for link in ("gateway-redis", "runtime-gateway"):
            bench.links[link].cut()
        await eventually(
            lambda: bench.runtime.why_not_ready() is not None, within_s=20.0, every_s=0.2, what="the runtime shows it"
        )
        await eventually(
            lambda: "does not answer" in (bench.gateway.why_not_ready() or ""),
            within_s=20.0,
            what="the gateway shows it",
        )
        assert bench.gateway.exit_code is None
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    await bench.trading(within_s=RESUMES_WITHIN_S)
    assert await bench.audited() == []


async def test_processes_that_are_stopped_and_woken_go_on(bench: Bench) -> None:
    """Longer than every deadline of the session protocol (3 s) and of Redis (5 s)."""
    for process in (bench.gateway, bench.runtime, bench.recorder):
        with process.stopped():
            await asyncio.to_thread(_watch_silence, process.why_not_ready)
        await bench.trading(within_s=RESUMES_WITHIN_S)
        await _ready(process)
    os.kill(bench.valkey.pid, signal.SIGSTOP)
    try:
        await eventually(
            lambda: "ticks wait for Redis" in (bench.gateway.why_not_ready() or ""), within_s=20.0, every_s=0.2
        )
    finally:
        os.kill(bench.valkey.pid, signal.SIGCONT)
    await bench.trading(within_s=RESUMES_WITHIN_S)
    assert await bench.audited() == []


async def _ready(process: Process) -> None:
    await eventually(lambda: process.why_not_ready() is None, within_s=RESUMES_WITHIN_S, every_s=0.2)


def _watch_silence(why_not_ready: Callable[[], str | None]) -> None:
    """For six seconds the process answers nobody, which is what the fleet then shows."""
    until = time.monotonic() + 6.0
    while time.monotonic() < until:
        assert "does not answer" in (why_not_ready() or "")
