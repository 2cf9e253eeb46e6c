"""Brings a database's schema to this version: numbered SQL files, each applied once, in order.

Every migration runs in a transaction of its own together with the row that records it, under an
advisory lock, so processes that start at the same time do not disturb each other and a migration
that fails leaves nothing behind. An applied file may never change: its checksum is verified.
What depends on the edition of TimescaleDB is not here but in `christmas.ingestion.features`, because
an edition can change while the schema stays.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import msgspec

from christmas.ingestion.features import adapt

if TYPE_CHECKING:
    import asyncpg

    from christmas.ingestion.features import Capabilities

logger = logging.getLogger(__name__)

LOCK_KEY: Final = 0x0C_15_7A_5D
"""Of the advisory lock under which a schema is changed."""
_DEADLINE_S: Final = 120.0
_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    INTEGER     PRIMARY KEY,
    name       TEXT        NOT NULL,
    checksum   TEXT        NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
)
"""


class MigrationError(Exception):
    """The database's schema is not one that this version can bring forward."""


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def bundled_migrations() -> tuple[Migration, ...]:
    """The migrations of this version, in order; raises MigrationError when their numbers have a gap."""
    found = []
    for file in files("christmas.ingestion").joinpath("migrations").iterdir():
        match = _NAME.fullmatch(file.name)
        if match is not None:
            found.append(Migration(version=int(match[1]), name=match[2], sql=file.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.version)
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError(f"the bundled migrations are not numbered 1 to {len(found)}")
    return tuple(found)


async def migrate(
    connection: asyncpg.Connection,
    migrations: Sequence[Migration] | None = None,
    *,
    retention_days: int = 0,
) -> Capabilities:
    """Apply what is missing, fit the tables to the database's edition, and say what it can do.

    ``retention_days`` 0 keeps ticks for ever. Safe to call from several processes at once, and again.
    Raises MigrationError when the database was written by a newer version or by changed files.
    """
    wanted = bundled_migrations() if migrations is None else tuple(migrations)
    async with asyncio.timeout(_DEADLINE_S):
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
        try:
            await connection.execute(_TABLE)
            for migration in pending(wanted, await _applied(connection)):
                await _apply(connection, migration)
            return await adapt(connection, retention_days=retention_days)
        finally:
            if not connection.is_closed():
                await connection.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)


async def schema_version(connection: asyncpg.Connection) -> int:
    """The last applied migration's number; 0 for a database that was never migrated."""
    if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return 0
    return int(await connection.fetchval("SELECT coalesce(max(version), 0) FROM schema_migrations"))


def pending(wanted: Sequence[Migration], applied: dict[int, str]) -> list[Migration]:
    """Those of ``wanted`` that are not in ``applied`` (version -> checksum).

    Raises MigrationError when what was applied is not a beginning of what is wanted.
    """
    by_version = {migration.version: migration for migration in wanted}
    for version, checksum in sorted(applied.items()):
        migration = by_version.get(version)
        if migration is None:
            raise MigrationError(
                f"the database has migration {version}, which this version does not know: "
                "it was written by a newer one; upgrade christmas"
            )
        if migration.checksum != checksum:
            raise MigrationError(
                f"migration {version:04}_{migration.name} was changed after it had been applied to this database"
            )
    newest = max(applied, default=0)
    missing = [version for version in by_version if version < newest and version not in applied]
    if missing:
        raise MigrationError(f"the database has migration {newest} and lacks {missing[0]}")
    return [migration for migration in wanted if migration.version > newest]


async def _applied(connection: asyncpg.Connection) -> dict[int, str]:
    rows = await connection.fetch("SELECT version, checksum FROM schema_migrations")
    return {row["version"]: row["checksum"] for row in rows}


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
            migration.version,
            migration.name,
            migration.checksum,
        )
    logger.info("migration applied", extra={"version": migration.version, "migration": migration.name})
