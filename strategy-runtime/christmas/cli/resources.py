"""Resources as kubectl would show them: table rows, and manifests with a status."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from christmas.cli.names import Kind
from christmas.cli.output import Table, mebibytes, span
from christmas.cli.statistics import money, win_rate
from christmas.fleet.view import BrokerView, FleetView, ProcessView, StrategyView
from christmas.resources.problem import did_you_mean

ResourceView = StrategyView | BrokerView


def select(fleet: FleetView, kind: Kind, name: str | None) -> list[ResourceView]:
    """All of a kind, or the named one; raises ClickException when it is not there."""
    found: Sequence[ResourceView] = fleet.strategies if kind == "Strategy" else fleet.brokers
    if name is None:
        return list(found)
    named = [view for view in found if view.name == name]
    if not named:
        mend = did_you_mean(name, [view.name for view in found])
        raise click.ClickException(f"there is no {kind} {name}" + (f" ({mend})" if mend else ""))
    return named


def table_of(kind: Kind, views: Sequence[ResourceView]) -> Table:
    if kind == "Strategy":
        return _strategies([view for view in views if isinstance(view, StrategyView)])
    return _brokers([view for view in views if isinstance(view, BrokerView)])


def manifest(view: ResourceView) -> dict[str, Any]:
    """The resource as JSON-ready data, its status included."""
    data: dict[str, Any] = msgspec.to_builtins(view.resource)
    kind = data.pop("kind")
    ordered = {"apiVersion": view.resource.api_version, "kind": kind, **data}
    ordered["status"] = _strategy_status(view) if isinstance(view, StrategyView) else _broker_status(view)
    return ordered


def names_of(kind: Kind, views: Sequence[ResourceView]) -> list[str]:
    return [f"{kind.lower()}/{view.name}" for view in views]


def _strategies(views: Sequence[StrategyView]) -> Table:
    rows = []
    for view in views:
        spec, process, status = view.resource.spec, view.process, view.runtime
        rows.append(
            (
                view.name,
                process.phase,
                _ready(process),
                spec.broker_ref.name,
                ",".join(spec.symbols),
                spec.timeframe,
                str(process.restarts),
                str(len(status.positions)) if status is not None else "-",
                money(status.realised_pnl) if status is not None else "-",
                money(status.unrealised_pnl) if status is not None else "-",
                win_rate(status) if status is not None else "-",
                age(view.resource.metadata.creation_timestamp),
                str(view.epoch or "-"),
                str(process.pid or "-"),
                f"{process.cpu_percent:.0f}%",
                mebibytes(process.rss_bytes),
                view.why,
            )
        )
    headings = (
        *("NAME", "PHASE", "READY", "BROKER", "SYMBOLS", "TIMEFRAME", "RESTARTS", "POSITIONS", "REALISED"),
        *("UNREALISED", "WIN RATE", "AGE", "EPOCH", "PID", "CPU", "MEMORY", "WHY"),
    )
    return Table(headings, rows, wide=frozenset(range(12, 17)), right=frozenset({6, 7, 8, 9, 12, 13, 14, 15}))


def _brokers(views: Sequence[BrokerView]) -> Table:
    rows = [
        (
            view.name,
            view.resource.spec.type,
            view.process.phase,
            _ready(view.process),
            view.feed,
            str(view.strategies),
            str(view.process.restarts),
            age(view.resource.metadata.creation_timestamp),
            view.market,
            str(view.process.pid or "-"),
            f"{view.process.cpu_percent:.0f}%",
            mebibytes(view.process.rss_bytes),
            view.process.message,
        )
        for view in views
    ]
    headings = (
        *("NAME", "TYPE", "PHASE", "READY", "FEED", "STRATEGIES", "RESTARTS", "AGE", "MARKET", "PID", "CPU"),
        *("MEMORY", "NOTE"),
    )
    return Table(headings, rows, wide=frozenset(range(8, 13)), right=frozenset({5, 6, 9, 10, 11}))


def _strategy_status(view: StrategyView) -> dict[str, Any]:
    process, metadata = view.process, view.resource.metadata
    conditions = [
        _condition("Accepted", True, "Valid", ""),
        _condition("ProcessReady", process.ready, process.phase, process.message),
    ]
    if view.drifted:
        why = f"updatePolicy {view.resource.spec.update_policy} keeps the earlier manifest running"
        conditions.append(_condition("ConfigDrift", True, "ManifestChanged", why))
    trading = view.runtime is not None and view.runtime.state in {"Trading", "Waiting"} and process.ready
    conditions.append(
        _condition("TradingEnabled", trading, view.runtime.state if view.runtime else "NoStatus", view.why)
    )
    conditions.append(_condition("Ready", process.ready and not view.drifted, process.phase, view.why))
    status: dict[str, Any] = {
        "observedGeneration": metadata.generation,
        "phase": process.phase,
        "epoch": view.epoch,
        "conditions": conditions,
        "process": msgspec.to_builtins(process),
    }
    if view.runtime is not None:
        status["runtime"] = msgspec.to_builtins(view.runtime)
    return status


def _broker_status(view: BrokerView) -> dict[str, Any]:
    process = view.process
    return {
        "observedGeneration": view.resource.metadata.generation,
        "phase": process.phase,
        "market": view.market,
        "strategies": view.strategies,
        "conditions": [_condition("Ready", process.ready, process.phase, process.message)],
        "process": msgspec.to_builtins(process),
    }


def _condition(kind: str, holds: bool, reason: str, message: str) -> dict[str, str]:
    return {"type": kind, "status": "True" if holds else "False", "reason": reason, "message": message}


def _ready(process: ProcessView) -> str:
    return "1/1" if process.ready else "0/1"


def age(created: str) -> str:
    if not created:
        return "-"
    return span((datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds())
