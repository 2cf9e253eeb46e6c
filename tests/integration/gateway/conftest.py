"""A real gateway process for each test that asks for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.gateway.running import Running, broker

MakeGateway = Callable[..., Running]


@pytest.fixture
def gateway(tmp_path: Path, redis_url: str) -> Iterator[MakeGateway]:
    running: list[Running] = []

    def make(**settings: object) -> Running:
        manifest = settings.pop("manifest", None) or broker()
        one = Running(tmp_path, redis_url, manifest, **settings)  # type: ignore[arg-type]
        running.append(one)
        return one

    yield make
    for one in running:
        one.stop()
