"""The Strategy resource: what to trade, by which rules, with how much, on which Broker."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from christmas.resources.meta import (
    API_VERSION,
    DecimalText,
    Duration,
    Image,
    LabelKey,
    LabelValue,
    Metadata,
    Name,
    ObjectName,
    Percent,
    Resources,
    Spec,
    Symbol,
    Toleration,
)

Rule = Annotated[str, Meta(min_length=1, max_length=2000)]
ParameterName = Annotated[str, Meta(max_length=64)]
ParameterValue = int | float | str | bool
Parameters = Annotated[dict[ParameterName, ParameterValue], Meta(max_length=100)]


class BrokerRef(Spec, frozen=True, kw_only=True):
    """A Broker in the Strategy's namespace."""

    name: Name
    """Its name."""


class Rules(Spec, frozen=True, kw_only=True):
    """Rules in the manifest; docs/rules.md has the language."""

    entry: Rule
    """When it holds at the close of a bar, a position is opened: rsi(14) < 30."""
    exit: Rule | None = None
    """When it holds at the close of a bar, positions are offered for sale, as exit.policy allows."""


class Builtin(Spec, frozen=True, kw_only=True):
    """A strategy that comes with Christmas."""

    name: Literal["rsi-macd-bollinger"]
    """Which one."""
    parameters: Parameters = {}
    """What is not named has its default; docs/rules.md lists them."""


class Code(Spec, frozen=True, kw_only=True):
    """A Python class: exactly one of file, source and module."""

    file: Annotated[str, Meta(max_length=1024)] | None = None
    """A file beside the manifest: the christmas command sends its text as source; kubectl cannot."""
    source: Annotated[str, Meta(max_length=262_144)] | None = None
    """The text of a Python file that holds the class."""
    module: Annotated[str, Meta(max_length=256)] | None = None
    """A module that the image has."""
    class_: Annotated[
        str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128, description="The name of a class in the code.")
    ] = field(name="class")
    """The class, a subclass of christmas.execution.strategies.base.Strategy."""
    parameters: Parameters = {}
    """Class attributes of these names are set to these values."""


class Capital(Spec, frozen=True, kw_only=True):
    """How much may be at stake, in the quote currency of the symbols."""

    amount: DecimalText
    """Of all open positions and open entry orders together."""
    per_trade: DecimalText
    """Of one entry order."""
    max_positions: Annotated[int, Meta(ge=1, le=100)] = 1
    """Open at the same time."""


ExitPolicy = Literal["NoLoss", "StopLoss", "Trailing"]


class Exit(Spec, frozen=True, kw_only=True):
    """How positions end. NoLoss never closes below break-even, unless a limit written here breaks it."""

    policy: ExitPolicy = "NoLoss"
    """NoLoss sells at a profit or not at all; StopLoss and Trailing also sell at a loss."""
    minimum_profit: Percent = "0.05%"
    """Net of both fees, on the entry's notional."""
    stop_loss: Percent | None = None
    """Required by StopLoss and Trailing: the loss from the entry at which the position is closed."""
    trailing_distance: Percent | None = None
    """Required by Trailing: how far below its best price a position is closed."""
    maximum_age: Duration | None = None
    """A position this old is closed, also at a loss."""
    maximum_drawdown: Percent | None = None
    """Of capital.amount, marked to market: all positions are closed beyond it, also at a loss."""


class Risk(Spec, frozen=True, kw_only=True):
    """Enforced by the gateway, outside the strategy's reach."""

    max_orders_per_minute: Annotated[int, Meta(ge=1, le=6000)] = 30
    """More are denied."""
    max_daily_loss: DecimalText | None = None
    """In the quote currency: beyond it no position is opened for the rest of the day."""
    max_open_orders: Annotated[int, Meta(ge=1, le=1000)] = 20
    """More are denied."""
    price_collar: Percent = "2%"
    """Orders further than this from the last price are denied."""
    stale_after: Duration = "10s"
    """Entries are denied when the last tick is older."""


class EnvFromSource(Spec, frozen=True, kw_only=True):
    """Environment variables from a Secret or a ConfigMap: exactly one of the two."""

    secret_ref: ObjectName | None = None
    """The name of a Secret in the Strategy's namespace."""
    config_map_ref: ObjectName | None = None
    """The name of a ConfigMap in the Strategy's namespace."""


class SecretFiles(Spec, frozen=True, kw_only=True):
    """A Secret whose keys the strategy's code finds as files in /secrets/NAME."""

    name: ObjectName
    """The name of a Secret in the Strategy's namespace."""


class StrategySpec(Spec, frozen=True, kw_only=True):
    """What to trade, by which rules, with how much, on which Broker."""

    state: Literal["Running", "Suspended"] = "Running"
    """Suspended ends its process, as onSuspend says."""
    broker_ref: BrokerRef
    """The account it trades on. It changes only while the Strategy is suspended."""
    symbols: Annotated[tuple[Symbol, ...], Meta(min_length=1, max_length=20)]
    """Instruments of the Broker, all in one quote currency."""
    timeframe: Duration = "5s"
    """The length of a bar, in whole seconds."""
    rules: Rules | None = None
    """The strategy as rules. Exactly one of rules, builtin and code."""
    builtin: Builtin | None = None
    """The strategy by name. Exactly one of rules, builtin and code."""
    code: Code | None = None
    """The strategy as a Python class. Exactly one of rules, builtin and code."""
    capital: Capital
    """How much may be at stake."""
    exit: Exit = Exit()
    """How positions end."""
    risk: Risk = Risk()
    """What the gateway lets through."""
    update_policy: Literal["WhenFlat", "Immediate", "Manual"] = "WhenFlat"
    """When a change takes effect: when no position is open, at once, or when you say so."""
    on_suspend: Literal["CancelOrders", "KeepOrders", "Flatten"] = "CancelOrders"
    """What becomes of its orders; Flatten also closes its positions, at a loss where it must."""
    resources: Resources = Resources()
    """Of its process."""
    env_from: Annotated[tuple[EnvFromSource, ...], Meta(max_length=10)] = ()
    """Environment of its process, from Secrets and ConfigMaps."""
    secrets: Annotated[tuple[SecretFiles, ...], Meta(max_length=10)] = ()
    """Secrets as files of its process."""
    node_selector: Annotated[dict[LabelKey, LabelValue], Meta(max_length=20)] = {}
    """Labels of the nodes that its pod may run on."""
    tolerations: Annotated[tuple[Toleration, ...], Meta(max_length=20)] = ()
    """Taints of nodes that its pod may run on nevertheless."""
    priority_class_name: ObjectName | None = None
    """The PriorityClass of its pod."""
    image: Image | None = None
    """Of its process, when it is not the installation's own. On a live account it is pinned by its digest."""


class Strategy(Spec, frozen=True, kw_only=True, tag_field="kind", tag="Strategy"):
    """One running strategy: what to trade, by which rules, with how much, on which Broker."""

    api_version: Literal["christmas.dev/v1alpha1"] = API_VERSION
    metadata: Metadata
    spec: StrategySpec
