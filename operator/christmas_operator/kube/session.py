"""HTTP sessions to the API server, for kopf's lists and watches and for our own writes: counted, and authorized."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
import kopf
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

from christmas_operator import metrics

_SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TOKEN_READ_EVERY_S: Final = 60.0
"""The kubelet replaces it long before it expires."""
_CONNECT_S: Final = 10.0

ListObserver = Callable[[ClientRequest, ClientHandlerType], Awaitable[ClientResponse]]


class NoCredentials(Exception):
    """Neither a service account nor a kubeconfig is here."""


class Connection(NamedTuple):
    """Where the API server is. kopf closes the session that it works with, so it has one of its own."""

    server: str
    open_session: Callable[[], aiohttp.ClientSession]


class _Token:
    """A service account's token, read again as its file is replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at = float("-inf")
        self._header = ""

    def header(self) -> str:
        if time.monotonic() - self._read_at > _TOKEN_READ_EVERY_S:
            self._header = f"Bearer {self._path.read_text().strip()}"
            self._read_at = time.monotonic()
        return self._header


async def _authorize(token: _Token, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    request.headers["Authorization"] = token.header()
    return await handler(request)


async def _count(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    verb = "WATCH" if "watch" in request.url.query else request.method
    try:
        response = await handler(request)
    except (aiohttp.ClientError, OSError, TimeoutError):
        metrics.REQUESTS.labels(verb, "none").inc()
        raise
    metrics.REQUESTS.labels(verb, str(response.status)).inc()
    return response


def open_connection(kubeconfig: str | None, *observers: ListObserver) -> Connection:
    """By a pod's service account, else by a kubeconfig; raises NoCredentials."""
    token: _Token | None = None
    info: kopf.ConnectionInfo | None = None
    settings = kopf.OperatorSettings()
    if kubeconfig is not None:
        os.environ["KUBECONFIG"] = kubeconfig
    else:
        info = kopf.login_with_service_account(settings=settings)
        token = _Token(_SERVICE_ACCOUNT / "token") if info is not None else None
    info = info or kopf.login_with_kubeconfig(settings=settings)
    if info is None:
        raise NoCredentials("no service account in this pod and no kubeconfig: set KUBECONFIG or settings.kubeconfig")
    headers = info.as_http_headers()
    middlewares: list[ListObserver] = [*observers, _count]
    if token is not None:
        # A header of the session would keep the token of the start for ever.
        headers.pop("Authorization", None)
        held = token
        middlewares.append(lambda request, handler: _authorize(held, request, handler))
    trust = info.as_ssl_context()
    # Python 3.13 refuses CAs without a key usage extension, which clusters have that were made by older tools.
    trust.verify_flags &= ~ssl.VERIFY_X509_STRICT

    def open_session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=trust, keepalive_timeout=60),
            headers={**headers, "User-Agent": "christmas-operator"},
            timeout=aiohttp.ClientTimeout(sock_connect=_CONNECT_S),
            middlewares=middlewares,
        )

    return Connection(info.server, open_session)
