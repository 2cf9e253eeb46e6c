"""A session at the wall's pace, and the same market in lock-step: the same intents, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.replay import manifests
from tests.integration.replay.conftest import Cut
from tests.integration.replay.fleet import decision_bytes, replay
from tests.support.data import SPOT_BTC

ROWS = 1_200
"""Of the spot file: about fifty seconds."""
LATENCY = "400ms"
"""Of orders and of reports. At the wall's pace half of it is the time in which each must really arrive; on a machine
that runs other tests beside this one that takes longer than in a session that is alone."""


@pytest.mark.timeout(240)
def test_live_equals_replay(cut: Cut, store_urls: tuple[str, str], tmp_path: Path) -> None:
    broker = manifests.broker(paper={"cash": "100000", "orderLatency": LATENCY, "reportLatency": LATENCY})
    folder = manifests.write(tmp_path / "manifests", [broker, *manifests.everyone()])
    database_url, redis_url = store_urls
    decided, reports = {}, {}
    for speed in ("1x", "max"):
        run, reports[speed] = replay(
            folder,
            [cut(SPOT_BTC, ROWS)],
            tmp_path / speed,
            speed=speed,
            within_s=180.0,
            database_url=database_url,
            redis_url=redis_url,
        )
        decided[speed] = decision_bytes(run.decisions())
    assert decided["1x"] == decided["max"]
    assert reports["1x"] == reports["max"]
    for name, intents in decided["max"].items():
        assert sum(b'"sell"' in intent for intent in intents) > 0, f"{name}: an exit after a fill is part of it"
    assert len(decided["max"]) == 5
