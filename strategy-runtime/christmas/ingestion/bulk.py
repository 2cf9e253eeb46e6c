"""Many rows in one statement.

Not by the driver's ``executemany``: when the server ends the connection in its midst, asyncpg 0.32 waits
for the answer until the statement's deadline. One statement over arrays fails at once, and is faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncpg import Connection


async def insert(connection: Connection, table: str, columns: dict[str, str], rows: Sequence[Sequence[object]]) -> None:
    """Insert ``rows`` (values in the order of ``columns``, name -> type) where no unique key forbids it."""
    if not rows:
        return
    names = ", ".join(columns)
    await connection.execute(
        f"INSERT INTO {table} ({names}) SELECT {names} FROM {unnest(columns)} ON CONFLICT DO NOTHING",  # noqa: S608 (names of ours)
        *arrays(rows),
    )


def unnest(columns: dict[str, str]) -> str:
    """``rows`` with these columns, out of as many array parameters."""
    types = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(columns.values(), 1))
    return f"unnest({types}) AS rows ({', '.join(columns)})"


def arrays(rows: Sequence[Sequence[object]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
