"""From a Broker's feed settings to a feed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from christmas.brokers.feeds.error import FeedError
from christmas.brokers.feeds.exchange import PublicExchangeFeed
from christmas.brokers.feeds.replay import ReplayFeed
from christmas.brokers.feeds.synthetic import SyntheticFeed
from christmas.brokers.port import Feed
from christmas.market.instrument import Instrument
from christmas.resources import broker
from christmas.resources.meta import duration_us, fraction


def open_feed(
    spec: broker.FeedSpec,
    instruments: Mapping[str, Instrument],
    *,
    base_dir: Path,
    default_symbol: str | None = None,
    paced_from_us: int = 0,
) -> Feed:
    """The feed that ``spec`` asks for. Raises FeedError, whose text names the mend.

    ``base_dir``: where relative file names start. ``default_symbol``: of files that name none; a
    Broker with one instrument needs neither it nor ``symbol``.
    ``paced_from_us``: a replay hands over what is older at once (to go on after a restart).

    A `ReplayFeed` has ``progress``; a `SyntheticFeed` has ``history(until_us, seconds)``.
    """
    chosen = [each for each in (spec.replay, spec.synthetic, spec.exchange) if each is not None]
    if len(chosen) > 1:
        raise FeedError("feed: give one of replay, synthetic and exchange, not several")
    if spec.replay is not None:
        only = next(iter(instruments)) if len(instruments) == 1 else None
        return ReplayFeed(
            [base_dir / Path(file).expanduser() for file in spec.replay.files],
            speed=spec.replay.speed,
            symbol=spec.replay.symbol or default_symbol or only,
            known=instruments,
            loop=spec.replay.loop,
            paced_from_us=paced_from_us,
        )
    if spec.exchange is not None:
        return PublicExchangeFeed(
            spec.exchange.exchange,
            tuple(instruments),
            urls=spec.exchange.urls,
            silent_after_s=duration_us(spec.exchange.silent_after) / 1e6,
        )
    synthetic = spec.synthetic or broker.SyntheticFeed()
    return SyntheticFeed(
        tuple(instruments.values()),
        seed=synthetic.seed,
        ticks_per_second=synthetic.ticks_per_second,
        start_price=float(synthetic.start_price),
        annual_volatility=float(fraction(synthetic.annual_volatility)),
    )
