"""What is tried again, and what ends a part of the recorder."""

from __future__ import annotations

import asyncio

import pytest

from christmas.ingestion.retry import Attempts, keep_trying

CLOSED = "unable to perform operation on <TCPTransport closed=True reading=False 0x55a3>; the handler is closed"


async def tried(first: Exception) -> tuple[int, list[str | None]]:
    """How often work is begun whose first attempt fails like that, and what was told."""
    calls, told = 0, list[str | None]()

    async def work(attempts: Attempts) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise first
        attempts.worked()

    await keep_trying(work, market="paper", part="journal", stopping=asyncio.Event(), reason=told.append)
    return calls, told


async def test_a_connection_that_broke_while_nobody_looked_is_tried_again() -> None:
    """It has ended a whole recorder: the event loop has a word of its own for it."""
    calls, told = await tried(RuntimeError(CLOSED))
    assert calls == 2
    assert told == ["journal of paper: redis failed: ConnectionError: the connection is closed"]


async def test_a_fault_of_our_own_is_not_tried_again() -> None:
    with pytest.raises(RuntimeError, match="never reached"):
        await tried(RuntimeError("never reached"))
