"""From a manifest to an engine: the one place where resources and execution meet."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from christmas.execution.config import CapitalConfig, EngineConfig, ExitConfig
from christmas.execution.engine import Engine
from christmas.execution.protocol import Welcome
from christmas.execution.strategies.base import Strategy as StrategyClass
from christmas.execution.strategies.factory import create_strategy
from christmas.resources import strategy as manifest
from christmas.resources.meta import duration_us, fraction


def build_strategies(spec: manifest.StrategySpec) -> dict[str, StrategyClass]:
    """One instance for each symbol. Raises StrategyError or RuleError for what the manifest gets wrong."""
    return {symbol: _create(spec) for symbol in spec.symbols}


def _create(spec: manifest.StrategySpec) -> StrategyClass:
    if spec.rules is not None:
        return create_strategy(entry=spec.rules.entry, exit=spec.rules.exit)
    if spec.builtin is not None:
        return create_strategy(builtin=spec.builtin.name, parameters=spec.builtin.parameters)
    if spec.code is not None:
        return create_strategy(
            file=spec.code.file,
            source=spec.code.source,
            module=spec.code.module,
            class_name=spec.code.class_,
            parameters=spec.code.parameters,
        )
    raise ValueError("spec: one of rules, builtin and code is needed")


def acts_on_ticks(spec: manifest.StrategySpec, strategies: Mapping[str, StrategyClass]) -> bool:
    """Whether a single tick, not only a bar's end, can make this strategy act."""
    return exit_config(spec.exit).acts_on_ticks or any(strategy.acts_on_ticks for strategy in strategies.values())


def build_engine(
    name: str, spec: manifest.StrategySpec, strategies: Mapping[str, StrategyClass], welcome: Welcome
) -> Engine:
    """The engine of one session, as the gateway's welcome found it. Raises ValueError for an unknown symbol."""
    missing = [symbol for symbol in spec.symbols if symbol not in welcome.instruments]
    if missing:
        known = ", ".join(sorted(welcome.instruments))
        raise ValueError(f"spec.symbols: the Broker has no instrument {', '.join(missing)}; it has {known}")
    config = EngineConfig(
        strategy_name=name,
        strategy_uid=welcome.strategy_uid,
        symbols=spec.symbols,
        instruments={symbol: welcome.instruments[symbol] for symbol in spec.symbols},
        timeframe_us=duration_us(spec.timeframe),
        capital=CapitalConfig(
            amount=Decimal(spec.capital.amount),
            per_trade=Decimal(spec.capital.per_trade),
            max_positions=spec.capital.max_positions,
        ),
        exit=exit_config(spec.exit),
        fees=welcome.fees,
    )
    return Engine(config, strategies)


def exit_config(spec: manifest.Exit) -> ExitConfig:
    """The manifest's exit policy in the engine's words. Raises ValueError for a policy without its numbers."""
    return ExitConfig(
        policy=spec.policy,
        minimum_profit=fraction(spec.minimum_profit),
        stop_loss=fraction(spec.stop_loss) if spec.stop_loss else None,
        trailing_distance=fraction(spec.trailing_distance) if spec.trailing_distance else None,
        maximum_age_us=duration_us(spec.maximum_age) if spec.maximum_age else None,
        maximum_drawdown=fraction(spec.maximum_drawdown) if spec.maximum_drawdown else None,
    )
