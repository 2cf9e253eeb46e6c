"""What each process shows to the outside: /metrics, /healthz, /readyz, and pages of its own.

It runs in a thread of its own, so that a stuck event loop is seen by /healthz instead of hiding it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from socketserver import TCPServer
from types import MappingProxyType
from typing import Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import REGISTRY, make_wsgi_app

LOOP_STUCK_AFTER_S: Final = 10.0


class Health:
    """Whether the process lives (its event loop turns) and whether it is ready, and if not why."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._beat = clock()
        self._not_ready: str | None = "starting"
        self._dead: str | None = None

    def beat(self) -> None:
        """Called from the event loop, at least once a second."""
        self._beat = self._clock()

    def ready(self, reason: str | None) -> None:
        """``None``: ready; otherwise why it is not."""
        self._not_ready = reason

    def alive(self, trouble: str | None) -> None:
        """``None``: what the process depends on within itself works; otherwise why only a new start will help."""
        self._dead = trouble

    @property
    def not_ready(self) -> str | None:
        return self._not_ready

    @property
    def not_alive(self) -> str | None:
        silent = self._clock() - self._beat
        return f"the event loop has been stuck for {silent:.0f} s" if silent > LOOP_STUCK_AFTER_S else self._dead


class _QuietHandler(WSGIRequestHandler):
    timeout = 5.0

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
        """Scrapes are not worth a log line."""


class _Server(WSGIServer):
    def server_bind(self) -> None:
        # Not HTTPServer's: it asks the resolver for the host's name, which can take seconds offline. TCPServer's lets a
        # process that was killed be started again while connections to the one before it are still remembered.
        TCPServer.server_bind(self)
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), int(port)
        self.setup_environ()


class HttpServer:
    """Serves one process's metrics and health on ``host:port`` (0: any free port)."""

    def __init__(
        self, health: Health, *, host: str, port: int, pages: Mapping[str, bytes] = MappingProxyType({})
    ) -> None:
        """``pages``: JSON by path; whoever holds the mapping may replace one at any time."""
        self._health = health
        self._pages = pages
        self._metrics: WSGIApplication = make_wsgi_app(REGISTRY)
        self._server = make_server(host, port, self._answer, server_class=_Server, handler_class=_QuietHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)

    @property
    def port(self) -> int:
        return self._server.server_port

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path == "/metrics":
            return self._metrics(environ, start_response)
        if path == "/healthz":
            return _state(start_response, self._health.not_alive)
        if path == "/readyz":
            return _state(start_response, self._health.not_alive or self._health.not_ready)
        page = self._pages.get(path)
        if page is not None:
            return _answer(start_response, "200 OK", "application/json", page)
        return _text(start_response, "404 Not Found", "try /metrics, /healthz or /readyz\n")


def _state(start_response: StartResponse, problem: str | None) -> list[bytes]:
    if problem is None:
        return _text(start_response, "200 OK", "ok\n")
    return _text(start_response, "503 Service Unavailable", problem + "\n")


def _text(start_response: StartResponse, status: str, body: str) -> list[bytes]:
    return _answer(start_response, status, "text/plain; charset=utf-8", body.encode())


def _answer(start_response: StartResponse, status: str, content_type: str, content: bytes) -> list[bytes]:
    start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(content)))])
    return [content]
