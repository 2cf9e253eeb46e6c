"""From a Broker's feed settings to a feed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from christmas.brokers.port import Feed
from christmas.market.instrument import Instrument
from christmas.resources.broker import FeedSpec


def open_feed(
    spec: FeedSpec,
    instruments: Mapping[str, Instrument],
    *,
    base_dir: Path,
    default_symbol: str | None = None,
    paced_from_us: int = 0,
) -> Feed:
    """The feed that ``spec`` asks for. Raises FeedError (feeds/error.py), whose text names the mend.

    ``base_dir``: where relative file names start. ``default_symbol``: of files that name none.
    ``paced_from_us``: a replay hands over what is older at once (to go on after a restart).

    A replay (feeds/replay.py ReplayFeed) has ``progress: FeedProgress``; a synthetic market
    (feeds/synthetic.py SyntheticFeed) has ``history(until_us, seconds) -> list[FeedTick]``.
    """
