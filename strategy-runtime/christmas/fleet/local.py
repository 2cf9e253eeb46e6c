"""A fleet on this machine: which stores, which session, and its life from start to end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from christmas.fleet.launch import sentry_dsn_file
from christmas.fleet.session import Session
from christmas.fleet.state import StateFolder
from christmas.fleet.stores import EmbeddedPostgres, EmbeddedStore, EmbeddedValkey


class Opened(NamedTuple):
    session: Session
    embedded: Sequence[EmbeddedStore]


def open_session(
    state: StateFolder, environment: Mapping[str, str], *, replay_id: str = "", durable: bool = True
) -> Opened:
    """The stores that ``REDIS_URL`` and ``DATABASE_URL`` name, embedded ones for those they do not.

    ``HISTORY_URL`` may name the database by a role that only reads: runtimes get it instead, so that a
    strategy's code never sees the writer's password. ``durable`` False: embedded stores do not sync to
    disk, for state that is thrown away. Raises FleetError when the state folder's own files are damaged.
    """
    # Better told now than when the first runtime is to start.
    state.epochs()
    embedded: list[EmbeddedStore] = []
    redis_url, database_url = environment.get("REDIS_URL"), environment.get("DATABASE_URL")
    if not redis_url:
        valkey = EmbeddedValkey(state, durable=durable)
        embedded.append(valkey)
        redis_url = valkey.url
    if not database_url:
        postgres = EmbeddedPostgres(state, durable=durable)
        embedded.append(postgres)
        database_url = postgres.url
    session = Session(
        redis_url=redis_url,
        database_url=database_url,
        history_url=environment.get("HISTORY_URL") or None,
        session_id=f"replay-{replay_id}" if replay_id else state.session_id(),
        replay_id=replay_id,
        sentry_dsn_file=sentry_dsn_file(state, environment),
    )
    return Opened(session, embedded)
