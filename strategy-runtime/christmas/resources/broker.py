"""The Broker resource: one account at one venue, with its feed and its limits."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from christmas.market.hours import TradingHours
from christmas.resources.meta import API_VERSION, DecimalText, Duration, Metadata, Percent, Resources, Spec, Symbol


class SecretRef(Spec, frozen=True, kw_only=True):
    name: str


class InstrumentSpec(Spec, frozen=True, kw_only=True):
    symbol: Symbol
    price_increment: DecimalText
    lot_size: DecimalText
    minimum_notional: DecimalText = "0"
    minimum_lots: Annotated[int, Meta(ge=1)] = 1
    maximum_lots: Annotated[int, Meta(ge=1)] | None = None
    trading_hours: TradingHours | None = None


class ReplayFeed(Spec, frozen=True, kw_only=True):
    """Trades or bars from files (CSV, CSV.gz, Parquet, captured WebSocket JSON lines)."""

    files: Annotated[tuple[str, ...], Meta(min_length=1, max_length=100)]
    speed: Annotated[str, Meta(pattern=r"^(max|\d{1,5}(\.\d{1,3})?x)$")] = "1x"
    symbol: Symbol | None = None
    """For files that do not name one."""
    loop: bool = False


class SyntheticFeed(Spec, frozen=True, kw_only=True):
    """A seeded market: the same seed gives the same prints."""

    seed: Annotated[int, Meta(ge=0)] = 20081025
    ticks_per_second: Annotated[float, Meta(gt=0, le=5000)] = 8.0
    start_price: DecimalText = "60000"
    annual_volatility: Percent = "60%"


class ExchangeFeed(Spec, frozen=True, kw_only=True):
    """A real public feed through ccxt.pro."""

    exchange: Annotated[str, Meta(pattern=r"^[a-z0-9]{2,30}$")]
    urls: dict[str, str] = {}
    """Replaces the exchange's own addresses, by ccxt's names for them."""


class FeedSpec(Spec, frozen=True, kw_only=True):
    """Exactly one; none means synthetic."""

    replay: ReplayFeed | None = None
    synthetic: SyntheticFeed | None = None
    exchange: ExchangeFeed | None = None


class FeesSpec(Spec, frozen=True, kw_only=True):
    maker: Percent = "0.02%"
    taker: Percent = "0.05%"


class Faults(Spec, frozen=True, kw_only=True):
    """Misbehaviour that the paper venue can be told to show; probabilities per request."""

    seed: int = 1
    timeout_after_accepting: Annotated[float, Meta(ge=0, le=1)] = 0.0
    duplicate_fill: Annotated[float, Meta(ge=0, le=1)] = 0.0
    late_fill: Annotated[float, Meta(ge=0, le=1)] = 0.0
    late_fill_delay: Duration = "2s"
    disconnect: Annotated[float, Meta(ge=0, le=1)] = 0.0
    wrong_sequence: Annotated[float, Meta(ge=0, le=1)] = 0.0
    rate_limited: Annotated[float, Meta(ge=0, le=1)] = 0.0
    server_error: Annotated[float, Meta(ge=0, le=1)] = 0.0
    reject: Annotated[float, Meta(ge=0, le=1)] = 0.0


class PaperSpec(Spec, frozen=True, kw_only=True):
    """How the simulated venue behaves. Latencies are market time."""

    cash: DecimalText = "100000"
    order_latency: Duration = "50ms"
    report_latency: Duration = "50ms"
    participation: Percent = "25%"
    """The part of each print's volume that our orders may take."""
    queue_window: Duration = "60s"
    """A resting order queues behind what was traded at its price in this span before it came."""
    faults: Faults = Faults()


class AccountLimits(Spec, frozen=True, kw_only=True):
    """For the whole account, over all its strategies."""

    max_notional: DecimalText | None = None
    max_open_orders: Annotated[int, Meta(ge=1)] = 200
    max_daily_loss: DecimalText | None = None
    requests_per_minute: Annotated[int, Meta(ge=1, le=100_000)] = 1200
    """Shared fairly among the account's strategies."""
    max_tick_move: Percent = "20%"
    """A print further than this from the last is quarantined until others confirm it."""


class BrokerSpec(Spec, frozen=True, kw_only=True):
    type: Literal["paper", "ccxt", "kis"] = "paper"
    credentials_secret_ref: SecretRef | None = None
    instruments: Annotated[tuple[InstrumentSpec, ...], Meta(min_length=1, max_length=200)]
    feed: FeedSpec = FeedSpec()
    fees: FeesSpec = FeesSpec()
    paper: PaperSpec = PaperSpec()
    limits: AccountLimits = AccountLimits()
    resources: Resources = Resources()


class Broker(Spec, frozen=True, kw_only=True, tag_field="kind", tag="Broker"):
    api_version: Literal["christmas.dev/v1alpha1"] = API_VERSION
    metadata: Metadata
    spec: BrokerSpec
