"""What the database at hand offers beyond plain PostgreSQL, and making use of it.

TimescaleDB comes in two editions, told apart by the setting ``timescaledb.license``: ``apache`` has
hypertables, ``timescale`` (the community licence) has compression, continuous aggregates and
background policies too. All code reads and writes the same tables and views on all of them;
where a feature is missing a view or the recorder's own timer stands in.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec

if TYPE_CHECKING:
    from asyncpg import Connection

logger = logging.getLogger(__name__)

CHUNK_DAYS: Final = 1
COMPRESS_AFTER_DAYS: Final = 7


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a database can do, and which of it the schema uses."""

    postgresql: str
    """The server's version, for example ``17.11``."""
    timescaledb: str | None
    """The extension's version; None: plain PostgreSQL."""
    license: str | None
    """``apache`` or ``timescale``."""
    hypertable: bool
    """Whether ``ticks`` is one."""
    compression: bool
    continuous_aggregates: bool
    policies: bool
    """Whether the database itself drops old ticks; otherwise the recorder does."""

    @property
    def summary(self) -> str:
        """One line for people."""
        if self.timescaledb is None:
            return f"PostgreSQL {self.postgresql}, without TimescaleDB: plain tables, no compression"
        text = f"PostgreSQL {self.postgresql}, TimescaleDB {self.timescaledb} ({self.license} edition): "
        parts = ["hypertable" if self.hypertable else "plain tables (not migrated to a hypertable yet)"]
        parts.append("compression" if self.compression else "no compression")
        parts.append("continuous aggregates" if self.continuous_aggregates else "bars by a view")
        return text + ", ".join(parts)


async def capabilities(connection: Connection) -> Capabilities:
    """Look, change nothing. Works before any migration too."""
    postgresql = (await connection.fetchval("SHOW server_version")).partition(" ")[0]
    timescaledb = await connection.fetchval("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
    if timescaledb is None:
        return Capabilities(
            postgresql=postgresql,
            timescaledb=None,
            license=None,
            hypertable=False,
            compression=False,
            continuous_aggregates=False,
            policies=False,
        )
    edition = await connection.fetchval("SELECT current_setting('timescaledb.license', true)")
    row = await connection.fetchrow(
        """
        SELECT EXISTS (SELECT FROM timescaledb_information.hypertables WHERE hypertable_name = 'ticks') AS hypertable,
               EXISTS (SELECT FROM timescaledb_information.hypertables
                       WHERE hypertable_name = 'ticks' AND compression_enabled) AS compression,
               EXISTS (SELECT FROM timescaledb_information.continuous_aggregates WHERE view_name = 'bars_1m') AS bars,
               EXISTS (SELECT FROM timescaledb_information.jobs
                       WHERE hypertable_name = 'ticks' AND proc_name = 'policy_retention') AS policies
        """
    )
    return Capabilities(
        postgresql=postgresql,
        timescaledb=timescaledb,
        license=edition,
        hypertable=row["hypertable"],
        compression=row["compression"],
        continuous_aggregates=row["bars"],
        policies=row["policies"],
    )


async def adapt(connection: Connection, *, retention_days: int) -> Capabilities:
    """Make use of what the database has; again and again changes nothing. Needs the migrations applied."""
    await _create_extension(connection)
    found = await capabilities(connection)
    if found.timescaledb is not None and not found.hypertable:
        await connection.execute(
            f"""
            SELECT create_hypertable('ticks', by_range('time', INTERVAL '{CHUNK_DAYS} day'),
                                     create_default_indexes => false, migrate_data => true, if_not_exists => true)
            """
        )
    community = found.license == "timescale"
    if community and not found.compression:
        await _try(connection, "compression", _COMPRESSION)
    if community:
        await _try(connection, "retention policy", _retention_policy(retention_days))
    if not (found.continuous_aggregates or (community and await _try(connection, "bars_1m", *_AGGREGATE))):
        await connection.execute(_bars_view(timescaledb=found.timescaledb is not None))
    return await capabilities(connection)


async def _create_extension(connection: Connection) -> None:
    """Only where it is installed on the server, and we may; otherwise plain tables serve."""
    available = await connection.fetchval(
        "SELECT installed_version IS NULL FROM pg_available_extensions WHERE name = 'timescaledb'"
    )
    if available:
        await _try(connection, "the extension timescaledb", "CREATE EXTENSION IF NOT EXISTS timescaledb")


async def _try(connection: Connection, what: str, *statements: str) -> bool:
    """Run statements that a database may refuse; a refusal is logged and False is returned."""
    try:
        for statement in statements:
            await connection.execute(statement)
    except asyncpg.PostgresError as error:
        logger.warning("the database has no use of a feature", extra={"feature": what, "error": str(error)})
        return False
    return True


_COMPRESSION: Final = f"""
ALTER TABLE ticks SET (timescaledb.compress, timescaledb.compress_segmentby = 'market, symbol',
                       timescaledb.compress_orderby = 'time, trade_id');
SELECT add_compression_policy('ticks', INTERVAL '{COMPRESS_AFTER_DAYS} days', if_not_exists => true);
"""

_BAR_COLUMNS: Final = """
    market, symbol,
    sum(volume)::BIGINT AS volume, max(coalesce(high, price)) AS high, min(coalesce(low, price)) AS low,
    count(*) AS ticks
"""

# A continuous aggregate can neither be made within a transaction block nor in a statement beside another.
_AGGREGATE: Final = (
    "DROP VIEW IF EXISTS bars_1m",
    f"""
    CREATE MATERIALIZED VIEW bars_1m WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket(INTERVAL '1 minute', time) AS start, {_BAR_COLUMNS},
           first(coalesce(open, price), time) AS open, last(price, time) AS close
    FROM ticks WHERE NOT late GROUP BY 1, 2, 3 WITH NO DATA
    """,  # noqa: S608 (only constants are put in)
    """
    SELECT add_continuous_aggregate_policy('bars_1m', start_offset => NULL, end_offset => INTERVAL '2 minutes',
                                           schedule_interval => INTERVAL '1 minute', if_not_exists => true)
    """,
)


def _bars_view(*, timescaledb: bool) -> str:
    """Stands in for the continuous aggregate, with its name and its columns."""
    if timescaledb:
        first, last = "first(coalesce(open, price), time)", "last(price, time)"
    else:
        first = "(array_agg(coalesce(open, price) ORDER BY time))[1]"
        last = "(array_agg(price ORDER BY time DESC))[1]"
    return f"""
    CREATE OR REPLACE VIEW bars_1m AS
    SELECT date_bin(INTERVAL '1 minute', time, TIMESTAMPTZ 'epoch') AS start, {_BAR_COLUMNS},
           {first} AS open, {last} AS close
    FROM ticks WHERE NOT late GROUP BY 1, 2, 3
    """  # noqa: S608 (only constants are put in)


def _retention_policy(days: int) -> str:
    """By the age of a chunk, not of its ticks: a replay of an old file is not dropped the day it is made."""
    remove = "SELECT remove_retention_policy('ticks', if_exists => true);"
    if days == 0:
        return remove
    return f"{remove} SELECT add_retention_policy('ticks', drop_created_before => INTERVAL '{days:d} days');"
