"""Each test of recording runs against TimescaleDB, where there is one, and against plain PostgreSQL."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(params=["timescale", "plain"])
def any_database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database of each kind in turn."""
    if request.param == "timescale" and not os.environ.get("CHRISTMAS_TEST_DATABASE_URL"):
        pytest.skip("no TimescaleDB; set CHRISTMAS_TEST_DATABASE_URL to a superuser's URL of one")
    return str(request.getfixturevalue(f"{request.param}_database_url"))
