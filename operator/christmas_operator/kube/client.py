"""Writes to the API server, and the few reads that no watch covers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiohttp
import msgspec

from christmas_operator import metrics
from christmas_operator.kube.bucket import Bucket
from christmas_operator.kube.errors import ApiError, NotFound, NotLeading, Throttled, Unreachable, error_of
from christmas_operator.kube.kinds import BY_NAME, Kind

FIELD_MANAGER: Final = "christmas-operator"
_ANSWER_WITHIN_S: Final = 30.0
_RETRY_AFTER_MAXIMUM_S: Final = 60.0

Json = dict[str, Any]


class ApiClient:
    """Nothing is written while ``may_write`` says no: that is what an operator that lost its Lease sees."""

    def __init__(
        self, session: aiohttp.ClientSession, server: str, *, writes_per_second: float, may_write: Callable[[], bool]
    ) -> None:
        self._session = session
        self._server = server.rstrip("/")
        self._bucket = Bucket(writes_per_second, 2 * writes_per_second)
        self._may_write = may_write

    async def apply(self, manifest: Mapping[str, Any]) -> Json:
        """Server-side apply as our field manager; the object as it is now."""
        kind = BY_NAME[manifest["kind"]]
        metadata = manifest["metadata"]
        path = kind.path(metadata.get("namespace"), metadata["name"])
        return await self._apply(path, manifest, kind.kind)

    async def apply_status(self, kind: Kind, manifest: Mapping[str, Any]) -> Json:
        """The status subresource. With ``metadata.resourceVersion``, only if nobody has written since."""
        metadata = manifest["metadata"]
        return await self._apply(
            kind.path(metadata["namespace"], metadata["name"], "status"), manifest, f"{kind.kind}/status"
        )

    async def _apply(self, path: str, manifest: Mapping[str, Any], what: str) -> Json:
        return await self._write(
            "PATCH",
            path,
            what,
            params={"fieldManager": FIELD_MANAGER, "force": "true"},
            content=manifest,
            content_type="application/apply-patch+yaml",
        )

    async def patch(self, kind: Kind, namespace: str, name: str, operations: list[Json]) -> Json:
        """A JSON patch."""
        return await self._write(
            "PATCH",
            kind.path(namespace, name),
            kind.kind,
            params={"fieldManager": FIELD_MANAGER},
            content=operations,
            content_type="application/json-patch+json",
        )

    async def create(self, manifest: Mapping[str, Any], *, paced: bool = True) -> Json:
        kind = BY_NAME[manifest["kind"]]
        return await self._write(
            "POST",
            kind.path(manifest["metadata"]["namespace"]),
            kind.kind,
            params={"fieldManager": FIELD_MANAGER},
            content=manifest,
            paced=paced,
        )

    async def replace(self, manifest: Mapping[str, Any]) -> Json:
        """Only as the Lease is written: it must neither wait for other writes nor ask whether we lead."""
        kind = BY_NAME[manifest["kind"]]
        metadata = manifest["metadata"]
        metrics.WRITES.labels(kind.kind).inc()
        return await self._send(
            "PUT",
            kind.path(metadata["namespace"], metadata["name"]),
            params={"fieldManager": FIELD_MANAGER},
            content=manifest,
        )

    async def create_unled(self, manifest: Mapping[str, Any]) -> Json:
        """Like `replace`, of a Lease that is not there yet."""
        kind = BY_NAME[manifest["kind"]]
        metrics.WRITES.labels(kind.kind).inc()
        return await self._send("POST", kind.path(manifest["metadata"]["namespace"]), content=manifest)

    async def delete(
        self, kind: Kind, namespace: str, name: str, *, uid: str = "", propagation: str = "Background"
    ) -> None:
        """With ``uid``, only the very object that we mean. One that is gone already is as good."""
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            await self._write("DELETE", kind.path(namespace, name), kind.kind, content=options)
        except NotFound:
            return

    async def get(self, kind: Kind, namespace: str, name: str) -> Json:
        return await self._send("GET", kind.path(namespace, name))

    async def serves(self, kind: Kind) -> bool:
        """Whether the API server knows the kind now."""
        start = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        try:
            found = await self._send("GET", start)
        except NotFound:
            return False
        return any(resource.get("name") == kind.plural for resource in found.get("resources", []))

    async def _write(
        self,
        method: str,
        path: str,
        what: str,
        *,
        params: Mapping[str, str] | None = None,
        content: object = None,
        content_type: str = "application/json",
        paced: bool = True,
    ) -> Json:
        if paced:
            await self._bucket.take()
        if not self._may_write():
            raise NotLeading
        metrics.WRITES.labels(what).inc()
        try:
            return await self._send(method, path, params=params, content=content, content_type=content_type)
        except Throttled as error:
            self._bucket.pause(min(error.retry_after_s, _RETRY_AFTER_MAXIMUM_S))
            raise

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: object = None,
        content_type: str = "application/json",
    ) -> Json:
        body = None if content is None else msgspec.json.encode(content)
        headers = {"Content-Type": content_type} if body is not None else None
        try:
            async with (
                asyncio.timeout(_ANSWER_WITHIN_S),
                self._session.request(
                    method, self._server + path, params=params, data=body, headers=headers
                ) as response,
            ):
                raw = await response.read()
                if response.status < 300:
                    found: Json = msgspec.json.decode(raw)
                    return found
                raise error_of(response.status, _message(raw), response.headers.get("Retry-After"))
        except TimeoutError as error:
            raise Unreachable("Timeout", f"no answer to {method} {path} within {_ANSWER_WITHIN_S:.0f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable("Unreachable", f"{method} {path}: {error}") from error
        except msgspec.MsgspecError as error:
            raise ApiError("NotJson", f"{method} {path}: {error}") from error


def _message(raw: bytes) -> str:
    """What a Status says, or the start of what is not one (a proxy's page)."""
    try:
        return str(msgspec.json.decode(raw)["message"])
    except (msgspec.MsgspecError, KeyError, TypeError):
        return raw[:200].decode(errors="replace")
