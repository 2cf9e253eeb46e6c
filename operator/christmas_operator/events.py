"""Events on Strategies and Brokers. They only tell: one that cannot be written is dropped."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from typing import Final, NamedTuple

from christmas.resources.meta import API_VERSION
from christmas_operator.actions import Tell
from christmas_operator.conditions import stamp
from christmas_operator.keys import Key
from christmas_operator.kube.client import ApiClient, Json
from christmas_operator.kube.errors import ApiError

logger = logging.getLogger(__name__)

_QUEUE_MAXIMUM: Final = 2_000
_REMEMBERED: Final = 5_000
_SAME_AGAIN_S: Final = 600.0
"""The same words about the same object are not told again within it."""
_MESSAGE_MAXIMUM: Final = 1024


class _Note(NamedTuple):
    key: Key
    uid: str
    tell: Tell
    at: float


class EventRecorder:
    """Writes from a bounded queue, one after the other, behind what matters more."""

    def __init__(self, api: ApiClient, instance: str) -> None:
        self._api = api
        self._instance = instance
        self._notes: asyncio.Queue[_Note] = asyncio.Queue(_QUEUE_MAXIMUM)
        self._told: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    def tell(self, key: Key, uid: str, tell: Tell) -> None:
        same = (uid, tell.reason, tell.message)
        now = time.monotonic()
        if now - self._told.get(same, float("-inf")) < _SAME_AGAIN_S:
            return
        self._told[same] = now
        self._told.move_to_end(same)
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        level = logging.WARNING if tell.severity == "Warning" else logging.INFO
        logger.log(level, tell.message, extra={"about": str(key), "reason": tell.reason})
        if not self._notes.full():
            self._notes.put_nowait(_Note(key, uid, tell, time.time()))

    async def run(self) -> None:
        while True:
            note = await self._notes.get()
            try:
                await self._api.create(
                    event_manifest(note.key, note.uid, note.tell, at=note.at, instance=self._instance)
                )
            except ApiError as error:
                logger.info("an event is not written", extra={"about": str(note.key), "reason": error.reason})
            finally:
                self._notes.task_done()

    async def flush(self, within_s: float) -> None:
        """Write what waits, for at most so long."""
        try:
            async with asyncio.timeout(within_s):
                await self._notes.join()
        except TimeoutError:
            return


def event_manifest(key: Key, uid: str, tell: Tell, *, at: float, instance: str) -> Json:
    digest = hashlib.blake2b(f"{uid}{tell.reason}{tell.message}{at}".encode(), digest_size=8).hexdigest()
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{key.name}.{digest}", "namespace": key.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": key.kind,
            "namespace": key.namespace,
            "name": key.name,
            "uid": uid,
        },
        "type": tell.severity,
        "reason": tell.reason,
        "message": tell.message[:_MESSAGE_MAXIMUM],
        "source": {"component": "christmas-operator"},
        "reportingComponent": "christmas.dev/operator",
        "reportingInstance": instance,
        "firstTimestamp": stamp(at),
        "lastTimestamp": stamp(at),
        "count": 1,
    }
