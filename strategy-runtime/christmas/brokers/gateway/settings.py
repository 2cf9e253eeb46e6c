"""What a gateway process is told when it starts."""

from __future__ import annotations

from pathlib import Path

import msgspec

from christmas.resources.broker import Broker, FeedSpec, ReplayFeed
from christmas.telemetry.settings import ProcessSettings
from christmas.telemetry.unreadable import UNREADABLE


class ReplayOverride(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Replaces the Broker's feed: these files, at this speed."""

    files: tuple[str, ...]
    speed: str = "1x"
    """``1x``, ``<N>x`` or ``max``; any but 1x is lock-step."""
    symbol: str | None = None
    """For files that do not name one."""
    until_end: bool = False
    """End with the files: the process writes ``ended.json`` and exits 0."""


class GatewaySettings(ProcessSettings, frozen=True, kw_only=True):
    """Exactly one of ``broker`` and ``broker_file``."""

    broker: Broker | None = None
    broker_file: str | None = None
    """JSON of a `christmas.resources.broker.Broker`."""
    base_dir: str = "."
    """Where relative file names of the feed start."""
    listen: str
    """``unix:/path`` or ``tcp://host:port``."""
    state_directory: str
    permit_key_file: str
    market: str | None = None
    """The market's name in Redis and in the database; None: the Broker's. Where Brokers of several namespaces share
    the stores, it tells those of one name apart."""
    replay: ReplayOverride | None = None
    expected_sessions: tuple[str, ...] = ()
    """Strategies that must be connected before a lock-step replay begins, and while it goes on."""


def broker_of(settings: GatewaySettings) -> Broker:
    """The Broker; raises ValueError when there is none, or two."""
    if (settings.broker is None) is (settings.broker_file is None):
        raise ValueError("a gateway needs exactly one of broker and broker_file")
    if settings.broker is not None:
        return settings.broker
    try:
        return msgspec.json.decode(Path(settings.broker_file or "").read_bytes(), type=Broker)
    except (*UNREADABLE, ValueError, OSError) as error:
        raise ValueError(f"{settings.broker_file}: {error}") from error


def feed_of(settings: GatewaySettings, broker: Broker) -> FeedSpec:
    """The feed to open: the Broker's own, or the replay that was asked for."""
    replay = settings.replay
    if replay is None:
        return broker.spec.feed
    return FeedSpec(replay=ReplayFeed(files=replay.files, speed=replay.speed, symbol=replay.symbol))


def is_lockstep(feed: FeedSpec) -> bool:
    """A replay at any speed but the wall's."""
    return feed.replay is not None and feed.replay.speed not in {"1x", "1.0x"}


def market_of(settings: GatewaySettings, broker: Broker) -> str:
    name = settings.market or broker.metadata.name
    return f"{name}.{settings.replay_id}" if settings.replay_id else name
