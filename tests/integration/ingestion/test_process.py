"""The recorder as a process: settings, readiness, SIGKILL and SIGTERM."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest
from redis.asyncio import Redis

from christmas.ingestion.settings import MarketSettings, RecorderSettings
from christmas.market.raw import FeedTick
from christmas.telemetry.settings import ProcessStatus
from tests.integration.ingestion.support import (
    INSTRUMENT,
    Proxy,
    StreamedMarket,
    assert_stored_exactly,
    eventually_stored,
)
from tests.integration.ingestion.test_journal import assert_projected, journal, send
from tests.support.data import SPOT_BTC, read_trades
from tests.support.waiting import eventually


class Recorder:
    """A recorder process that is started, looked at and killed."""

    def __init__(self, folder: Path, redis_url: str, database_url: str) -> None:
        self._settings_file = folder / "recorder.json"
        self._status_file = folder / "status.json"
        self._log = folder / "recorder.log"
        settings = RecorderSettings(
            name="recorder",
            redis_url=redis_url,
            database_url=database_url,
            status_file=str(self._status_file),
            markets={"paper": MarketSettings(broker="paper", instruments=(INSTRUMENT,))},
        )
        self._settings_file.write_bytes(msgspec.json.encode(settings))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._status_file.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "christmas.ingestion.recorder", str(self._settings_file)],
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    async def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, 20)

    def get(self, path: str) -> tuple[int, str]:
        status = msgspec.json.decode(self._status_file.read_bytes(), type=ProcessStatus)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{status.http_port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            raise AssertionError(f"{path} does not answer: {error}") from error

    async def ready(self) -> None:
        async def asked() -> bool:
            return self._status_file.exists() and (await asyncio.to_thread(self.get, "/readyz"))[0] == 200

        try:
            await eventually(asked, within_s=30)
        except (AssertionError, OSError) as error:
            raise AssertionError(f"{error}\n{self._log.read_text()}") from error

    @property
    def log(self) -> str:
        return self._log.read_text()


@pytest.fixture
def recorder(tmp_path: Path, redis_url: str, database_url: str) -> Iterator[Recorder]:
    made = Recorder(tmp_path, redis_url, database_url)
    yield made
    made.kill()


@pytest.fixture(scope="module")
def spot(shared_data: Path) -> list[FeedTick]:
    return list(read_trades(shared_data / SPOT_BTC))


async def test_a_recorder_killed_again_and_again_stores_each_tick_and_each_order_once(
    recorder: Recorder, redis_client: Redis, database_url: str, spot: list[FeedTick]
) -> None:
    dice = random.Random(5)
    market, entries = StreamedMarket(redis_client, "paper"), journal(30)
    recorder.start()
    await recorder.ready()
    position = sent = 0
    for _ in range(5):
        end = position + 1_500
        while position < end:
            size = dice.randint(50, 200)
            await market.publish(spot[position : min(end, position + size)])
            position = min(end, position + size)
            await send(redis_client, entries[sent : sent + 3])
            sent += 3
            await asyncio.sleep(dice.uniform(0, 0.05))
        recorder.kill()
        recorder.start()
    await market.publish(spot[position:])
    await send(redis_client, entries[sent:])
    connection = await asyncpg.connect(database_url)
    try:
        await recorder.ready()
        await eventually_stored(connection, "paper", len(spot))
        assert await recorder.stop() == 0, recorder.log
        await assert_stored_exactly(connection, "paper", market.ticks)
        await assert_projected(database_url, entries)
        assert await connection.fetchval("SELECT lot_size FROM instruments") == INSTRUMENT.lot_size
    finally:
        await connection.close()


async def test_it_says_what_it_waits_for_and_gives_way_to_trading(
    tmp_path: Path, redis_url: str, timescale_database_url: str
) -> None:
    proxy = Proxy(timescale_database_url)
    await proxy.mend()
    await proxy.cut()
    recorder = Recorder(tmp_path, redis_url, proxy.url)
    try:
        recorder.start()

        async def told() -> bool:
            code, text = await asyncio.to_thread(recorder.get, "/readyz")
            return code == 503 and "database failed" in text

        await eventually((tmp_path / "status.json").exists, within_s=20)
        await eventually(told, within_s=20)
        assert (await asyncio.to_thread(recorder.get, "/healthz"))[0] == 200
        await proxy.mend()
        await recorder.ready()
        assert recorder.process is not None
        assert os.getpriority(os.PRIO_PROCESS, recorder.process.pid) >= min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
        _, metrics = await asyncio.to_thread(recorder.get, "/metrics")
        assert 'christmas_recorder_lag_ticks{market="paper"}' in metrics
        assert await recorder.stop() == 0, recorder.log
    finally:
        recorder.kill()
        await proxy.cut()


async def test_settings_that_are_wrong_are_named(tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_text('{"name":"r","redis_url":"redis://x","markets":{},"surprise":1}')
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "christmas.ingestion.recorder", str(file)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "surprise" in done.stderr
