"""The keys with which permits are signed: one for each Broker, read when needed and when it has changed."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from typing import NamedTuple

from christmas_operator.cache import Cache
from christmas_operator.keys import Key
from christmas_operator.kube.client import ApiClient
from christmas_operator.kube.errors import NotFound
from christmas_operator.kube.kinds import SECRET
from christmas_operator.kube.views import Owned
from christmas_operator.manifests.names import permit_key_secret_name


class _Read(NamedTuple):
    uid: str
    version: int
    key: bytes


class PermitKeys:
    def __init__(self, api: ApiClient, cache: Cache) -> None:
        self._api = api
        self._cache = cache
        self._read: dict[Key, _Read] = {}

    def secret(self, broker: Key) -> Owned | None:
        found = self._cache.owned(SECRET.kind, broker.namespace, permit_key_secret_name(broker.name))
        return None if found is None or found.deleting else found

    def identity(self, broker: Key) -> str:
        """Tells one key from another; empty when there is none."""
        found = self.secret(broker)
        return "" if found is None else found.uid

    async def key(self, broker: Key) -> bytes | None:
        """None when there is none; raises ApiError."""
        secret = self.secret(broker)
        if secret is None:
            self._read.pop(broker, None)
            return None
        known = self._read.get(broker)
        if known is not None and (known.uid, known.version) == (secret.uid, secret.version):
            return known.key
        try:
            found = await self._api.get(SECRET, broker.namespace, secret.name)
            key = b64decode((found.get("data") or {}).get("permit-key", ""), validate=True)
        except (NotFound, Base64Error):
            return None
        self._read[broker] = _Read(secret.uid, secret.version, key)
        return key or None
