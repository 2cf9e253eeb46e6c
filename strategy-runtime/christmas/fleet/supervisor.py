"""The supervisor of one machine's fleet: observes, decides, acts, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec
import redis.asyncio as redis

from christmas.brokers.admin import CommandName
from christmas.brokers.gateway.settings import ReplayOverride
from christmas.fleet import metrics
from christmas.fleet.catalogue import Catalogue
from christmas.fleet.control import (
    Answer,
    Apply,
    AtGateway,
    ControlServer,
    Delete,
    GetFleet,
    Request,
    SetState,
    Shutdown,
)
from christmas.fleet.database import bring_schema_up
from christmas.fleet.decide import Action, Forget, Key, Start, Stop, Want, WindDown, decide
from christmas.fleet.errors import FleetError
from christmas.fleet.gateway_client import command
from christmas.fleet.launch import Launched, Launcher
from christmas.fleet.limits import CpuLimits, find_cpu_controller
from christmas.fleet.processes import Listener, Processes
from christmas.fleet.session import Session
from christmas.fleet.snapshot import fleet_view
from christmas.fleet.state import StateFolder
from christmas.fleet.stores import EmbeddedStore, probe_redis, store_failure
from christmas.fleet.view import FleetView
from christmas.fleet.wants import DATABASE, REDIS, runtime, wants_of
from christmas.telemetry.cancelling import end
from christmas.telemetry.events import StateEvent
from christmas.telemetry.publisher import EventPublisher
from christmas.telemetry.status import RuntimeStatus, status_key

logger = logging.getLogger(__name__)

Restart = Literal["always", "killed", "never"]
"""Which processes that fail are started again."""

_ROUND_S: Final = 0.25
_SAMPLE_EVERY_S: Final = 1.0
_STORE_START_S: Final = 30.0
_WIND_DOWN_RETRY_S: Final = 5.0
_REDIS_TIMEOUT_S: Final = 2.0


class Supervisor:
    """One per state folder; the caller holds the folder's lock."""

    def __init__(
        self,
        state: StateFolder,
        session: Session,
        embedded: Sequence[EmbeddedStore],
        *,
        replay: ReplayOverride | None = None,
        restart: Restart = "always",
        tell: Listener = lambda key, text: None,
    ) -> None:
        """``restart``: which processes that fail are started again; after "never" a replay at the wall's pace
        would not be the same."""
        self._state = state
        self._session = session
        self._restart = restart
        self._tell = _logged(tell)
        self._embedded = {Key("store", store.name): store for store in embedded}
        self._launcher = Launcher(state, session, replay)
        self._database = "not looked at yet"
        self.catalogue = Catalogue(state, session)
        controller, self._no_cpu_limits = find_cpu_controller()
        self._cpu = CpuLimits(controller, hashlib.sha256(os.fsencode(state.path)).hexdigest()[:8])
        self.processes = Processes(
            cpu=self._cpu,
            has_ended=self.has_ended,
            tell=self._tell,
            on_state=self._publish_state,
            store_probes={key: store.probe for key, store in self._embedded.items()},
        )
        self._control = ControlServer(state.control_socket, self.handle)
        self._redis = redis.Redis.from_url(
            session.redis_url, socket_connect_timeout=_REDIS_TIMEOUT_S, socket_timeout=_REDIS_TIMEOUT_S
        )
        self._events = EventPublisher(self._redis, session.replay_id)
        self._wants: dict[Key, Want] = {}
        self._statuses: dict[str, RuntimeStatus] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun = time.monotonic()
        self._sampled = 0.0
        self._stopping = False

    # --- life ----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the stores, bring the schema up to date, take commands.

        Raises FleetError when a store cannot start; what has been started then is stopped by `stop`.
        """
        self._cpu.remove_leftovers()
        await asyncio.gather(*(store.prepare() for store in self._embedded.values()))
        for key in self._embedded:
            await self._start(key, "embedded")
        await asyncio.gather(*(self._await_store(key) for key in self._embedded))
        if REDIS not in self._embedded:
            reason = await probe_redis(self._session.redis_url)
            if reason is not None:
                raise FleetError(f"Redis at REDIS_URL does not answer: {reason}", "start it, or unset REDIS_URL")
        self._database, answers = await bring_schema_up(self._session.database_url)
        if not answers:
            self._tell(DATABASE, f"does not answer, recording waits for it: {self._database}")
        await self._events.start()
        await self._control.start()

    async def run(self) -> None:
        """Until `request_stop`."""
        while not self._stopping:
            self.processes.changed.clear()
            begun = time.monotonic()
            await self._round()
            metrics.ROUND.set(time.monotonic() - begun)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ROUND_S):
                    await self.processes.changed.wait()

    @property
    def is_stopping(self) -> bool:
        return self._stopping

    def request_stop(self) -> None:
        self._stopping = True
        self.processes.changed.set()

    async def stop(self) -> None:
        """Runtimes first, then gateways, then the recorder (which stores what they left), stores last."""
        self._stopping = True
        await self._control.close()
        await end(*self._tasks)
        await self.processes.stop_kind("runtime", "the fleet stops")
        await self.processes.stop_kind("gateway", "the fleet stops")
        await self.processes.stop_kind("recorder", "the fleet stops")
        await self._events.close()
        await self._redis.aclose()
        await self.processes.stop_kind("store", "the fleet stops")
        await self.processes.close()

    # --- observe, decide, act --------------------------------------------------------------------------

    async def _round(self) -> None:
        now = time.monotonic()
        if now - self._sampled >= _SAMPLE_EVERY_S:
            self._sampled = now
            await self.processes.sample()
            await self._read_statuses()
        await self.processes.probe()
        wants = wants_of(
            self.catalogue.strategies.values(),
            list(self.catalogue.brokers.values()),
            stores=list(self._embedded),
            deleting=frozenset(self.catalogue.deleting),
        )
        self._wants = {want.key: want for want in wants}
        for action in decide(wants, self.processes.all_seen(), time.monotonic()):
            await self._act(action)

    async def _act(self, action: Action) -> None:
        match action:
            case Start(key):
                if self._may_start(key):
                    await self._start(key, self._wants[key].digest)
            case Stop(key, why):
                self.processes.stop(key, why)
            case WindDown(key, name):
                self.processes.slot(key).retry_at = time.monotonic() + _WIND_DOWN_RETRY_S
                self._spawn(self._wind_down(key, name))
            case Forget(key):
                self.catalogue.forget(key.name)
                self.processes.forget(key)
                self._statuses.pop(key.name, None)
                self._tell(key, "deleted")

    def _may_start(self, key: Key) -> bool:
        slot = self.processes.slots.get(key)
        return slot is None or self._restart == "always" or (self._restart == "killed" and slot.may_be_resumed)

    async def _start(self, key: Key, digest: str) -> None:
        await self.processes.start(key, digest, lambda: self._launch(key))

    def _launch(self, key: Key) -> Launched:
        match key.kind:
            case "store":
                store = self._embedded[key]
                return Launched(process=store.process(), log=self._state.log("store", store.name))
            case "recorder":
                return self._launcher.recorder(list(self.catalogue.brokers.values()))
            case "gateway":
                return self._launcher.gateway(self.catalogue.brokers[key.name], self.catalogue.of_broker(key.name))
            case "runtime":
                return self._launcher.runtime(self.catalogue.strategies[key.name])

    async def _wind_down(self, key: Key, action: CommandName) -> None:
        strategy = self.catalogue.strategies.get(key.name)
        if strategy is None:
            return
        slot = self.processes.slot(key)
        try:
            answer = await self._at_gateway(strategy.spec.broker_ref.name, action, key.name, "suspended")
        except FleetError as error:
            slot.reason = str(error)
            return
        slot.wound_down, slot.reason, slot.retry_at = True, "", 0.0
        self._tell(key, answer.what)
        self.processes.changed.set()

    async def _await_store(self, key: Key) -> None:
        store, slot = self._embedded[key], self.processes.slot(key)
        deadline = time.monotonic() + _STORE_START_S
        while await store.probe() is not None:
            if time.monotonic() > deadline:
                assert slot.launched is not None  # noqa: S101 (started above)
                raise store_failure(store, slot.launched.process, self._state)
            if slot.state == "Exited" and time.monotonic() >= slot.retry_at:
                # That of an earlier supervisor which was killed may still be on its way down.
                await self._start(key, "embedded")
            await asyncio.sleep(0.05)
        await self.processes.probe()

    async def _read_statuses(self) -> None:
        strategies = list(self.catalogue.strategies.values())
        keys = [status_key(self._session.market(s.spec.broker_ref.name), s.metadata.name) for s in strategies]
        found: Sequence[bytes | None] = ()
        if keys:
            try:
                found = await self._redis.mget(keys)
            except (redis.RedisError, OSError, RuntimeError) as error:
                # RuntimeError: uvloop's word for a connection that broke while nobody looked.
                logger.warning("statuses cannot be read", extra={"error": str(error)})
        self._statuses = {}
        for strategy, raw in zip(strategies, found, strict=False):
            if raw is not None:
                with contextlib.suppress(msgspec.MsgspecError):
                    self._statuses[strategy.metadata.name] = msgspec.json.decode(raw, type=RuntimeStatus)
        for strategy in strategies:
            slot = self.processes.slots.get(runtime(strategy.metadata.name))
            status = self._statuses.get(strategy.metadata.name)
            if slot is not None and slot.launched is not None:
                # Of an earlier process's status nothing follows about this one.
                current = status is not None and status.epoch == slot.launched.epoch
                slot.flat = not (status.positions or status.open_orders) if status is not None and current else None

    def has_ended(self, key: Key) -> bool:
        """Whether the market of this gateway, or of this runtime's gateway, has come to its end."""
        broker = key.name if key.kind == "gateway" else ""
        if key.kind == "runtime" and key.name in self.catalogue.strategies:
            broker = self.catalogue.strategies[key.name].spec.broker_ref.name
        return bool(broker) and self._launcher.ended_file(broker).exists()

    def ended_file(self, broker: str) -> Path:
        """What a gateway writes when its market has come to its end."""
        return self._launcher.ended_file(broker)

    # --- requests ----------------------------------------------------------------------------------------

    async def handle(self, request: Request) -> Answer:
        """Carry out one request; raises FleetError when it cannot be done."""
        try:
            match request:
                case GetFleet():
                    return Answer(fleet=self.view())
                case Apply(strategies=strategies, brokers=brokers):
                    return Answer(lines=tuple(self.catalogue.apply([*brokers, *strategies])))
                case SetState(name=name, state=state):
                    line = self.catalogue.set_state(name, state)
                    self.processes.slot(runtime(name)).retry_at = 0.0
                    strategy = self.catalogue.strategy(name)
                    if state == "Running" and strategy.spec.on_suspend == "Flatten":
                        # Flattening has halted it at the gateway; whoever resumes it wants entries again.
                        await self._at_gateway(strategy.spec.broker_ref.name, "resume", name, "resumed")
                    return Answer(lines=(line,))
                case Delete(kind="Broker", name=name):
                    return Answer(lines=(self.catalogue.delete_broker(name),))
                case Delete(name=name, force=force):
                    status = self._statuses.get(name)
                    held = len(status.positions) if status is not None else 0
                    return Answer(lines=(self.catalogue.delete_strategy(name, open_positions=held, force=force),))
                case AtGateway(broker=broker, action=action, strategy=strategy, reason=reason):
                    return await self._at_gateway(broker, action, strategy, reason)
                case Shutdown():
                    self.request_stop()
                    return Answer(lines=("the fleet stops",))
        finally:
            self.processes.changed.set()

    def view(self) -> FleetView:
        return fleet_view(
            session=self._session,
            state_folder=str(self._state.path),
            catalogue=self.catalogue,
            processes=self.processes,
            wants=self._wants,
            statuses=self._statuses,
            database=self._database,
            cpu_limits=self._no_cpu_limits,
            running_s=time.monotonic() - self._begun,
        )

    async def _at_gateway(self, broker: str, action: CommandName, strategy: str | None, reason: str) -> Answer:
        if broker not in self.catalogue.brokers:
            raise FleetError(f"there is no Broker {broker}", "see `christmas get brokers`")
        result = await command(
            self._launcher.gateway_address(broker),
            self._state.permit_key(),
            broker=broker,
            action=action,
            strategy=strategy,
            reason=reason,
        )
        if not result.ok:
            raise FleetError(result.message)
        return Answer(what=result.message, lines=(result.message,), orders=result.orders, fills=result.fills)

    def _publish_state(self, key: Key, state: str, why: str) -> None:
        """What a process cannot say of itself any more, or to nobody who would keep it."""
        self._events.publish(
            StateEvent(
                time_us=time.time_ns() // 1000,
                strategy=key.name if key.kind == "runtime" else "",
                broker=key.name if key.kind == "gateway" else "",
                component=key.kind if key.kind != "store" else key.name,
                state=state,
                message=why,
            )
        )

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _logged(tell: Listener) -> Listener:
    def both(key: Key, text: str) -> None:
        logger.info(text, extra={"about": str(key)})
        tell(key, text)

    return both
