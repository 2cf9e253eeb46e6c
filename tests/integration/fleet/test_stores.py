"""The embedded stores start again, whatever was left by one that was killed."""

from __future__ import annotations

from pathlib import Path

from christmas.cli.borrowed_store import borrowed_database
from christmas.fleet.state import StateFolder
from christmas.fleet.stores import EmbeddedPostgres


async def test_a_database_starts_that_was_killed_while_it_made_its_lock_files(tmp_path: Path) -> None:
    """An empty one could be another server's that starts: PostgreSQL itself would refuse for good."""
    state = StateFolder(tmp_path / "state")
    state.prepare()
    store = EmbeddedPostgres(state, durable=False)
    await store.prepare()
    locks = [state.path / "postgres" / "postmaster.pid", state.sockets / ".s.PGSQL.5432.lock"]
    for lock in locks:
        lock.touch()
    async with borrowed_database(state):
        assert all(lock.stat().st_size for lock in locks)
        store.process()
        assert all(lock.exists() for lock in locks), "those of a server that runs stay"
