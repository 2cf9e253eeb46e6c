"""Fixtures that all tests share: real Redis, real databases, real market data.

A test that cannot run here is skipped with the reason and what mends it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis as redis_sync
import redis.asyncio as redis_asyncio

from tests.support.data import shared_data_folder
from tests.support.servers import (
    ServerUnavailableError,
    ValkeyServer,
    create_database,
    drop_database,
    start_postgres,
)


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """The Valkey of this worker. Tests that stop or break a server start one of their own."""
    try:
        server = ValkeyServer()
        server.start()
    except ServerUnavailableError as error:
        pytest.skip(str(error))
    yield server
    server.close()


@pytest.fixture
def redis_url(valkey_server: ValkeyServer) -> str:
    """The URL of an empty Redis."""
    with redis_sync.Redis.from_url(valkey_server.url) as client:
        client.flushall()
    return valkey_server.url


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator[redis_asyncio.Redis]:
    """A client of the Redis at ``redis_url``; answers are bytes."""
    client = redis_asyncio.Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A durable server for one test alone, which may kill and restart it."""
    try:
        server = ValkeyServer(durable=True)
        server.start()
    except ServerUnavailableError as error:
        pytest.skip(str(error))
    yield server
    server.close()


@pytest.fixture(scope="session")
def _plain_server_url() -> str:
    try:
        return str(start_postgres().get_uri())
    except ServerUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def plain_database_url(_plain_server_url: str) -> Iterator[str]:
    """A fresh database on plain PostgreSQL, without TimescaleDB."""
    url = create_database(_plain_server_url)
    yield url
    drop_database(_plain_server_url, url)


@pytest.fixture
def timescale_database_url() -> Iterator[str]:
    """A fresh database on a real TimescaleDB."""
    server = os.environ.get("CHRISTMAS_TEST_DATABASE_URL")
    if not server:
        pytest.skip("no TimescaleDB; set CHRISTMAS_TEST_DATABASE_URL to a superuser's URL of one")
    url = create_database(server)
    yield url
    drop_database(server, url)


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database: on TimescaleDB where CHRISTMAS_TEST_DATABASE_URL names one, else on plain PostgreSQL."""
    chosen = "timescale_database_url" if os.environ.get("CHRISTMAS_TEST_DATABASE_URL") else "plain_database_url"
    return str(request.getfixturevalue(chosen))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded market data."""
    folder = shared_data_folder()
    if folder is None:
        pytest.skip("no recorded market data; set CHRISTMAS_TEST_DATA to the folder with the Binance files")
    return folder


def pytest_configure() -> None:
    """Started in a shell's background, everything here would ignore Ctrl-C, and so would what it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
