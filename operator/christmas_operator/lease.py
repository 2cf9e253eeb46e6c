"""The one active operator: a Lease in the operator's namespace.

`next_step` is pure. Our own clock alone measures how long nobody has renewed (client-go does the same):
two machines' clocks need not agree. A Lease is not a fence; what is written is fenced by resource versions,
and trading by the epochs that the gateways check.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import Any, Final, Literal

import msgspec

from christmas_operator import metrics
from christmas_operator.conditions import stamp
from christmas_operator.kube.client import ApiClient, Json
from christmas_operator.kube.errors import ApiError, Conflict, Forbidden, NotFound
from christmas_operator.kube.kinds import LEASE

logger = logging.getLogger(__name__)

_RETRY_S: Final = 2.0
_GIVE_UP_AT: Final = 2 / 3
"""Of the Lease's span: who cannot renew stops this long before anybody else may start."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The Lease as it was when it last changed."""

    holder: str
    version: str
    changed_at: float
    """Our monotonic clock when we first saw this version."""
    span_s: float


def next_step(seen: Seen | None, *, identity: str, now: float) -> Literal["create", "take", "wait"]:
    """What an operator that does not lead does about the Lease."""
    if seen is None:
        return "create"
    if seen.holder in {"", identity} or now - seen.changed_at > seen.span_s:
        return "take"
    return "wait"


class Leader:
    """Holds the Lease once `acquire` has returned, for as long as `leads` says so."""

    def __init__(self, *, namespace: str, name: str, identity: str, span_s: int) -> None:
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._span_s = span_s
        self._renewed_at = float("-inf")
        self._lease: Json = {}
        self._seen: Seen | None = None

    def leads(self) -> bool:
        """Safe to write: nobody else may have taken over yet."""
        return time.monotonic() - self._renewed_at < self._span_s * _GIVE_UP_AT

    def owner_references(self, namespace: str) -> list[Json]:
        """For an object of the operator's own, which is to go with the Lease; an owner is of the same namespace."""
        metadata = self._lease.get("metadata") or {}
        if namespace != self._namespace or "uid" not in metadata:
            return []
        return [{"apiVersion": LEASE.api_version, "kind": LEASE.kind, "name": self._name, "uid": metadata["uid"]}]

    async def acquire(self, api: ApiClient) -> None:
        """Waits until the Lease is ours."""
        waiting = False
        while True:
            try:
                if await self._try(api):
                    metrics.LEADING.set(1)
                    logger.info("leading", extra={"lease": self._name, "identity": self._identity})
                    return
                if not waiting and self._seen is not None:
                    waiting = True
                    logger.info("standing by", extra={"lease": self._name, "holder": self._seen.holder})
            except ApiError as error:
                logger.warning("the Lease cannot be had", extra={"reason": error.reason, "error": str(error)})
            await asyncio.sleep(_RETRY_S * random.uniform(0.8, 1.2))

    async def hold(self, api: ApiClient) -> None:
        """Renews until the Lease is lost; then returns."""
        every = self._span_s / 3
        while self.leads():
            await asyncio.sleep(every * random.uniform(0.9, 1.0))
            try:
                await self._renew(api)
            except Conflict:
                self._renewed_at = float("-inf")
            except ApiError as error:
                logger.warning("the Lease is not renewed", extra={"reason": error.reason, "error": str(error)})
                every = _RETRY_S
                continue
            every = self._span_s / 3
        metrics.LEADING.set(0)
        logger.error("the Lease is lost", extra={"lease": self._name})

    async def release(self, api: ApiClient) -> None:
        """Lets the next one start at once."""
        if not self.leads():
            return
        self._renewed_at = float("-inf")
        try:
            await self._write(api, {"holderIdentity": "", "leaseDurationSeconds": 1})
        except ApiError as error:
            logger.warning("the Lease is not released", extra={"reason": error.reason})

    async def _try(self, api: ApiClient) -> bool:
        try:
            lease: Json | None = await api.get(LEASE, self._namespace, self._name)
        except NotFound:
            lease = None
        self._look_at(lease)
        began = time.monotonic()
        step = next_step(self._seen, identity=self._identity, now=began)
        if step == "wait":
            return False
        try:
            if lease is None:
                self._lease = await self._create(api)
            else:
                self._lease = await api.replace(self._manifest(lease))
        except Conflict:
            return False
        self._renewed_at = began
        return True

    async def _create(self, api: ApiClient) -> Json:
        """Only where somebody runs an operator without the chart, which makes the Lease itself."""
        try:
            return await api.create_unled(self._manifest(None))
        except Forbidden as error:
            what = f"there is no Lease {self._name} in namespace {self._namespace}: helm upgrade makes it ({error})"
            raise Forbidden(error.reason, what, error.status) from error

    async def _renew(self, api: ApiClient) -> None:
        began = time.monotonic()
        await self._write(api, {"renewTime": _micro_time()})
        self._renewed_at = began

    async def _write(self, api: ApiClient, changes: Json) -> None:
        """Of the Lease that we hold. Raises Conflict when it is another's by now."""
        try:
            self._lease = await api.replace(_with_spec(self._lease, changes))
        except Conflict:
            # Not only who takes it over writes it: an upgrade of the chart changes its labels.
            found = await api.get(LEASE, self._namespace, self._name)
            if (found.get("spec") or {}).get("holderIdentity") != self._identity:
                raise
            self._lease = await api.replace(_with_spec(found, changes))

    def _look_at(self, lease: Json | None) -> None:
        if lease is None:
            self._seen = None
            return
        version, spec = lease["metadata"]["resourceVersion"], lease.get("spec") or {}
        if self._seen is None or self._seen.version != version:
            self._seen = Seen(
                holder=spec.get("holderIdentity") or "",
                version=version,
                changed_at=time.monotonic(),
                span_s=float(spec.get("leaseDurationSeconds") or self._span_s),
            )

    def _manifest(self, lease: Json | None) -> Json:
        spec = (lease or {}).get("spec") or {}
        now = _micro_time()
        metadata: dict[str, Any] = {"name": self._name, "namespace": self._namespace}
        if lease is not None:
            metadata = lease["metadata"]
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": metadata,
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": self._span_s,
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": int(spec.get("leaseTransitions") or 0) + (lease is not None),
            },
        }


def _micro_time() -> str:
    return stamp(time.time()).replace("Z", ".000000Z")


def _with_spec(lease: Json, changes: Json) -> Json:
    return {**lease, "spec": {**lease["spec"], **changes}}
