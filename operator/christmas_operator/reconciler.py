"""The workers: take a name, observe, decide, carry out; what fails comes back later and later."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Iterable
from typing import Final

from christmas_operator import metrics, reasons
from christmas_operator.actions import Action, Decision, Tell
from christmas_operator.brokers.decide import decide as decide_broker
from christmas_operator.cache import Cache
from christmas_operator.drift import DriftMemory
from christmas_operator.execute import Executor, Work
from christmas_operator.gateways import Gateways
from christmas_operator.keys import Key
from christmas_operator.kube.errors import ApiError, Conflict, Forbidden, Invalid, NotFound, NotLeading, Throttled
from christmas_operator.kube.views import INSTALLATION
from christmas_operator.observe import Observer
from christmas_operator.plan import Plan
from christmas_operator.queue import WorkQueue
from christmas_operator.rolls import Rolls
from christmas_operator.settings import OperatorSettings
from christmas_operator.strategies.decide import decide as decide_strategy

logger = logging.getLogger(__name__)

_DEADLINE_S: Final = 120.0
"""For one look at one object, all requests included."""
_BROKER_PAUSE_S: Final = 2.0
"""A Broker is looked at again at most so often for the number of its Strategies."""


class Reconciler:
    def __init__(
        self,
        *,
        settings: OperatorSettings,
        queue: WorkQueue[Key],
        cache: Cache,
        observer: Observer,
        executor: Executor,
        gateways: Gateways,
        drift: DriftMemory,
        rolls: Rolls,
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._cache = cache
        self._observer = observer
        self._executor = executor
        self._gateways = gateways
        self._drift = drift
        self._rolls = rolls
        self._phases: dict[Key, str] = {}
        self._waiting: set[Key] = set()
        self._others: dict[Key, str] = {}
        """Those that another installation looks after, and which: told once."""
        self._counted: Counter[tuple[str, str]] = Counter()

    async def work(self) -> None:
        """One worker."""
        while True:
            key, waited_s = await self._queue.take()
            metrics.QUEUE_WAIT.observe(waited_s)
            began = time.monotonic()
            try:
                async with asyncio.timeout(_DEADLINE_S):
                    await self._look_at(key)
            finally:
                self._queue.done(key)
                metrics.RECONCILE.labels(key.kind).observe(time.monotonic() - began)

    async def _look_at(self, key: Key) -> None:
        try:
            again_s = await self.reconcile(key)
        except NotFound:
            # The resource went while we were at it; its deletion is on the way through the watch.
            self._queue.retry(key, 1.0)
        except NotLeading:
            raise
        except Throttled as error:
            self._failed(key, error, error.retry_after_s)
        except ApiError as error:
            self._failed(key, error, 0.0)
        except TimeoutError:
            self._failed(key, ApiError("Deadline", f"not done within {_DEADLINE_S:.0f} s"), 0.0)
        except Exception as error:
            logger.exception("a look failed", extra={"about": str(key)})
            self._failed(key, ApiError(type(error).__name__, str(error)), 0.0)
        else:
            self._queue.forget_failures(key)
            if again_s is not None:
                self._queue.add_after(key, again_s)

    async def reconcile(self, key: Key) -> float | None:
        """One look; when to look again without being told to. Raises ApiError."""
        resource = self._cache.resource(key)
        if resource is None:
            self._forget(key)
            return None
        decision, plan, broker = self._decide(key)
        self._count(key, decision)
        context = self._observer.context(key.namespace, broker.name)
        work = Work(key=key, resource=resource, broker=broker, plan=plan, context=context)
        if key.kind == "Strategy":
            # Before the first of what it is to do: it counts from now on.
            self._wake(self._rolls.claim(key, broker, decision.claim))
        await self._executor.carry_out(decision.actions, work)
        if self._observer.failures.pop(key, None) is not None:
            # What is told of the failure is out of date now.
            self._queue.add(key)
        waits = [decision.look_again_s, self._observer.repair_in_s(key.namespace, plan)]
        due = [wait for wait in waits if wait is not None]
        return min(due) if due else None

    def _decide(self, key: Key) -> tuple[Decision, Plan | None, Key]:
        now = time.time()
        other = self._observer.other_installation(key)
        if other:
            return Decision(self._leave(key, other)), None, key
        self._others.pop(key, None)
        if key.kind == "Broker":
            found = self._observer.broker(key)
            if found is None:
                return Decision(()), None, key
            return decide_broker(found, now), found.plan, key
        observed = self._observer.strategy(key)
        if observed is None:
            return Decision(()), None, key
        resource = self._cache.resource(key)
        broker = Key("Broker", key.namespace, resource.broker if resource is not None else "")
        deadline_s = float(self._settings.deletion_deadline_seconds)
        return decide_strategy(observed, now, deletion_deadline_s=deadline_s), observed.plan, broker

    def _leave(self, key: Key, other: str) -> tuple[Action, ...]:
        """Two operators would undo each other's work for ever: not even the status of another's is written."""
        if self._others.get(key) == other:
            return ()
        self._others[key] = other
        workload = f"strategy-{key.name}" if key.kind == "Strategy" else f"gateway-{key.name}"
        message = (
            f"installation {other} looks after it, and {self._settings.installation} leaves it alone: keep their "
            f"namespaces apart (operator.namespaces), or, if {other} is gone for good: "
            f"kubectl annotate statefulset {workload} -n {key.namespace} {INSTALLATION}-"
        )
        logger.warning("another installation's", extra={"about": str(key), "problem": message})
        return (Tell("Warning", reasons.OTHER_INSTALLATION, message),)

    def _failed(self, key: Key, error: ApiError, at_least_s: float) -> None:
        after_s = self._queue.retry(key, at_least_s)
        metrics.ERRORS.labels(key.kind, error.reason).inc()
        if isinstance(error, Conflict):
            # Somebody was faster; what they wrote is on its way to us.
            logger.debug("out of date", extra={"about": str(key)})
            return
        logger.warning(
            "will be tried again",
            extra={"about": str(key), "reason": error.reason, "error": str(error), "after_s": round(after_s, 1)},
        )
        if isinstance(error, Invalid | Forbidden) and self._observer.failures.get(key) != str(error):
            # Waiting alone mends neither: the user has to see it.
            self._observer.failures[key] = str(error)

    def pass_on_turns(self) -> None:
        """Of Strategies that have not come up again in time, to those that wait."""
        self._wake(self._rolls.pass_on())

    def _wake(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._queue.add(key)

    def _forget(self, key: Key) -> None:
        self._wake(self._rolls.forget(key))
        self._queue.discard(key)
        self._observer.forget(key)
        self._gateways.forget(key)
        self._waiting.discard(key)
        self._others.pop(key, None)
        before = self._phases.pop(key, None)
        if before is not None:
            self._gauge(key.kind, before, -1)
        metrics.UPDATES_WAITING.set(len(self._waiting))

    def _count(self, key: Key, decision: Decision) -> None:
        before = self._phases.get(key)
        if before != decision.phase:
            self._phases[key] = decision.phase
            if before is not None:
                self._gauge(key.kind, before, -1)
            self._gauge(key.kind, decision.phase, 1)
        if decision.update_waits != (key in self._waiting):
            (self._waiting.add if decision.update_waits else self._waiting.discard)(key)
        metrics.UPDATES_WAITING.set(len(self._waiting))

    def _gauge(self, kind: str, phase: str, by: int) -> None:
        self._counted[kind, phase] += by
        metrics.OBJECTS.labels(kind, phase).set(self._counted[kind, phase])

    async def resync(self) -> None:
        """Every object once in the span, spread over it: five thousand at one moment would be a wave."""
        while True:
            span_s = self._settings.resync_seconds
            for kind in ("Broker", "Strategy"):
                for key in self._cache.keys(kind):
                    self._queue.add_after(key, span_s * random.uniform(0.05, 1.0))
            self._drift.forget_old()
            await asyncio.sleep(span_s)
