"""What a recorder is told when it starts."""

from __future__ import annotations

import msgspec

from christmas.market.instrument import Instrument
from christmas.telemetry.settings import ProcessSettings


class MarketSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One market whose ticks and journal to record."""

    broker: str
    instruments: tuple[Instrument, ...]
    symbols: tuple[str, ...] = ()
    """Empty: those of the instruments."""
    session_id: str | None = None
    """What its orders and fills belong to; None: the recorder's own."""

    @property
    def recorded_symbols(self) -> tuple[str, ...]:
        return self.symbols or tuple(instrument.symbol for instrument in self.instruments)


class RecorderSettings(ProcessSettings, frozen=True, kw_only=True):
    """``database_url`` must be set."""

    markets: dict[str, MarketSettings] = {}
    """By market, the name in Redis keys and in the database."""
    discover: bool = False
    """Record every market that a gateway announces in Redis, too."""
    reader_url: str | None = None
    """The URL by which runtimes read history: the role in it is made, with that password, and may only read."""
    batch_ticks: int = 20_000
    """At most so many ticks are written in one transaction."""
    interval_ms: int = 200
    """How long ticks may wait in Redis for others to be written with; entries of the journal half as long."""
    retention_days: int = 0
    """Ticks are dropped so many days after they were recorded; 0: never."""
    niceness: int = 10
    """Added to the process's nice value, so that recording gives way to trading."""
