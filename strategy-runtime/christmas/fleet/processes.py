"""The processes of a fleet: started, watched and stopped; what to start and why is decided elsewhere."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Final

from christmas.fleet import metrics
from christmas.fleet.backoff import CRASH_LOOP_FROM
from christmas.fleet.decide import Key, Kind, Seen
from christmas.fleet.errors import FleetError
from christmas.fleet.health import SILENT, not_ready_reason, read_status
from christmas.fleet.launch import Launched
from christmas.fleet.limits import CpuLimits
from christmas.fleet.process import trim_log
from christmas.fleet.slot import Slot

logger = logging.getLogger(__name__)

_PROBE_READY_EVERY_S: Final = 5.0
_PROBES_AT_ONCE: Final = 16
_STOP_WITHIN_S: Final[Mapping[Kind, float]] = {"runtime": 10.0, "gateway": 10.0, "recorder": 20.0, "store": 15.0}

Listener = Callable[[Key, str], None]
"""Told of what happens to a process, in one sentence."""
StateListener = Callable[[Key, str, str], None]
"""Told of a process's new state (Ready, NotReady, Failed, OOMKilled, CrashLoopBackOff) and why."""
Probe = Callable[[], Awaitable[str | None]]


class Processes:
    """All processes by key. ``changed`` is set when something ended or became ready."""

    def __init__(
        self,
        *,
        cpu: CpuLimits,
        has_ended: Callable[[Key], bool],
        tell: Listener,
        on_state: StateListener = lambda key, state, why: None,
        store_probes: Mapping[Key, Probe],
    ) -> None:
        """``has_ended``: whether an exit of this process is the end of its market and no failure."""
        self.slots: dict[Key, Slot] = {}
        self.changed = asyncio.Event()
        self._cpu = cpu
        self._has_ended = has_ended
        self._tell = tell
        self._on_state = on_state
        self._store_probes = store_probes
        self._tasks: set[asyncio.Task[None]] = set()
        self._jitter = random.Random()
        self._probes = asyncio.Semaphore(_PROBES_AT_ONCE)
        self._stopping = False

    def slot(self, key: Key) -> Slot:
        return self.slots.setdefault(key, Slot(key, self._jitter))

    def seen(self, key: Key) -> Seen:
        slot = self.slots.get(key)
        return slot.seen() if slot is not None else Seen()

    def all_seen(self) -> dict[Key, Seen]:
        return {key: slot.seen() for key, slot in self.slots.items()}

    async def start(self, key: Key, digest: str, launch: Callable[[], Launched]) -> None:
        """Start one; a failure to do so counts as one of its exits."""
        slot = self.slot(key)
        try:
            launched = launch()
            await launched.process.start()
        except (OSError, FleetError, ValueError) as error:
            slot.not_started(str(error))
            self._tell(key, f"cannot be started: {error}")
            self._on_state(key, _state_of_exit(slot), str(error))
            return
        slot.started(launched, digest)
        pid = launched.process.pid
        if launched.cpu_cores is not None and pid is not None:
            slot.cpu_limited = self._cpu.limit(f"{key.kind}-{key.name}", pid, launched.cpu_cores)
        self._tell(key, f"started, pid {pid}")
        self._spawn(self._await_exit(slot, launched))

    def stop(self, key: Key, why: str) -> None:
        """Begin to stop one; its exit is seen later."""
        slot = self.slots[key]
        slot.stopping(why)
        self._tell(key, f"stopping: {why}")
        if slot.launched is not None:
            self._spawn(self._stop(slot.launched, _STOP_WITHIN_S[key.kind]))

    async def stop_kind(self, kind: Kind, why: str) -> None:
        """Stop all of one kind and wait until they are gone, killed after a deadline."""
        self._stopping = True
        going = [slot for key, slot in self.slots.items() if key.kind == kind and slot.state in {"Running", "Stopping"}]
        for slot in going:
            slot.stopping(why)
        launched = [slot.launched for slot in going if slot.launched is not None]
        await asyncio.gather(*(self._stop(one, _STOP_WITHIN_S[kind]) for one in launched))

    async def close(self) -> None:
        """After all were stopped: end our own tasks, remove the cgroups."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for key in self.slots:
            self._cpu.remove(f"{key.kind}-{key.name}")

    def forget(self, key: Key) -> None:
        self.slots.pop(key, None)
        self._cpu.remove(f"{key.kind}-{key.name}")

    # --- watching ----------------------------------------------------------------------------------

    async def sample(self) -> None:
        """Memory and CPU of each; one that is over its memory limit is killed."""
        for key, slot in self.slots.items():
            launched = slot.launched
            if slot.state != "Running" or launched is None:
                continue
            slot.rss_bytes, slot.cpu_percent = launched.process.usage()
            metrics.RESIDENT.labels(key.kind, key.name).set(slot.rss_bytes)
            metrics.CPU.labels(key.kind, key.name).set(slot.cpu_percent / 100)
            metrics.RESTARTS.labels(key.kind, key.name).set(slot.restarts)
            trim_log(launched.log)
            limit = launched.memory_limit_bytes
            if limit is not None and slot.rss_bytes > limit:
                slot.over_memory(f"{slot.rss_bytes >> 20} MiB resident, the limit is {limit >> 20} MiB")
                metrics.OOM_KILLS.labels(key.kind, key.name).inc()
                launched.process.kill()

    async def probe(self) -> None:
        """Ask whoever is not ready, and now and then the others too."""
        now = time.monotonic()
        due = [
            slot
            for slot in self.slots.values()
            if slot.state == "Running" and (not slot.ready or now - slot.probed_at >= _PROBE_READY_EVERY_S)
        ]
        await asyncio.gather(*(self._probe(slot) for slot in due))

    async def _probe(self, slot: Slot) -> None:
        launched = slot.launched
        if launched is None:
            return
        async with self._probes:
            reason = await self._not_ready(slot, launched)
        slot.probed_at = time.monotonic()
        if slot.launched is not launched or slot.state != "Running":
            return
        was = slot.ready
        slot.ready, slot.not_ready = reason is None, reason or ""
        slot.was_ready = slot.was_ready or slot.ready
        metrics.READY.labels(slot.key.kind, slot.key.name).set(slot.ready)
        if slot.ready != was:
            self._tell(slot.key, "ready" if slot.ready else f"not ready: {reason}")
            if slot.key.kind == "store" or (reason or "").startswith(SILENT):
                # Who answers says itself why it is not ready.
                self._on_state(slot.key, "Ready" if slot.ready else "NotReady", slot.not_ready)
            self.changed.set()

    async def _not_ready(self, slot: Slot, launched: Launched) -> str | None:
        probe = self._store_probes.get(slot.key)
        if probe is not None:
            return await probe()
        pid = launched.process.pid
        if launched.status_file is None or pid is None:
            return "starting"
        status = read_status(launched.status_file, pid)
        if status is None:
            return "starting"
        slot.http_port = status.http_port
        return await not_ready_reason(status.http_port)

    # --- ends --------------------------------------------------------------------------------------

    async def _await_exit(self, slot: Slot, launched: Launched) -> None:
        code = await launched.process.wait()
        if slot.launched is not launched:
            return
        asked = slot.state == "Stopping"
        slot.exited(code, ended=self._has_ended(slot.key))
        metrics.READY.labels(slot.key.kind, slot.key.name).set(0)
        metrics.EXITS.labels(slot.key.kind, "stopped" if asked else slot.state.lower()).inc()
        if not self._stopping:
            self._tell(slot.key, f"{'failed' if slot.failures else 'stopped'}: {slot.reason}")
            if not asked:
                self._on_state(slot.key, _state_of_exit(slot), slot.reason)
        self.changed.set()

    async def _stop(self, launched: Launched, within_s: float) -> None:
        await launched.process.stop(within_s)

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _state_of_exit(slot: Slot) -> str:
    """One word for how a process has ended, as its phase says it."""
    if slot.oom:
        return "OOMKilled"
    if slot.failures >= CRASH_LOOP_FROM:
        return "CrashLoopBackOff"
    return "Failed" if slot.failures else "Stopped"
