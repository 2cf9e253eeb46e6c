"""What the fleet looks like from outside: read by the live table and by the command line."""

from __future__ import annotations

import msgspec

from christmas.fleet.decide import Phase
from christmas.resources.broker import Broker
from christmas.resources.strategy import Strategy
from christmas.telemetry.status import RuntimeStatus


class ProcessView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    kind: str
    name: str
    phase: Phase
    ready: bool = False
    message: str = ""
    """Why it is not ready, or how it ended."""
    pid: int | None = None
    restarts: int = 0
    running_s: float = 0.0
    cpu_percent: float = 0.0
    """Of one core."""
    rss_bytes: int = 0
    http_port: int = 0
    memory_limit_bytes: int | None = None
    cpu_limited: bool = False
    log: str = ""


class StrategyView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    resource: Strategy
    process: ProcessView
    epoch: int = 0
    drifted: bool = False
    """The manifest changed, and updatePolicy keeps the old one running for now."""
    runtime: RuntimeStatus | None = None

    @property
    def name(self) -> str:
        return self.resource.metadata.name

    @property
    def why(self) -> str:
        """One sentence on what it does, or why it does not trade."""
        if self.process.phase != "Running":
            return self.process.message or self.process.phase
        drift = "manifest changed, restarts when flat; " if self.drifted else ""
        if self.runtime is None:
            return drift + (self.process.message or "no status yet")
        return drift + self.runtime.why


class BrokerView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    resource: Broker
    process: ProcessView
    market: str
    strategies: int = 0

    @property
    def name(self) -> str:
        return self.resource.metadata.name

    @property
    def feed(self) -> str:
        feed = self.resource.spec.feed
        if feed.replay is not None:
            return f"replay at {feed.replay.speed}"
        return f"exchange {feed.exchange.exchange}" if feed.exchange is not None else "synthetic"


class FleetView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    version: str
    pid: int
    state_folder: str
    session_id: str
    redis_url: str
    database_url: str
    database: str = ""
    """The database's capabilities in a sentence, or why it is not there."""
    replay_id: str = ""
    running_s: float = 0.0
    cpu_limits: str = ""
    """Empty when CPU limits are enforced, else why not."""
    strategies: tuple[StrategyView, ...] = ()
    brokers: tuple[BrokerView, ...] = ()
    processes: tuple[ProcessView, ...] = ()
    """Stores and recorder."""
