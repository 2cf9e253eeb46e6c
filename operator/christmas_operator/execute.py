"""Carries actions out, in their order, until one fails. What is already as it should be is not written."""

from __future__ import annotations

import asyncio
import secrets
import time
from base64 import b64encode
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from christmas.brokers.permit import Permit, issue, limits_of
from christmas.resources.strategy import Strategy
from christmas_operator import metrics, reasons
from christmas_operator.actions import (
    Action,
    AddFinalizer,
    Apply,
    AskExposure,
    AtGateway,
    CreatePermitKey,
    ReleaseFinalizer,
    Remove,
    StopPod,
    Tell,
    WriteStatus,
)
from christmas_operator.cache import Cache, View
from christmas_operator.drift import DriftMemory
from christmas_operator.events import EventRecorder
from christmas_operator.gateways import Gateways
from christmas_operator.informer.canary import Canary
from christmas_operator.informer.intake import view_of
from christmas_operator.keys import Key, ObjectName
from christmas_operator.kube.client import ApiClient, Json
from christmas_operator.kube.difference import first_difference
from christmas_operator.kube.errors import ApiError, Conflict, NotFound
from christmas_operator.kube.kinds import BROKER, BY_NAME, POD, SECRET, STRATEGY, Kind
from christmas_operator.kube.views import Resource
from christmas_operator.manifests.broker import permit_key_secret
from christmas_operator.manifests.context import BuildContext
from christmas_operator.manifests.names import gateway_pod, runtime_pod
from christmas_operator.manifests.strategy import strategy_objects
from christmas_operator.observe import FINALIZER, owner_ref, read_model
from christmas_operator.permit_keys import PermitKeys
from christmas_operator.plan import Plan, with_epoch
from christmas_operator.strategies.decide import PERMIT_LASTS_S
from christmas_operator.strategies.status import status_manifest

_KINDS: Final = {"Strategy": STRATEGY, "Broker": BROKER}
_KEY_BYTES: Final = 32


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What the actions of one decision are about."""

    key: Key
    resource: Resource
    broker: Key
    plan: Plan | None
    context: BuildContext | None


class Executor:
    def __init__(
        self,
        *,
        api: ApiClient,
        cache: Cache,
        canary: Canary,
        drift: DriftMemory,
        events: EventRecorder,
        gateways: Gateways,
        permit_keys: PermitKeys,
    ) -> None:
        self._api = api
        self._cache = cache
        self._canary = canary
        self._drift = drift
        self._events = events
        self._gateways = gateways
        self._permit_keys = permit_keys

    async def carry_out(self, actions: Sequence[Action], work: Work) -> None:
        """Raises ApiError from the first that fails."""
        if not any(isinstance(action, AskExposure) for action in actions):
            self._gateways.no_longer(work.key, work.broker)
        for action in actions:
            await self._one(action, work)

    async def _one(self, action: Action, work: Work) -> None:
        key, uid = work.key, work.resource.uid
        match action:
            case WriteStatus(status):
                await self._write_status(work, status)
            case AddFinalizer():
                await self._add_finalizer(work)
            case ReleaseFinalizer():
                await self._release_finalizer(work)
            case Apply():
                await self._apply(action, work)
            case CreatePermitKey():
                await self._create_permit_key(work)
            case StopPod(pod_uid):
                pod = runtime_pod(key.name) if key.kind == "Strategy" else gateway_pod(key.name)
                await self._delete(POD, key.namespace, pod, pod_uid)
            case Remove(names):
                for name in names:
                    live = self._cache.owned(name.kind, key.namespace, name.name)
                    if live is not None:
                        await self._delete(BY_NAME[name.kind], key.namespace, name.name, live.uid)
            case AtGateway(command, epoch, reason):
                self._gateways.tell(key, work.broker, command, epoch, reason)
            case AskExposure():
                self._gateways.ask(key, work.broker)
            case Tell():
                self._events.tell(key, uid, action)

    async def _write_status(self, work: Work, status: object) -> None:
        if not isinstance(status, msgspec.Struct):
            raise TypeError(f"{status!r} is no status")
        resource = self._current(work)
        manifest = status_manifest(work.key.kind, resource, status)
        kind = _KINDS[work.key.kind]
        self._took(kind, await self._api.apply_status(kind, manifest))

    async def _add_finalizer(self, work: Work) -> None:
        resource = self._current(work)
        value: Any = FINALIZER if resource.finalizers else [FINALIZER]
        path = "/metadata/finalizers/-" if resource.finalizers else "/metadata/finalizers"
        await self._patch(work, resource, [{"op": "add", "path": path, "value": value}])

    async def _release_finalizer(self, work: Work) -> None:
        resource = self._current(work)
        if FINALIZER in resource.finalizers:
            index = resource.finalizers.index(FINALIZER)
            try:
                await self._patch(work, resource, [{"op": "remove", "path": f"/metadata/finalizers/{index}"}])
            except NotFound:
                return

    async def _patch(self, work: Work, resource: Resource, operations: list[Json]) -> None:
        """Of the very version that was decided on: an index or an absent list may be another's by now."""
        test = {"op": "test", "path": "/metadata/resourceVersion", "value": str(resource.version)}
        kind = _KINDS[work.key.kind]
        try:
            found = await self._api.patch(kind, resource.namespace, resource.name, [test, *operations])
        except ApiError as error:
            if error.status == 422:
                raise Conflict("Conflict", str(error), 409) from error
            raise
        self._took(kind, found)

    async def _apply(self, action: Apply, work: Work) -> None:
        """What a workload is made of first, all at once; the workload itself when they are there."""
        plan = work.plan
        if plan is None:
            return
        first = [name for name in action.names if name.kind != "StatefulSet"]
        last = [name for name in action.names if name.kind == "StatefulSet"]
        for batch in (first, last):
            results = await asyncio.gather(
                *(self._apply_one(name, action, work, plan) for name in batch), return_exceptions=True
            )
            for result in results:
                if isinstance(result, BaseException):
                    raise result

    async def _apply_one(self, name: ObjectName, action: Apply, work: Work, plan: Plan) -> None:
        wanted, key = plan.objects[name], work.key
        manifest = wanted.manifest
        if key.kind == "Strategy":
            manifest = await self._of_epoch(name, manifest, action.epoch, work)
        changed_at = await self._first_difference(name, manifest, key) if name in action.repairs else ""
        kind = BY_NAME[name.kind]
        live = await self._api.apply(manifest)
        view = self._took(kind, live)
        self._drift.learn(wanted, name, getattr(view, "fields", ""))
        if name in action.repairs:
            self._drift.mended((key.namespace, name))
            metrics.DRIFT.labels(name.kind).inc()
            message = f"{name}: {changed_at} was not as applied; it is again" if changed_at else f"{name}: it was gone"
            self._events.tell(key, work.resource.uid, Tell("Warning", reasons.DRIFT_REPAIRED, message))

    async def _of_epoch(self, name: ObjectName, manifest: Json, epoch: int, work: Work) -> Json:
        expires_s = int(time.time()) + PERMIT_LASTS_S
        if name.kind == "Secret":
            manifest = {**manifest, **await self._secret_content(name, epoch, expires_s, work)}
        return with_epoch(manifest, epoch, permit_expires=expires_s)

    async def _secret_content(self, name: ObjectName, epoch: int, expires_s: int, work: Work) -> Json:
        model: Strategy | None = read_model(work.resource, Strategy)[0]
        key = await self._permit_keys.key(work.broker)
        if model is None or work.context is None or key is None:
            raise ApiError("NoPermitKey", f"the key for permits of {work.broker} cannot be read")
        permit = Permit(
            strategy=work.key.name,
            strategy_uid=work.resource.uid,
            broker=work.broker.name,
            epoch=epoch,
            issued_us=time.time_ns() // 1000,
            expires_us=expires_s * 1_000_000,
            limits=limits_of(model.spec),
        )
        objects = strategy_objects(
            model, work.context, permit=issue(permit, key), owner=owner_ref("Strategy", work.resource)
        )
        secret = next(made for made in objects if (made["kind"], made["metadata"]["name"]) == tuple(name))
        return {field: secret[field] for field in ("data", "stringData") if field in secret}

    async def _first_difference(self, name: ObjectName, manifest: Json, key: Key) -> str:
        """The path of the first field that somebody has changed; empty when the object is gone."""
        try:
            found = await self._api.get(BY_NAME[name.kind], key.namespace, name.name)
        except NotFound:
            return ""
        compared = {field: value for field, value in manifest.items() if field != "stringData"}
        if "stringData" in manifest:
            encoded = {part: b64encode(text.encode()).decode() for part, text in manifest["stringData"].items()}
            compared["data"] = {**manifest.get("data", {}), **encoded}
        if name.kind == "Secret":
            # The permit in it is made anew with each apply.
            compared["data"] = {part: value for part, value in compared.get("data", {}).items() if part != "permit"}
        return first_difference(compared, found) or "something"

    async def _create_permit_key(self, work: Work) -> None:
        """A key that is there already stays: with another, no permit would open the gateway any more."""
        key, resource = work.key, work.resource
        value = secrets.token_bytes(_KEY_BYTES)
        made = permit_key_secret(key.name, key.namespace, value, owner=owner_ref("Broker", resource))
        try:
            self._took(SECRET, await self._api.create(made))
        except Conflict:
            return

    async def _delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        try:
            await self._api.delete(kind, namespace, name, uid=uid)
        except Conflict:
            # Another object has its name by now: the one that was meant is gone.
            return

    def _current(self, work: Work) -> Resource:
        """The resource with what our own writes of this round have made of it."""
        found = self._cache.resource(work.key)
        return found if found is not None and found.uid == work.resource.uid else work.resource

    def _took(self, kind: Kind, live: Json) -> View:
        """The answer to a write is the freshest there is: what is decided next must know of it."""
        view = view_of(kind, live)
        if self._cache.is_gone(view.uid):
            # Its deletion was faster than this answer: no watch will ever show what was written.
            return view
        known = self._cache.get(kind.kind, (view.namespace, view.name))
        self._cache.put(kind.kind, view)
        self._canary.wrote(kind.kind, view.uid, view.version, known.version if known is not None else 0)
        return view
