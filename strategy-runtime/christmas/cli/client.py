"""The command line's end of the control socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

from christmas.fleet.control import Answer, GetFleet, Request, ask
from christmas.fleet.errors import NotRunningError
from christmas.fleet.state import StateFolder, default_state_folder
from christmas.fleet.view import BrokerView, FleetView, ProcessView, StrategyView
from christmas.resources.broker import Broker
from christmas.resources.strategy import Strategy


def state_folder(path: Path | None) -> StateFolder:
    return StateFolder(path or default_state_folder())


def request(path: Path | None, message: Request) -> Answer:
    """The supervisor's answer; raises FleetError."""
    return asyncio.run(ask(state_folder(path).control_socket, message))


def running_fleet(path: Path | None) -> FleetView:
    """The fleet as its supervisor sees it; raises NotRunningError when none runs."""
    fleet = request(path, GetFleet()).fleet
    assert fleet is not None  # noqa: S101 (the answer to this verb has one)
    return fleet


def fleet_or_stored(path: Path | None) -> FleetView:
    """The running fleet, or what was applied to the state folder when none runs."""
    try:
        return running_fleet(path)
    except NotRunningError:
        return _stored(state_folder(path))


def _stored(state: StateFolder) -> FleetView:
    resources = state.stored() if state.path.exists() else []

    def stopped(kind: str, name: str) -> ProcessView:
        return ProcessView(kind=kind, name=name, phase="Pending", message="no fleet runs; start it with `christmas up`")

    strategies = [resource for resource in resources if isinstance(resource, Strategy)]
    return FleetView(
        version="",
        pid=0,
        state_folder=str(state.path),
        session_id="",
        redis_url="",
        database_url="",
        strategies=tuple(
            StrategyView(resource=strategy, process=stopped("runtime", strategy.metadata.name))
            for strategy in strategies
        ),
        brokers=tuple(
            BrokerView(
                resource=broker,
                process=stopped("gateway", broker.metadata.name),
                market=broker.metadata.name,
                strategies=sum(s.spec.broker_ref.name == broker.metadata.name for s in strategies),
            )
            for broker in resources
            if isinstance(broker, Broker)
        ),
    )
