"""Orders and results from the cluster's database, as a strategy's runtime may read it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

import asyncpg
import msgspec

from christmas.cluster.api import Api, segment
from christmas.cluster.errors import ClusterError, RefusedError
from christmas.cluster.forward import forwarded
from christmas.cluster.resources import Object
from christmas.fleet.records import open_pool, read_reports
from christmas.fleet.report import StrategyReport
from christmas.fleet.session import Session
from christmas.ingestion.history import OrderRecord, load_orders
from christmas.resources.strategy import Strategy

_POSTGRES_PORT: Final = 5432
_IN_A_FILE: Final = "file:"
T = TypeVar("T")


class Credentials(msgspec.Struct, frozen=True):
    """The part of a runtime's settings that reading history takes."""

    database_url: str | None = None
    session_id: str = "default"


class Service(NamedTuple):
    """A database inside the cluster."""

    name: str
    namespace: str
    port: int


def credentials(api: Api, strategy: str) -> Credentials:
    """From the strategy's Secret; raises RefusedError when that may not be read, ClusterError when it has none."""
    namespace, name = api.cluster.namespace, f"strategy-{strategy}"
    try:
        secret = api.get(f"/api/v1/namespaces/{segment(namespace)}/secrets/{segment(name)}")
    except RefusedError as error:
        if error.status == 403:
            what = f"history is read with the database URL in Secret {namespace}/{name}, which you may not read"
            mend = f"ask for get on secrets with resourceNames [{name}] in {namespace}"
            raise RefusedError(what, mend, status=error.status) from error
        if error.is_missing:
            what = f"Strategy {strategy} has never been started: there is no Secret {namespace}/{name}"
            raise RefusedError(what, f"see `christmas describe {strategy}`", status=error.status) from error
        raise
    try:
        found = msgspec.json.decode(_text(secret, "settings.json", f"{namespace}/{name}"), type=Credentials)
    except msgspec.MsgspecError as error:
        what = f"settings.json in Secret {namespace}/{name} is of another version: {error}"
        raise ClusterError(what, "use the command line of the installed version") from error
    url = found.database_url
    if url is None:
        raise ClusterError("this installation has no database", "its chart's values name one")
    if url.startswith(_IN_A_FILE):
        # Beside settings.json in the same Secret, as the pod sees it mounted.
        url = _text(secret, url.rpartition("/")[2], f"{namespace}/{name}")
    return Credentials(database_url=url, session_id=found.session_id)


def _text(secret: Object, key: str, name: str) -> str:
    try:
        return base64.b64decode(secret["data"][key]).decode().strip()
    except (KeyError, ValueError) as error:
        raise ClusterError(f"Secret {name} has no {key}", "was it changed by hand?") from error


def read_orders(api: Api, found: Credentials) -> list[OrderRecord]:
    """All of the session; raises FleetError when the database does not answer."""
    return _with_pool(api, found, lambda pool: load_orders(pool, found.session_id))


def read_results(api: Api, found: Credentials, strategies: Sequence[Strategy]) -> list[StrategyReport]:
    """A report for each strategy; raises like `read_orders`."""
    session = Session(redis_url="", database_url=found.database_url or "", session_id=found.session_id)
    return _with_pool(api, found, lambda pool: read_reports(pool, session, strategies))


def _with_pool(api: Api, found: Credentials, read: Callable[[asyncpg.Pool], Awaitable[T]]) -> T:
    async def run(url: str) -> T:
        pool = await open_pool(url)
        try:
            return await read(pool)
        finally:
            await pool.close()

    with reachable(api, found.database_url or "") as url:
        return asyncio.run(run(url))


@contextlib.contextmanager
def reachable(api: Api, url: str) -> Iterator[str]:
    """A URL that works from here: of a Service in the cluster through a forwarded port, of others as it is."""
    service = service_of(url, api.cluster.namespace)
    if service is None:
        yield url
        return
    namespace, pod, port = _endpoint(api, service)
    with forwarded(api, namespace, pod, port, name=f".s.PGSQL.{_POSTGRES_PORT}") as path:
        yield through_socket(url, str(path.parent))


def service_of(url: str, namespace: str) -> Service | None:
    """The Service that a URL names: ``name``, ``name.namespace.svc``, with or without the cluster's domain. Pure."""
    parts = urlsplit(url)
    labels = (parts.hostname or "").split(".")
    port = parts.port or _POSTGRES_PORT
    if len(labels) >= 3 and labels[2] == "svc":
        return Service(labels[0], labels[1], port)
    if len(labels) == 1 and labels[0] not in {"", "localhost"}:
        return Service(labels[0], namespace, port)
    return None


def through_socket(url: str, folder: str) -> str:
    """The URL with a unix socket's folder instead of its host. Pure."""
    parts = urlsplit(url)
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    # A connection to a unix socket has no TLS; the API server's connection around it has.
    kept = [pair for pair in parts.query.split("&") if pair and not pair.startswith(("host=", "port=", "ssl"))]
    query = "&".join([*kept, f"host={quote(folder, safe='')}", f"port={_POSTGRES_PORT}"])
    # urlunsplit leaves out an empty authority, which a database URL needs.
    return urlunsplit(SplitResult(parts.scheme, user or "@", parts.path, query, ""))


def _endpoint(api: Api, service: Service) -> tuple[str, str, int]:
    """A ready pod behind the Service, and its own port."""
    where = f"/api/v1/namespaces/{segment(service.namespace)}"
    found: dict[str, Any] = api.get(f"{where}/services/{segment(service.name)}")
    slices = api.get(
        f"/apis/discovery.k8s.io/v1/namespaces/{segment(service.namespace)}/endpointslices",
        {"labelSelector": f"kubernetes.io/service-name={service.name}"},
    )["items"]
    names = [port.get("name", "") for port in found["spec"]["ports"] if port["port"] == service.port]
    for part in slices:
        ports = [port["port"] for port in part.get("ports") or () if port.get("name", "") in names]
        for endpoint in part.get("endpoints") or ():
            target = endpoint.get("targetRef") or {}
            if ports and target.get("kind") == "Pod" and endpoint.get("conditions", {}).get("ready", True):
                return service.namespace, str(target["name"]), int(ports[0])
    raise ClusterError(
        f"no ready pod is behind Service {service.namespace}/{service.name}",
        "trading goes on without the database; `christmas doctor` shows what is missing",
    )
