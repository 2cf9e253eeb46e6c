"""What all processes of one run have in common: stores, names in them, live or replay."""

from __future__ import annotations

import hashlib

import msgspec


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a fleet: an installation's, which goes on from start to start, or one replay's."""

    redis_url: str
    database_url: str
    history_url: str | None = None
    """For runtimes, who only read: a role that may not write. None: ``database_url``."""
    session_id: str
    """To whom orders and fills belong in the database."""
    replay_id: str = ""
    sentry_dsn_file: str | None = None

    @property
    def is_replay(self) -> bool:
        return bool(self.replay_id)

    def market(self, broker: str) -> str:
        """The Broker's name in Redis keys and in the database."""
        return f"{broker}.{self.replay_id}" if self.replay_id else broker

    def fixed_uid(self, name: str) -> str | None:
        """In a replay a strategy's uid is a function of its name, so that its order ids are functions of what it
        decides: of the same market cut short they are the same, and orders that tie at the venue tie alike.
        """
        if not self.replay_id:
            return None
        return hashlib.sha256(f"replay|{name}".encode()).hexdigest()[:32]
