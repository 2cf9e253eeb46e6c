"""The Strategy resource: what to trade, by which rules, with how much, on which Broker."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from christmas.resources.meta import (
    API_VERSION,
    DecimalText,
    Duration,
    Metadata,
    Name,
    Percent,
    Resources,
    Spec,
    Symbol,
)

Rule = Annotated[str, Meta(min_length=1, max_length=2000)]
ParameterValue = int | float | str | bool


class BrokerRef(Spec, frozen=True, kw_only=True):
    name: Name


class Rules(Spec, frozen=True, kw_only=True):
    """Rules in the manifest; see docs/rules.md for the language."""

    entry: Rule
    exit: Rule | None = None


class Builtin(Spec, frozen=True, kw_only=True):
    name: Literal["rsi-macd-bollinger"]
    parameters: dict[str, ParameterValue] = {}


class Code(Spec, frozen=True, kw_only=True):
    """A Python class: exactly one of ``file`` (beside the manifest), ``source`` and ``module``."""

    file: str | None = None
    source: Annotated[str, Meta(max_length=262_144)] | None = None
    module: str | None = None
    class_: Annotated[str, Meta(pattern=r"^[A-Za-z_]\w*$")] = field(name="class")
    parameters: dict[str, ParameterValue] = {}


class Capital(Spec, frozen=True, kw_only=True):
    """In the quote currency of the symbols."""

    amount: DecimalText
    per_trade: DecimalText
    max_positions: Annotated[int, Meta(ge=1, le=100)] = 1


class Exit(Spec, frozen=True, kw_only=True):
    """How positions end. NoLoss never closes below break-even, unless a limit written here breaks it."""

    policy: Literal["NoLoss", "StopLoss", "Trailing"] = "NoLoss"
    minimum_profit: Percent = "0.05%"
    """Net of both fees, on the entry's notional."""
    stop_loss: Percent | None = None
    """Required by StopLoss and Trailing: the loss from the entry at which the position is closed."""
    trailing_distance: Percent | None = None
    """Required by Trailing: how far below its best price a position is closed."""
    maximum_age: Duration | None = None
    maximum_drawdown: Percent | None = None
    """Of ``capital.amount``, marked to market: all positions are closed beyond it."""


class Risk(Spec, frozen=True, kw_only=True):
    """Enforced by the gateway, outside the strategy's reach."""

    max_orders_per_minute: Annotated[int, Meta(ge=1, le=6000)] = 30
    max_daily_loss: DecimalText | None = None
    max_open_orders: Annotated[int, Meta(ge=1, le=1000)] = 20
    price_collar: Percent = "2%"
    """Orders further than this from the last price are denied."""
    stale_after: Duration = "10s"
    """Entries are denied when the last tick is older."""


class EnvFromSource(Spec, frozen=True, kw_only=True):
    secret_ref: str | None = None
    config_map_ref: str | None = None


class StrategySpec(Spec, frozen=True, kw_only=True):
    state: Literal["Running", "Suspended"] = "Running"
    broker_ref: BrokerRef
    symbols: Annotated[tuple[Symbol, ...], Meta(min_length=1, max_length=20)]
    timeframe: Duration = "5s"
    rules: Rules | None = None
    builtin: Builtin | None = None
    code: Code | None = None
    capital: Capital
    exit: Exit = Exit()
    risk: Risk = Risk()
    update_policy: Literal["WhenFlat", "Immediate", "Manual"] = "WhenFlat"
    on_suspend: Literal["CancelOrders", "KeepOrders", "Flatten"] = "CancelOrders"
    resources: Resources = Resources()
    env_from: Annotated[tuple[EnvFromSource, ...], Meta(max_length=10)] = ()
    node_selector: dict[str, str] = {}
    priority_class_name: str | None = None
    image: str | None = None


class Strategy(Spec, frozen=True, kw_only=True, tag_field="kind", tag="Strategy"):
    api_version: Literal["christmas.dev/v1alpha1"] = API_VERSION
    metadata: Metadata
    spec: StrategySpec
