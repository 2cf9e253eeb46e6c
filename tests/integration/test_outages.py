"""Redis, the database, the venue and the disk go away in turn under one fleet; it shows each, and recovers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.outages import FULL, all_of, running
from tests.support.servers import ValkeyServer

pytestmark = pytest.mark.timeout(400)


async def test_outages_lose_nothing_and_show(tmp_path: Path, own_valkey: ValkeyServer, database_url: str) -> None:
    async with running(tmp_path, own_valkey, database_url) as fleet:
        outages = await all_of(fleet, {name: seconds / 3 for name, seconds in FULL.items()})
        for seen in outages:
            assert seen.metric == 0.0, seen
            if seen.outage != "redis":
                # Redis takes the events: all others are told while it lasts.
                assert seen.during, seen
        assert await fleet.audited() == []
