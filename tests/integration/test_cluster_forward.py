"""A forwarded port in front of a real database: what the API server would carry goes over a plain connection here."""

from __future__ import annotations

import asyncio
import socket
from typing import cast
from urllib.parse import urlsplit

from christmas.cluster.api import Api
from christmas.cluster.forward import forwarded
from christmas.cluster.history import through_socket
from christmas.fleet.records import open_pool


class DirectConnections:
    """In the place of the API server."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int]] = []
        self.address = ("", 0)

    def forward(self, namespace: str, pod: str, port: int) -> socket.socket:
        self.asked.append((namespace, pod, port))
        return socket.create_connection(self.address, timeout=5)


async def test_the_driver_reads_through_the_sockets_of_two_connections(timescale_database_url: str) -> None:
    parts = urlsplit(timescale_database_url)
    direct = DirectConnections()
    direct.address = (parts.hostname or "127.0.0.1", parts.port or 5432)
    with forwarded(cast(Api, direct), "stores", "timescaledb-0", 5432, name=".s.PGSQL.5432") as path:
        pool = await open_pool(through_socket(timescale_database_url, str(path.parent)))
        try:
            query = "SELECT sum(n) FROM generate_series(1, 1000) n, pg_sleep(0.1)"
            first, second = await asyncio.gather(pool.fetchval(query), pool.fetchval(query))
            assert (first, second) == (500500, 500500)
            assert len(await pool.fetchval("SELECT repeat('x', 3000000)")) == 3_000_000
        finally:
            await pool.close()
    assert direct.asked == [("stores", "timescaledb-0", 5432)] * 2
    assert not path.parent.exists()
