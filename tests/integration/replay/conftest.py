from __future__ import annotations

import gzip
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.data import shared_data_folder
from tests.support.servers import (
    ServerUnavailableError,
    ValkeyServer,
    create_database,
    drop_database,
    start_postgres,
)

Cut = Callable[[str, int], Path]


@pytest.fixture(scope="package")
def data() -> Path:
    """As ``shared_data``, for a whole package's fixtures."""
    folder = shared_data_folder()
    if folder is None:
        pytest.skip("no recorded market data; set CHRISTMAS_TEST_DATA to the folder with the Binance files")
    return folder


@pytest.fixture(scope="package")
def store_urls() -> Iterator[tuple[str, str]]:
    """DATABASE_URL (TimescaleDB where the tests have one) and REDIS_URL of this package's replays.

    Replays keep to their own rows and keys, so they may share them; that they do is part of what is tested.
    """
    try:
        server = os.environ.get("CHRISTMAS_TEST_DATABASE_URL") or str(start_postgres().get_uri())
        valkey = ValkeyServer()
        valkey.start()
    except ServerUnavailableError as error:
        pytest.skip(str(error))
    database = create_database(server)
    yield database, valkey.url
    drop_database(server, database)
    valkey.close()


@pytest.fixture(scope="package")
def cut(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Cut:
    """``cut(file, rows)``: the file with its header and its first rows only."""
    folder = tmp_path_factory.mktemp("cut")

    def make(name: str, rows: int) -> Path:
        path = folder / f"{rows}-{name.removesuffix('.gz')}"
        if not path.exists():
            with gzip.open(data / name, "rt") as lines:
                path.write_text("".join(itertools.islice(lines, rows + 1)))
        return path

    return make
