"""A proxy for TCP and unix sockets that misbehaves as it is told, while it runs.

It forwards bytes and understands none of them. What it cannot do is reorder the bytes of a connection: no network
does that to TCP. What a network does reorder is what travels on different connections, and a delay with jitter for
each connection of its own does the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

_CHUNK: Final = 1 << 16
Way = Literal["there", "back"]


@dataclass
class Fault:
    """What is wrong with the link now; nothing by default."""

    delay_s: float = 0.0
    """Each chunk waits so long, in order within its connection."""
    jitter_s: float = 0.0
    """And up to so much longer: connections overtake one another."""
    lost: frozenset[Way] = frozenset()
    """Bytes on this way are read and go nowhere."""
    half_open: bool = False
    """New connections are accepted, nothing is forwarded either way, and nobody is told."""
    bytes_per_s: float = 0.0
    """A slow reader: no more than this, each way. 0: as fast as it goes."""


@dataclass
class Proxy:
    """Listens at ``address`` and forwards to ``target``; both ``unix:/path`` or ``tcp://host:port``."""

    address: str
    target: str
    fault: Fault = field(default_factory=Fault)
    refuses: bool = False
    """New connections are reset."""
    accepted: int = 0

    def __post_init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._random = random.Random(7)

    async def start(self) -> None:
        if self.address.startswith("unix:"):
            self._server = await asyncio.start_unix_server(self._serve, self.address.removeprefix("unix:"))
            return
        host, _, port = self.address.removeprefix("tcp://").rpartition(":")
        self._server = await asyncio.start_server(self._serve, host, int(port))
        bound = self._server.sockets[0].getsockname()
        self.address = f"tcp://{bound[0]}:{bound[1]}"

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection, as a RST does; new ones are taken."""
        for writer in tuple(self._writers):
            _reset(writer)

    @contextmanager
    def with_fault(self, fault: Fault) -> Iterator[None]:
        self.fault = fault
        try:
            yield
        finally:
            self.fault = Fault()

    @contextmanager
    def gone(self) -> Iterator[None]:
        """As if nobody were there: connections are reset, new ones too."""
        self.refuses = True
        self.cut()
        try:
            yield
        finally:
            self.refuses = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            _reset(writer)
            return
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            back, there = await _open(self.target)
            self._writers.add(there)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, there, "there"))
                group.create_task(self._pump(back, writer, "back"))
        except* OSError:
            pass
        finally:
            for one in (writer, there):
                if one is not None:
                    self._writers.discard(one)
                    with contextlib.suppress(OSError):
                        one.close()
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        swallowed = False
        while chunk := await reader.read(_CHUNK):
            fault = self.fault
            if fault.delay_s or fault.jitter_s:
                await asyncio.sleep(fault.delay_s + self._random.uniform(0.0, fault.jitter_s))
            if fault.bytes_per_s:
                await asyncio.sleep(len(chunk) / fault.bytes_per_s)
            if fault.half_open or way in fault.lost:
                swallowed = True
                continue
            if swallowed:
                # TCP would send again what was lost: the connection cannot go on with a hole in it.
                raise ConnectionResetError
            writer.write(chunk)
            await writer.drain()
        raise ConnectionResetError


async def _open(target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(5.0):
        if target.startswith("unix:"):
            return await asyncio.open_unix_connection(target.removeprefix("unix:"))
        host, _, port = target.removeprefix("tcp://").rpartition(":")
        return await asyncio.open_connection(host, int(port))


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
