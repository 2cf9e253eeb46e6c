"""From what the supervisor holds to what it shows."""

from __future__ import annotations

import os
from collections.abc import Mapping

from christmas import __version__
from christmas.fleet.catalogue import Catalogue
from christmas.fleet.decide import Key, Want, drifted, phase
from christmas.fleet.processes import Processes
from christmas.fleet.session import Session
from christmas.fleet.view import BrokerView, FleetView, ProcessView, StrategyView
from christmas.fleet.wants import RECORDER, gateway, runtime
from christmas.telemetry.status import RuntimeStatus


def fleet_view(
    *,
    session: Session,
    state_folder: str,
    catalogue: Catalogue,
    processes: Processes,
    wants: Mapping[Key, Want],
    statuses: Mapping[str, RuntimeStatus],
    database: str,
    cpu_limits: str,
    running_s: float,
) -> FleetView:
    """Everything about the fleet at this moment."""
    strategies = []
    for name, strategy in sorted(catalogue.strategies.items()):
        key = runtime(name)
        slot = processes.slots.get(key)
        strategies.append(
            StrategyView(
                resource=strategy,
                process=_process(key, wants, processes),
                epoch=slot.launched.epoch if slot is not None and slot.launched is not None else 0,
                drifted=key in wants and drifted(wants[key], processes.seen(key)),
                runtime=statuses.get(name),
            )
        )
    brokers = [
        BrokerView(
            resource=broker,
            process=_process(gateway(name), wants, processes),
            market=session.market(name),
            strategies=len(catalogue.of_broker(name)),
        )
        for name, broker in sorted(catalogue.brokers.items())
    ]
    others = [key for key in wants if key.kind in {"store", "recorder"}] or [RECORDER]
    return FleetView(
        version=__version__,
        pid=os.getpid(),
        state_folder=state_folder,
        session_id=session.session_id,
        redis_url=session.redis_url,
        database_url=session.database_url,
        database=database,
        replay_id=session.replay_id,
        running_s=running_s,
        cpu_limits=cpu_limits,
        strategies=tuple(strategies),
        brokers=tuple(brokers),
        processes=tuple(_process(key, wants, processes) for key in others),
    )


def _process(key: Key, wants: Mapping[Key, Want], processes: Processes) -> ProcessView:
    want = wants.get(key, Want(key=key, digest=""))
    slot = processes.slots.get(key)
    now = phase(want, processes.seen(key))
    waiting = _waiting(want, processes)
    if slot is None or slot.launched is None:
        return ProcessView(
            kind=key.kind, name=key.name, phase=now, message=slot.message if slot is not None else waiting
        )
    launched = slot.launched
    runs = slot.state in {"Running", "Stopping"}
    return ProcessView(
        kind=key.kind,
        name=key.name,
        phase=now,
        ready=slot.ready,
        message=slot.message or ("" if runs else waiting),
        pid=launched.process.pid if runs else None,
        restarts=slot.restarts,
        running_s=slot.running_s,
        cpu_percent=slot.cpu_percent,
        rss_bytes=slot.rss_bytes,
        http_port=slot.http_port if runs else 0,
        memory_limit_bytes=launched.memory_limit_bytes,
        cpu_limited=slot.cpu_limited,
        log=str(launched.log),
    )


def _waiting(want: Want, processes: Processes) -> str:
    if not want.run:
        return ""
    missing = [str(need) for need in want.needs if not processes.seen(need).ready]
    return f"waits for {', '.join(missing)}" if missing else ""
