"""The embedded database of a state folder whose fleet does not run, started for as long as a command reads it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from christmas.fleet.state import StateFolder
from christmas.fleet.stores import EmbeddedPostgres, store_failure

_START_S: Final = 30.0
_STOP_S: Final = 10.0
_POLL_S: Final = 0.1


def has_database(state: StateFolder) -> bool:
    """Whether an embedded database was ever used there."""
    return (state.path / "postgres" / "PG_VERSION").exists()


@contextlib.asynccontextmanager
async def borrowed_database(state: StateFolder) -> AsyncIterator[str]:
    """Its URL. No fleet can start from the folder meanwhile. Raises FleetError."""
    state.prepare()
    state.lock()
    try:
        store = EmbeddedPostgres(state, durable=True)
        await store.prepare()
        process = store.process()
        await process.start()
        try:
            async with asyncio.timeout(_START_S):
                while await store.probe() is not None:
                    if process.exit_code is not None:
                        raise store_failure(store, process, state)
                    await asyncio.sleep(_POLL_S)
            yield store.url
        except TimeoutError as error:
            raise store_failure(store, process, state) from error
        finally:
            await process.stop(_STOP_S)
    finally:
        state.unlock()
