"""A port of a pod as a unix socket on this machine, through the API server: for what is not HTTP.

A unix socket in a folder of the user's own, and no port: nobody else on this machine can connect to it.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from christmas.cluster.api import Api
from christmas.cluster.errors import ClusterError

_CHUNK: Final = 1 << 16
_BACKLOG: Final = 8


@contextlib.contextmanager
def forwarded(api: Api, namespace: str, pod: str, port: int, *, name: str = "port") -> Iterator[Path]:
    """The socket's path while the context lasts; each connection to it is one to ``port`` on the pod's loopback.

    Raises ClusterError at once when the API server does not let us.
    """
    first = api.forward(namespace, pod, port)
    folder = Path(tempfile.mkdtemp(prefix="christmas-"))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / name))
    listener.listen(_BACKLOG)
    relay = _Relay(api, (namespace, pod, port), listener=listener, first=first)
    threading.Thread(target=relay.serve, name="port-forward", daemon=True).start()
    try:
        yield folder / name
    finally:
        relay.close()
        shutil.rmtree(folder, ignore_errors=True)


class _Relay:
    def __init__(self, api: Api, where: tuple[str, str, int], *, listener: socket.socket, first: socket.socket) -> None:
        self._api = api
        self._where = where
        self._listener = listener
        self._ready: socket.socket | None = first
        self._open: set[socket.socket] = {first}

    def serve(self) -> None:
        while True:
            try:
                ours, _ = self._listener.accept()
            except OSError:
                return
            try:
                theirs, self._ready = self._ready or self._api.forward(*self._where), None
            except ClusterError:
                # Whoever connected sees a connection that ends; the first one had the reason told.
                ours.close()
                continue
            self._open |= {ours, theirs}
            for source, sink in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=_pump, args=(source, sink), daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            # Closing alone does not wake the thread that waits in accept.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
