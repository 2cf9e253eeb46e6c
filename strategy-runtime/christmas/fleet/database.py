"""The database's schema, brought up to date as soon as the database is there."""

from __future__ import annotations

import asyncio
import random
from typing import Final

import asyncpg

from christmas.fleet.errors import FleetError
from christmas.ingestion.migrate import MigrationError, migrate

_CONNECT_S: Final = 10.0
_RETRY_FIRST_S: Final = 1.0
_RETRY_LONGEST_S: Final = 30.0


class Schema:
    """Trading does not wait for it: only the recorder does."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.ready = False
        self.summary = "not looked at yet"
        """What the database can do, or why it is not there."""

    async def bring_up(self) -> bool:
        """Apply what is missing; False when the database does not answer. Raises FleetError for a foreign schema."""
        try:
            connection = await asyncpg.connect(self._url, timeout=_CONNECT_S)
            try:
                found = await migrate(connection)
            finally:
                await connection.close()
        except (OSError, ValueError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            self.summary = f"{type(error).__name__}: {error}"
            return False
        except MigrationError as error:
            raise FleetError(str(error), "use another DATABASE_URL, or the version that wrote it") from error
        self.ready, self.summary = True, found.summary
        return True

    async def bring_up_when_there(self, done: asyncio.Event) -> None:
        """Try until it works; back-off with jitter."""
        wait = _RETRY_FIRST_S
        while not await self.bring_up():
            await asyncio.sleep(wait * (0.5 + random.random() / 2))
            wait = min(wait * 2, _RETRY_LONGEST_S)
        done.set()
