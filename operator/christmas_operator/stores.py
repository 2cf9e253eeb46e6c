"""The URLs of Redis and the database, from the installation's Secret. They go into the pods' Secrets, nowhere else."""

from __future__ import annotations

import logging
from base64 import b64decode
from binascii import Error as Base64Error

import msgspec

from christmas_operator.kube.client import ApiClient
from christmas_operator.kube.errors import ApiError, NotFound
from christmas_operator.kube.kinds import SECRET
from christmas_operator.settings import StoresSecret

logger = logging.getLogger(__name__)


class Stores(msgspec.Struct, frozen=True, kw_only=True):
    redis_url: str
    redis_url_runtime: str
    """Of a user that may only do what a runtime does; the other one where there is none."""
    database_url_reader: str | None


class StoresReader:
    """Reads the Secret again from time to time: passwords may be changed."""

    def __init__(self, api: ApiClient, where: StoresSecret) -> None:
        self._api = api
        self._where = where
        self.stores: Stores | None = None
        self.problem = "the stores' Secret has not been read yet"

    async def read(self) -> bool:
        """Whether anything is otherwise than before. What was read stays good while it cannot be read again."""
        before = self.stores
        name = f"Secret {self._where.namespace}/{self._where.name}"
        try:
            found = await self._api.get(SECRET, self._where.namespace, self._where.name)
            self.stores, self.problem = stores_of(found.get("data") or {}), ""
        except NotFound:
            self.problem = f"there is no {name} with redis-url: the chart makes it"
        except ValueError as error:
            self.problem = f"{name}: {error}"
        except ApiError as error:
            logger.warning("the stores' Secret cannot be read", extra={"reason": error.reason, "error": str(error)})
            self.problem = self.problem and f"{name} cannot be read: {error}"
        return self.stores != before


def stores_of(data: dict[str, str]) -> Stores:
    """From a Secret's ``data``; raises ValueError."""

    def text(key: str) -> str:
        try:
            return b64decode(data.get(key, ""), validate=True).decode()
        except (Base64Error, UnicodeDecodeError) as error:
            raise ValueError(f"{key} is not text") from error

    redis_url = text("redis-url")
    if not redis_url:
        raise ValueError("redis-url is missing")
    return Stores(
        redis_url=redis_url,
        redis_url_runtime=text("redis-url-runtime") or redis_url,
        database_url_reader=text("database-url-reader") or None,
    )
