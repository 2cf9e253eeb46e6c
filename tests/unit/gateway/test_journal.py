"""The journal: numbered without gaps, durable before it says so, read back as it was."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from christmas.brokers.gateway.journal import Journal, JournalFailed
from christmas.execution.journal import FillRecorded, SignalNoted, TradingChanged
from christmas.execution.order import Fill


def halt(number: int) -> TradingChanged:
    return TradingChanged(time_us=number, wall_us=0, enabled=False, reason=str(number))


def signal(number: int) -> SignalNoted:
    return SignalNoted(time_us=number, wall_us=0, symbol="BTC/USDT", signal="entry", taken=False, reason="")


async def test_callbacks_run_in_order_when_their_entries_are_on_disk(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    seen: list[tuple[int, bool]] = []
    for number in range(1, 51):
        journal.append([halt(number)], then=lambda number=number: seen.append((number, journal.durable >= number)))  # type: ignore[misc]
    await journal.flushed()
    assert seen == [(number, True) for number in range(1, 51)]
    journal.close()
    again = Journal(tmp_path / "j.sqlite")
    assert [entry.sequence for entry in again.recover()] == list(range(1, 51))
    assert again.sequence == 50
    again.close()


async def test_entries_are_read_from_memory_and_from_the_file_alike(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    journal.append([halt(number) for number in range(20)])
    await journal.flushed()
    recent = journal.read_after(5, limit=10)
    journal.close()
    again = Journal(tmp_path / "j.sqlite")
    assert again.read_after(5, limit=10) == recent
    assert [sequence for sequence, _ in recent] == list(range(6, 16))
    again.close()


async def test_signals_that_the_recorder_has_are_dropped_and_nothing_else(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    journal.append([signal(1), halt(2), signal(3)])
    await journal.flushed()
    journal.acknowledge(2)
    journal.append([halt(4)])
    await journal.flushed()
    journal.close()
    again = Journal(tmp_path / "j.sqlite")
    assert [sequence for sequence, _ in again.read_after(0)] == [2, 3, 4]
    assert again.mark("acked") == 2
    assert again.sequence == 4
    again.close()


async def test_what_nobody_waits_for_shares_a_commit_and_is_written_without_one_too(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    durable_at: list[int] = []
    journal.append([signal(1)], urgent=False, then=lambda: durable_at.append(journal.durable))
    journal.append([halt(2)], then=lambda: durable_at.append(journal.durable))
    await journal.flushed()
    assert durable_at == [2, 2]
    journal.append([signal(3)], urgent=False)
    await journal.more_than(2, 5.0)
    assert journal.durable == 3
    journal.append([signal(4)], urgent=False)
    journal.close()
    again = Journal(tmp_path / "j.sqlite")
    assert [sequence for sequence, _ in again.read_after(0)] == [1, 2, 3, 4]
    again.close()


async def test_a_disk_that_takes_nothing_more_fails_the_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    journal.append([halt(1)])
    await journal.flushed()
    journal._reader.execute("DROP TABLE entries")
    done: list[bool] = []
    journal.append([halt(2)], then=lambda: done.append(True))
    with pytest.raises(JournalFailed):
        async with asyncio.timeout(5.0):
            await journal.failed
    with pytest.raises(JournalFailed):
        journal.append([halt(3)])
    assert done == []
    journal.close()


async def test_the_last_signal_of_each_strategy_stays_known(tmp_path: Path) -> None:
    """A runtime that lost its gateway sends its last ones again: by their time they are recognised."""
    journal = Journal(tmp_path / "j.sqlite")
    journal.append([signal(10), signal(20)], owner="a")
    journal.append([signal(15)], owner="b")
    await journal.flushed()
    journal.acknowledge(3)
    await journal.flushed()
    journal.close()
    again = Journal(tmp_path / "j.sqlite", synced=False)
    assert [again.last_signal_us(owner) for owner in ("a", "b", "c")] == [20, 15, -1]
    assert [sequence for sequence, _ in again.read_after(0)] == [2, 3]
    again.close()


def filled(order: str, fill_id: str) -> FillRecorded:
    fill = Fill(
        fill_id=fill_id,
        client_order_id=order,
        symbol="BTC/USDT",
        side="buy",
        price=Decimal(100),
        lots=1,
        fee=Decimal(0),
        liquidity="maker",
        time_us=1,
    )
    return FillRecorded(time_us=1, wall_us=0, position_id=order, purpose="entry", lot_size=Decimal(1), fill=fill)


async def test_a_fill_is_found_by_its_order_and_its_own_id(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    journal.append([filled("a", "1"), filled("a", "2"), filled("b", "3")])
    await journal.flushed()
    found = [(order, number) for order in "abc" for number in "123" if journal.has_fill(order, number)]
    assert found == [("a", "1"), ("a", "2"), ("b", "3")]
    journal.close()


async def test_to_look_for_a_fill_takes_no_longer_in_a_long_journal(tmp_path: Path) -> None:
    async def steps(entries: int) -> int:
        """Of SQLite's virtual machine, to look for an old fill and an old order after so many others."""
        journal = Journal(tmp_path / f"{entries}.sqlite")
        journal.append([filled(f"order-{number}", "1") for number in range(entries)])
        await journal.flushed()
        taken = 0

        def count() -> None:
            nonlocal taken
            taken += 1

        journal._reader.set_progress_handler(count, 1)
        assert journal.has_fill("order-0", "1")
        assert not journal.has_order("order-0")
        journal._reader.set_progress_handler(None, 0)
        journal.close()
        return taken

    assert 0 < await steps(5_000) <= 2 * await steps(50)
