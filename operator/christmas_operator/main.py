"""The operator's process: waits for its turn, reads what there is, then works until it is stopped or loses its turn."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Coroutine
from typing import Any, Final

from christmas.telemetry.memory import release_unused
from christmas.telemetry.process import ProcessContext
from christmas_operator import metrics
from christmas_operator.cache import Cache
from christmas_operator.drift import DriftMemory
from christmas_operator.events import EventRecorder
from christmas_operator.execute import Executor
from christmas_operator.gateways import Gateways, Place
from christmas_operator.heartbeat import beat
from christmas_operator.informer.canary import Canary
from christmas_operator.informer.intake import Intake
from christmas_operator.informer.listings import Listing, ListObserver
from christmas_operator.informer.watcher import watch
from christmas_operator.keys import Key
from christmas_operator.kube.client import ApiClient
from christmas_operator.kube.errors import ApiError
from christmas_operator.kube.kinds import POD_MONITOR, WATCHED, Kind
from christmas_operator.kube.session import Connection, NoCredentials, open_connection
from christmas_operator.lease import Leader
from christmas_operator.manifests.names import gateway_address
from christmas_operator.observe import Observer
from christmas_operator.permit_keys import PermitKeys
from christmas_operator.queue import WorkQueue
from christmas_operator.reconciler import Reconciler
from christmas_operator.rolls import Rolls
from christmas_operator.settings import OperatorSettings
from christmas_operator.stores import StoresReader

logger = logging.getLogger(__name__)

EXIT_LOST: Final = 4
"""The Lease is another's: the process ends at once, so that not even a forgotten task of it writes again."""
_QUEUE_MAXIMUM: Final = 100_000
_TICK_S: Final = 1.0
_DISCOVER_EVERY_S: Final = 300.0
_SYNC_WITHIN_S: Final = 300.0
_FLUSH_S: Final = 2.0


async def main(settings: OperatorSettings, context: ProcessContext) -> int:
    """The exit code."""
    leader = Leader(
        namespace=settings.namespace,
        name=settings.lease_name,
        identity=f"{socket.gethostname()}_{os.getpid()}",
        span_s=settings.lease_seconds,
    )
    operator = Operator(settings, context, leader)
    try:
        return await operator.run()
    except NoCredentials as error:
        logger.error(str(error))
        return 2


class Operator:
    """Holds the parts together; each of them does one thing."""

    def __init__(self, settings: OperatorSettings, context: ProcessContext, leader: Leader) -> None:
        self._settings = settings
        self._context = context
        self._leader = leader
        self._listings: list[Listing] = []
        self._intake: Intake | None = None

    async def run(self) -> int:
        settings, leader = self._settings, self._leader
        connection = open_connection(settings.kubeconfig, ListObserver(self._listed))
        session = connection.open_session()
        api = ApiClient(
            session,
            connection.server,
            writes_per_second=settings.writes_per_second,
            may_write=leader.leads,
        )
        try:
            self._context.ready(None)
            if not await self._until_stopped(leader.acquire(api)):
                return 0
            holding = asyncio.create_task(leader.hold(api), name="lease")
            working = asyncio.create_task(self._work(connection, api), name="work")
            stopping = asyncio.create_task(self._context.stopping.wait(), name="stopping")
            done, _ = await asyncio.wait({holding, working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if holding in done:
                logger.error("another operator may be active: ending")
                return EXIT_LOST
            for task in (working, holding, stopping):
                task.cancel()
            results = await asyncio.gather(working, holding, stopping, return_exceptions=True)
            await leader.release(api)
            failed = results[0]
            if isinstance(failed, Exception):
                logger.error("the work ended", exc_info=failed)
                return 1
            return 0
        finally:
            await session.close()

    async def _until_stopped(self, waiting: Coroutine[Any, Any, None]) -> bool:
        """False when the process is to end first."""
        task = asyncio.create_task(waiting)
        stop = asyncio.create_task(self._context.stopping.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if task.done():
            task.result()
            return True
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return False

    def _listed(self, listing: Listing) -> None:
        if self._intake is not None:
            self._intake.listed(listing)

    async def _work(self, connection: Connection, api: ApiClient) -> None:
        settings = self._settings
        cache, canary, drift = Cache(), Canary(), DriftMemory()
        queue: WorkQueue[Key] = WorkQueue(maximum=_QUEUE_MAXIMUM)
        stores = StoresReader(api, settings.stores_secret)
        permit_keys = PermitKeys(api, cache)

        async def resolve(broker: Key) -> Place | None:
            try:
                key = await permit_keys.key(broker)
            except ApiError:
                return None
            if key is None or cache.resource(broker) is None:
                return None
            return Place(gateway_address(broker.name, broker.namespace), key)

        gateways = Gateways(resolve, queue.add)
        rolls = Rolls(settings.rolls_per_broker)
        observer = Observer(
            settings=settings,
            cache=cache,
            stores=stores,
            permit_keys=permit_keys,
            gateways=gateways,
            drift=drift,
            rolls=rolls,
        )
        events = EventRecorder(api, socket.gethostname())
        executor = Executor(
            api=api,
            cache=cache,
            canary=canary,
            drift=drift,
            events=events,
            gateways=gateways,
            permit_keys=permit_keys,
        )
        reconciler = Reconciler(
            settings=settings,
            queue=queue,
            cache=cache,
            observer=observer,
            executor=executor,
            gateways=gateways,
            drift=drift,
            rolls=rolls,
        )
        await stores.read()
        observer.pod_monitors = await _serves(api, POD_MONITOR, otherwise=False)
        kinds = [kind for kind in WATCHED if kind != POD_MONITOR or observer.pod_monitors]
        namespaces = settings.watch_namespaces
        collections = {(kind.kind, namespace) for kind in kinds for namespace in (namespaces or (None,))}
        intake = self._intake = Intake(cache, canary, queue.add, collections)
        canary_namespace = namespaces[0] if namespaces and settings.namespace not in namespaces else settings.namespace
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch(connection, intake, kinds))
                self._context.ready("reading what there is")
                await self._synced(intake)
                self._take_signals()
                counts = " ".join(f"{kind.plural}={cache.count(kind.kind)}" for kind in kinds)
                logger.info("read", extra={"objects": counts})
                # What was read is kept in another form; the text of it is not needed any more.
                release_unused()
                self._context.ready(None)
                for _ in range(settings.workers):
                    group.create_task(reconciler.work())
                group.create_task(reconciler.resync())
                group.create_task(events.run())
                group.create_task(self._discover(api, stores, observer, queue, cache))
                group.create_task(
                    beat(
                        api,
                        canary,
                        namespace=canary_namespace,
                        name=f"{settings.lease_name}-canary",
                        every_s=settings.canary_seconds,
                        owners=lambda: self._leader.owner_references(canary_namespace),
                    )
                )
                group.create_task(self._tick(queue, canary, reconciler, rolls))
        finally:
            await events.flush(_FLUSH_S)
            await gateways.close()

    async def _watch(self, connection: Connection, intake: Intake, kinds: list[Kind]) -> None:
        stop = self._context.stopping
        await watch(connection, intake, kinds, self._settings.watch_namespaces, stop=stop)
        if not stop.is_set():
            raise RuntimeError("kopf has ended by itself")

    def _take_signals(self) -> None:
        """kopf takes them when it starts, and would cancel every task of the loop, ours included."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._context.stopping.set)

    async def _synced(self, intake: Intake) -> None:
        try:
            async with asyncio.timeout(_SYNC_WITHIN_S):
                while not intake.synced:
                    self._context.ready(intake.waits_for)
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise RuntimeError(f"not done {intake.waits_for} within {_SYNC_WITHIN_S:.0f} s") from error

    async def _discover(
        self, api: ApiClient, stores: StoresReader, observer: Observer, queue: WorkQueue[Key], cache: Cache
    ) -> None:
        """What no watch tells: other passwords of the stores."""
        while True:
            await asyncio.sleep(_TICK_S * 5 if stores.stores is None else _DISCOVER_EVERY_S)
            if await stores.read():
                for kind in ("Broker", "Strategy"):
                    for key in cache.keys(kind):
                        queue.add(key, "resync")

    async def _tick(self, queue: WorkQueue[Key], canary: Canary, reconciler: Reconciler, rolls: Rolls) -> None:
        while True:
            metrics.QUEUE_DEPTH.labels("changed").set(queue.depth("changed"))
            metrics.QUEUE_DEPTH.labels("resync").set(queue.depth("resync"))
            metrics.QUEUE_DELAYED.set(queue.delayed)
            metrics.RETRIES.set(queue.failing)
            metrics.WATCH_LAG.set(canary.lag_s)
            reconciler.pass_on_turns()
            metrics.WAITING_FOR_TURN.set(rolls.waiting)
            self._context.alive(canary.trouble)
            await asyncio.sleep(_TICK_S)


async def _serves(api: ApiClient, kind: Kind, *, otherwise: bool) -> bool:
    try:
        return await api.serves(kind)
    except ApiError as error:
        logger.warning("discovery failed", extra={"kind": kind.kind, "error": str(error)})
        return otherwise
