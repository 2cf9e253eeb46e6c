"""How each process is started: its settings file, its command, its limits."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from christmas.brokers.gateway.settings import GatewaySettings, ReplayOverride
from christmas.brokers.paper.terms import instrument_of
from christmas.brokers.permit import Permit, issue, limits_of
from christmas.fleet.errors import FleetError
from christmas.fleet.process import ManagedProcess
from christmas.fleet.session import Session
from christmas.fleet.state import StateFolder, write_private
from christmas.ingestion.settings import MarketSettings, RecorderSettings
from christmas.resources.broker import Broker
from christmas.resources.meta import ResourceRequirements, cpu_cores, memory_bytes
from christmas.resources.strategy import Strategy
from christmas.runtime.settings import RuntimeSettings
from christmas.telemetry import crash
from christmas.telemetry.settings import ProcessSettings

_PERMIT_LASTS_US: Final = 365 * 24 * 3600 * 1_000_000
_GATEWAY_MODULE: Final = "christmas.brokers.gateway"
_RECORDER_MODULE: Final = "christmas.ingestion.recorder"
_RECORD_EVERY_MS: Final = 1_000
"""The database's commits and the gateway's journal share a disk: each of them makes an order wait."""
_RECORD_REPLAY_EVERY_MS: Final = 200
_RUNTIME_MODULE: Final = "christmas.runtime"


class Launched(NamedTuple):
    """A process that is about to start, and what the supervisor watches it by."""

    process: ManagedProcess
    log: Path
    status_file: Path | None = None
    memory_limit_bytes: int | None = None
    cpu_cores: Decimal | None = None
    epoch: int = 0


class Launcher:
    """Writes settings files and makes processes of them; starts none itself."""

    def __init__(self, state: StateFolder, session: Session, replay: ReplayOverride | None = None) -> None:
        self._state = state
        self._session = session
        self._replay = replay
        self._environment = _crash_points(state)

    def gateway_address(self, broker: str) -> str:
        return f"unix:{self._state.socket('gateway', broker)}"

    def ended_file(self, broker: str) -> Path:
        """Written by a gateway whose market has come to its end."""
        return self._state.data("gateway", broker) / "ended.json"

    def recorder(self, brokers: Sequence[Broker]) -> Launched:
        markets = {
            self._session.market(broker.metadata.name): MarketSettings(
                broker=broker.metadata.name,
                instruments=tuple(instrument_of(instrument) for instrument in broker.spec.instruments),
            )
            for broker in brokers
        }
        settings = RecorderSettings(
            **self._common("recorder", "recorder"),
            markets=markets,
            # Somebody waits for the end of a replay, nobody for a row of the live market.
            interval_ms=_RECORD_EVERY_MS if self._replay is None else _RECORD_REPLAY_EVERY_MS,
        )
        return self._launched("recorder", "recorder", _RECORDER_MODULE, settings)

    def gateway(self, broker: Broker, strategies: Sequence[Strategy]) -> Launched:
        name = broker.metadata.name
        folder = self._state.data("gateway", name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.ended_file(name).unlink(missing_ok=True)
        self._state.permit_key()
        settings = GatewaySettings(
            **self._common("gateway", name),
            broker_file=str(self._write("gateway", name, "broker.json", broker)),
            listen=self.gateway_address(name),
            state_directory=str(folder),
            permit_key_file=str(self._state.permit_key_file),
            replay=self._replay,
            expected_sessions=tuple(
                sorted(strategy.metadata.name for strategy in strategies if strategy.spec.state == "Running")
            ),
        )
        return self._launched("gateway", name, _GATEWAY_MODULE, settings)

    def runtime(self, strategy: Strategy) -> Launched:
        """With a permit whose epoch is above all before it: an older process of the strategy is fenced off."""
        name, uid = strategy.metadata.name, strategy.metadata.uid
        epoch = self._state.next_epoch(uid)
        now_us = time.time_ns() // 1000
        permit = Permit(
            strategy=name,
            strategy_uid=uid,
            broker=strategy.spec.broker_ref.name,
            epoch=epoch,
            issued_us=now_us,
            expires_us=now_us + _PERMIT_LASTS_US,
            limits=limits_of(strategy.spec),
        )
        permit_file = self._state.process("runtime", name) / "permit"
        write_private(permit_file, issue(permit, self._state.permit_key()).encode())
        settings = RuntimeSettings(
            **self._common("runtime", name),
            strategy_file=str(self._write("runtime", name, "strategy.json", strategy)),
            permit_file=str(permit_file),
            gateway=self.gateway_address(strategy.spec.broker_ref.name),
        )
        return self._launched(
            "runtime", name, _RUNTIME_MODULE, settings, limits=strategy.spec.resources.limits, epoch=epoch
        )

    def _common(self, kind: str, name: str) -> dict[str, Any]:
        session = self._session
        return {
            "name": f"{kind}-{name}" if kind != name else name,
            "redis_url": session.redis_url,
            "database_url": _database_of(kind, session),
            "replay_id": session.replay_id,
            "session_id": session.session_id,
            "status_file": str(self._state.process(kind, name) / "status.json"),
            "sentry_dsn_file": session.sentry_dsn_file,
        }

    def _write(self, kind: str, name: str, file: str, content: msgspec.Struct) -> Path:
        path = self._state.process(kind, name) / file
        write_private(path, msgspec.json.encode(content))
        return path

    def _launched(
        self,
        kind: str,
        name: str,
        module: str,
        settings: ProcessSettings,
        *,
        limits: ResourceRequirements | None = None,
        epoch: int = 0,
    ) -> Launched:
        folder = self._state.process(kind, name)
        settings_file = self._write(kind, name, "settings.json", settings)
        status_file = folder / "status.json"
        status_file.unlink(missing_ok=True)
        memory = memory_bytes(limits.memory) if limits is not None and limits.memory is not None else None
        process = ManagedProcess(
            [sys.executable, "-m", module, str(settings_file)],
            log=self._state.log(kind, name),
            folder=folder,
            data_limit_bytes=memory,
            environment=self._environment,
        )
        return Launched(
            process=process,
            log=self._state.log(kind, name),
            status_file=status_file,
            memory_limit_bytes=memory,
            cpu_cores=cpu_cores(limits.cpu) if limits is not None and limits.cpu is not None else None,
            epoch=epoch,
        )


def _crash_points(state: StateFolder) -> dict[str, str]:
    """What each of our processes (no store) gets in its environment to die somewhere, when we were asked for that."""
    try:
        return crash.environment_for_children(state.path / "crash-points")
    except crash.UnknownCrashPoint as error:
        raise FleetError(str(error)) from error


def _database_of(kind: str, session: Session) -> str | None:
    """The recorder writes, a runtime reads history to warm up on; a gateway has no use for the database."""
    return {"recorder": session.database_url, "runtime": session.history_url or session.database_url}.get(kind)


def sentry_dsn_file(state: StateFolder, environment: Mapping[str, str]) -> str | None:
    """``SENTRY_DSN`` as a private file: the processes' environment carries no secret."""
    dsn = environment.get("SENTRY_DSN")
    if not dsn:
        return None
    file = state.path / "sentry.dsn"
    write_private(file, dsn.encode())
    return str(file)
