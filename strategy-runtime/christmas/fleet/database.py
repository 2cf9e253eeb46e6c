"""The database's schema, brought up to date when the fleet starts."""

from __future__ import annotations

from typing import Final

import asyncpg

from christmas.fleet.errors import FleetError
from christmas.ingestion.migrate import MigrationError, migrate

_CONNECT_S: Final = 10.0


async def bring_schema_up(url: str) -> tuple[str, bool]:
    """Apply what is missing; what the database can do, or why it is not there, and whether it is.

    Trading does not wait for a database that is away: the recorder waits for it, and brings the schema up
    itself. Raises FleetError when the schema is one that this version cannot work with.
    """
    try:
        connection = await asyncpg.connect(url, timeout=_CONNECT_S)
        try:
            found = await migrate(connection)
        finally:
            await connection.close()
    except (OSError, ValueError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return f"{type(error).__name__}: {error}", False
    except MigrationError as error:
        raise FleetError(str(error), "use another DATABASE_URL, or the version that wrote it") from error
    return found.summary, True
