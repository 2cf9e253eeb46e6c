"""Whether a feed from outside is silent: a pure judgement of when it was last heard."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

import msgspec

from christmas.market.instrument import Instrument

_STOOD_STILL_US: Final = 2_000_000
"""Between two looks, which are a quarter of a second apart: this process was stopped, and could hear nothing."""


class Silence(msgspec.Struct, frozen=True):
    """What there is to tell of a feed at one moment."""

    since_us: int | None = None
    """The last print, or the moment from which on there should have been one; None: it is not silent."""
    lasts_us: int = 0
    holds: str | None = None
    """Why no entries are taken; None: they are."""

    @property
    def reason(self) -> str | None:
        """None: the feed is as it should be."""
        return self.holds if self.since_us is not None else None


class FeedWatch:
    """Times are UTC µs of a clock that nobody sets (`christmas.telemetry.steady`).

    A market that is closed by all its instruments' trading hours is not silent, and from its opening on it has as
    long as ever for its first print. What an earlier process knew of prices is nothing to enter a position by, so
    entries also wait for the first print after a start.
    """

    def __init__(self, instruments: Collection[Instrument], *, silent_after_us: int, now_us: int) -> None:
        self._hours = [instrument.trading_hours for instrument in instruments]
        self._silent_after_us = silent_after_us
        self._from_us = now_us
        """From here on silence counts."""
        self._looked_us = now_us
        self._is_silent = False

    def look(self, now_us: int, heard_us: int | None, trouble: str = "") -> Silence:
        """``heard_us``: when the last print came, None before the first. ``trouble``: what its connection met with."""
        stood_still_us = now_us - self._looked_us
        self._looked_us = now_us
        if not any(hours is None or hours.is_open(now_us) for hours in self._hours):
            self._from_us, self._is_silent = now_us, False
            return Silence()
        if stood_still_us > _STOOD_STILL_US and not self._is_silent:
            self._from_us = min(now_us, max(self._from_us, heard_us or 0) + stood_still_us)
        since_us = max(self._from_us, heard_us or 0)
        self._is_silent = now_us - since_us >= self._silent_after_us
        if not self._is_silent:
            return Silence(holds=None if heard_us is not None else "no print has come since the gateway's start")
        told = f"feed silent since {_clock(since_us, now_us)} UTC"
        return Silence(since_us, now_us - since_us, f"{told}: {trouble}" if trouble else told)


def _clock(time_us: int, now_us: int) -> str:
    """The time of day; of another day with its date."""
    time, now = (datetime.fromtimestamp(each // 1_000_000, UTC) for each in (time_us, now_us))
    return f"{time:%H:%M:%S}" if time.date() == now.date() else f"{time:%Y-%m-%d %H:%M:%S}"
