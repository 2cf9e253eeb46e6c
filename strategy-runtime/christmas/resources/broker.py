"""The Broker resource: one account at one venue, with its feed and its limits."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from christmas.market.hours import TradingHours
from christmas.resources.meta import (
    API_VERSION,
    DecimalText,
    Duration,
    LabelKey,
    LabelValue,
    Metadata,
    ObjectName,
    Percent,
    Resources,
    Spec,
    Storage,
    Symbol,
    Toleration,
)

Lots = Annotated[int, Meta(ge=1, le=1_000_000_000_000_000)]
Probability = Annotated[float, Meta(ge=0, le=1)]
Seed = Annotated[int, Meta(ge=0, le=9_007_199_254_740_991)]


class SecretRef(Spec, frozen=True, kw_only=True):
    """A Secret in the Broker's namespace."""

    name: ObjectName
    """Its name."""


class InstrumentSpec(Spec, frozen=True, kw_only=True):
    """One thing that can be traded, with the venue's terms for it."""

    symbol: Symbol
    """Its name, with the quote currency: BTC/USDT."""
    price_increment: DecimalText
    """Prices are whole multiples of it."""
    lot_size: DecimalText
    """Quantities are whole multiples of it."""
    minimum_notional: DecimalText = "0"
    """Price times quantity of the smallest order, in the quote currency."""
    minimum_lots: Lots = 1
    """Of one order."""
    maximum_lots: Lots | None = None
    """Of one order."""
    trading_hours: TradingHours | None = None
    """When the venue trades it; none means always."""


class ReplayFeed(Spec, frozen=True, kw_only=True):
    """Trades or bars from files (CSV, CSV.gz, Parquet, captured WebSocket JSON lines)."""

    files: Annotated[tuple[Annotated[str, Meta(max_length=1024)], ...], Meta(min_length=1, max_length=100)]
    """In the order in which they are played."""
    speed: Annotated[
        str, Meta(pattern=r"^(max|[0-9]{1,5}(\.[0-9]{1,3})?x)$", description="1x, any other like 10x, or max.")
    ] = "1x"
    """1x is as it was; max is as fast as the machine can."""
    symbol: Symbol | None = None
    """For files that do not name one."""
    loop: bool = False
    """Begin again at the end."""


class SyntheticFeed(Spec, frozen=True, kw_only=True):
    """A seeded market: the same seed gives the same prints."""

    seed: Seed = 20081025
    """Another seed makes another market."""
    ticks_per_second: Annotated[float, Meta(gt=0, le=5000)] = 8.0
    """Prints of each instrument, on average."""
    start_price: DecimalText = "60000"
    """Of each instrument."""
    annual_volatility: Percent = "60%"
    """The standard deviation of a year's returns."""


class ExchangeFeed(Spec, frozen=True, kw_only=True):
    """A real public feed through ccxt.pro."""

    exchange: Annotated[
        str, Meta(pattern=r"^[a-z0-9]{2,30}$", description="An exchange by ccxt's name for it: binance.")
    ]
    """By ccxt's name for it: binance."""
    urls: Annotated[
        dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=1024)]], Meta(max_length=32)
    ] = {}
    """Replaces the exchange's own addresses, by ccxt's names for them."""
    silent_after: Annotated[
        str, Meta(pattern=r"^([1-9][0-9]{0,6})(s|m|h|d)$", description="A span of whole seconds: 20s, 5m, 1h.")
    ] = "20s"
    """Without a print of any instrument for so long the feed counts as silent: it is connected to again, and no entries
    are taken. Let it be longer than what is usual between two prints."""


class FeedSpec(Spec, frozen=True, kw_only=True):
    """Where the market's prints come from: at most one of these; none means synthetic."""

    replay: ReplayFeed | None = None
    """Recorded prints from files; only on one machine, a cluster cannot see its files."""
    synthetic: SyntheticFeed | None = None
    """A seeded simulation."""
    exchange: ExchangeFeed | None = None
    """A real exchange's public prints."""


class FeesSpec(Spec, frozen=True, kw_only=True):
    """What the venue takes of each fill's notional."""

    maker: Percent = "0.02%"
    """When our order rested in the book."""
    taker: Percent = "0.05%"
    """When our order took another's."""


class Faults(Spec, frozen=True, kw_only=True):
    """Misbehaviour that the paper venue can be told to show; probabilities per request."""

    seed: Seed = 1
    """The same seed makes the same faults."""
    timeout_after_accepting: Probability = 0.0
    """The order is taken, the answer never comes."""
    duplicate_fill: Probability = 0.0
    """A fill is told twice."""
    late_fill: Probability = 0.0
    """A fill is told lateFillDelay later."""
    late_fill_delay: Duration = "2s"
    """How much later."""
    disconnect: Probability = 0.0
    """The connection breaks."""
    wrong_sequence: Probability = 0.0
    """Reports come in the wrong order."""
    rate_limited: Probability = 0.0
    """The request is refused: too many."""
    server_error: Probability = 0.0
    """The request fails on the venue's side."""
    reject: Probability = 0.0
    """The order is refused."""


class PaperSpec(Spec, frozen=True, kw_only=True):
    """How the simulated venue behaves. Latencies are market time."""

    cash: DecimalText = "100000"
    """What the account begins with, in the quote currency."""
    order_latency: Duration = "50ms"
    """From a decision until the venue has the order."""
    report_latency: Duration = "50ms"
    """From an execution until the strategy knows."""
    participation: Percent = "25%"
    """The part of each print's volume that our orders may take."""
    queue_window: Duration = "60s"
    """A resting order queues behind what was traded at its price in this span before it came."""
    faults: Faults = Faults()
    """Misbehaviour to practise with."""


class AccountLimits(Spec, frozen=True, kw_only=True):
    """For the whole account, over all its strategies."""

    max_notional: DecimalText | None = None
    """Of all open positions and open entry orders, in the quote currency."""
    max_open_orders: Annotated[int, Meta(ge=1, le=100_000)] = 200
    """More are denied."""
    max_daily_loss: DecimalText | None = None
    """In the quote currency: beyond it no position is opened for the rest of the day."""
    requests_per_minute: Annotated[int, Meta(ge=1, le=100_000)] = 1200
    """Shared fairly among the account's strategies."""
    max_tick_move: Percent = "20%"
    """A print further than this from the last is quarantined until others confirm it."""


class BrokerSpec(Spec, frozen=True, kw_only=True):
    """One account at one venue, with its feed and its limits."""

    type: Literal["paper", "ccxt", "kis"] = "paper"
    """The venue's kind; paper is simulated. It never changes: another account is another Broker."""
    credentials_secret_ref: SecretRef | None = None
    """The account's keys; only the gateway sees them."""
    instruments: Annotated[tuple[InstrumentSpec, ...], Meta(min_length=1, max_length=200)]
    """What can be traded here."""
    feed: FeedSpec = FeedSpec()
    """Where the market's prints come from."""
    fees: FeesSpec = FeesSpec()
    """What the venue takes."""
    paper: PaperSpec = PaperSpec()
    """How the simulated venue behaves."""
    limits: AccountLimits = AccountLimits()
    """Of the account, over all its strategies."""
    resources: Resources = Resources()
    """Of the gateway's process."""
    storage: Storage = Storage()
    """The volume with the gateway's journal. It never changes: to enlarge it, edit its claim state-gateway-NAME-0."""
    node_selector: Annotated[dict[LabelKey, LabelValue], Meta(max_length=20)] = {}
    """Labels of the nodes that the gateway's pod may run on."""
    tolerations: Annotated[tuple[Toleration, ...], Meta(max_length=20)] = ()
    """Taints of nodes that the gateway's pod may run on nevertheless."""
    priority_class_name: ObjectName | None = None
    """The PriorityClass of the gateway's pod."""


class Broker(Spec, frozen=True, kw_only=True, tag_field="kind", tag="Broker"):
    """One account at one venue, with its feed and its limits."""

    api_version: Literal["christmas.dev/v1alpha1"] = API_VERSION
    metadata: Metadata
    spec: BrokerSpec
