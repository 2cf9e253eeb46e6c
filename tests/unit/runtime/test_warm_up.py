"""Warming up from a database that fails in its driver's own ways."""

from __future__ import annotations

import asyncpg
import pytest

from christmas.runtime.warm_up import _from_database


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InternalClientError("PoolConnectionHolder.release() called on a free connection holder"),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.InterfaceError("pool is closing"),
        ConnectionResetError("reset"),
    ],
)
async def test_a_database_that_breaks_gives_no_history_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def breaks(*_arguments: object, **_settings: object) -> None:
        raise error

    monkeypatch.setattr(asyncpg, "create_pool", breaks)
    bars = await _from_database(
        "postgresql://nowhere/x", "paper", "BTC/USDT", 60_000_000, count=3, until_us=1, market_waits=False
    )
    assert bars == []
