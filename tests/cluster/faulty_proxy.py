"""Stands between the operator and the API server, and misbehaves when told to."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import threading
from collections import deque
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

_GONE = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_NOT_HANDED_ON = frozenset({"host", "content-length", "transfer-encoding", "content-encoding", "connection"})

_SESSION = web.AppKey("session", aiohttp.ClientSession)


class FaultyProxy:
    """HTTP on loopback; the client's own token goes on to the API server."""

    def __init__(self) -> None:
        cluster = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())["clusters"][0]["cluster"]
        self._upstream = cluster["server"]
        authority = cluster.get("certificate-authority-data")
        text = base64.b64decode(authority).decode() if authority else Path(cluster["certificate-authority"]).read_text()
        self._context = ssl.create_default_context(cadata=text)
        self.watches_off = False
        """Watches get 503."""
        self.away = False
        """Connections end without an answer, as when the API server is gone."""
        self.gone = 0
        """So many watches get 410."""
        self.refuse: deque[int] = deque()
        """What the next writes but the Lease's are answered with."""
        self.requests = 0
        self._watching: set[web.StreamResponse] = set()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._over = asyncio.Event()
        self.port = 0
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), daemon=True)
        self._thread.start()
        assert self._started.wait(10)

    def drop_watches(self) -> None:
        for response in list(self._watching):
            self._loop.call_soon_threadsafe(self._abort, response)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    @staticmethod
    def _abort(response: web.StreamResponse) -> None:
        transport = response._req.transport if response._req is not None else None
        if transport is not None:
            transport.abort()

    async def _serve(self) -> None:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._context), auto_decompress=False
        ) as session:
            app = web.Application(client_max_size=16 * 1024 * 1024)
            app[_SESSION] = session
            app.router.add_route("*", "/{path:.*}", self._handle)
            runner = web.AppRunner(app, shutdown_timeout=0.5)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = runner.addresses[0][1]
            self._started.set()
            await self._over.wait()
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        if self.away:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError
        watch = request.query.get("watch") == "true"
        if watch and self.watches_off:
            return web.json_response({"kind": "Status", "message": "no watches now"}, status=503)
        if watch and self.gone > 0:
            self.gone -= 1
            return web.Response(text=json.dumps(_GONE) + "\n", content_type="application/json")
        if request.method in _WRITES and "/leases" not in request.path and self.refuse:
            status = self.refuse.popleft()
            headers = {"Retry-After": "1"} if status == 429 else {}
            return web.json_response(
                {"kind": "Status", "message": "refused by the test"}, status=status, headers=headers
            )
        return await self._hand_on(request, watch=watch)

    async def _hand_on(self, request: web.Request, *, watch: bool) -> web.StreamResponse:
        session = request.app[_SESSION]
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _NOT_HANDED_ON}
        options: dict[str, Any] = {"headers": headers, "data": await request.read() or None}
        timeout = aiohttp.ClientTimeout(total=None)
        async with session.request(
            request.method, self._upstream + request.path_qs, timeout=timeout, **options
        ) as answer:
            kept = {key: value for key, value in answer.headers.items() if key.lower() not in _NOT_HANDED_ON}
            if "Content-Encoding" in answer.headers:
                kept["Content-Encoding"] = answer.headers["Content-Encoding"]
            response = web.StreamResponse(status=answer.status, headers=kept)
            try:
                await response.prepare(request)
                if watch:
                    self._watching.add(response)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
            except (aiohttp.ClientError, ConnectionError):
                pass
            finally:
                self._watching.discard(response)
        return response
