"""A journal on a file system that is really full: entries wait, none is lost, and it goes on when there is room."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from christmas.brokers.gateway.journal import Journal
from christmas.execution.journal import SignalNoted
from tests.support.waiting import eventually

_SIZE = "96m"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no small file system: {mounted.stderr.strip()}; run the tests as root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(file: Path) -> None:
    """To the last byte."""
    with file.open("wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    filler.write(bytes(size))


def noted(text: str) -> SignalNoted:
    return SignalNoted(time_us=1, wall_us=1, strategy="s", symbol="BTC/USDT", signal="entry", taken=False, reason=text)


async def test_a_full_disk_makes_entries_wait_and_loses_none(small_disk: Path) -> None:
    journal = Journal(small_disk / "journal.sqlite")
    written: list[int] = []
    said: list[str | None] = []
    journal.on_waiting = said.append

    def append(number: int) -> None:
        # More than the room that the journal has set aside.
        journal.append([noted("x" * 100_000)], owner="uid", then=lambda: written.append(number))

    try:
        append(0)
        await eventually(lambda: written == [0])
        filler = small_disk / "filler"
        fill(filler)
        assert os.statvfs(small_disk).f_bavail == 0
        count = 200
        for number in range(1, count):
            append(number)
            await asyncio.sleep(0)
        await eventually(lambda: said and said[-1], within_s=60, what="it says that it waits")
        assert len(written) < count
        filler.unlink()
        await eventually(lambda: journal.failed.done() or written == list(range(count)), within_s=60)
        assert not journal.failed.done(), journal.failed
        await eventually(lambda: said[-1] is None, what="it says that it goes on")
        assert len(journal.read_after(0, 1_000)) == count
    finally:
        journal.close()
