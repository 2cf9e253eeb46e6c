"""A session at the wall's pace, and the same market in lock-step: the same intents, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.integration.replay import manifests
from tests.integration.replay.conftest import Cut
from tests.integration.replay.fleet import decision_bytes, parsed, replay
from tests.support.data import SPOT_BTC

ROWS = 1_200
"""Of the spot file: about fifty seconds."""
LATENCY = "400ms"
"""Of orders and of reports. At the wall's pace half of it is the time in which each must really arrive; on a machine
that runs other tests beside this one that takes longer than in a session that is alone."""


TRIES: Final = 3
"""Of the session at the wall's pace, and only while the last one was disturbed."""


@pytest.mark.timeout(400)
def test_live_equals_replay(cut: Cut, store_urls: tuple[str, str], tmp_path: Path) -> None:
    broker = manifests.broker(paper={"cash": "100000", "orderLatency": LATENCY, "reportLatency": LATENCY})
    folder = manifests.write(tmp_path / "manifests", [broker, *manifests.everyone()])
    database_url, redis_url = store_urls

    def session(speed: str, name: str) -> tuple[dict[str, list[bytes]], bytes]:
        run, report = replay(
            folder,
            [cut(SPOT_BTC, ROWS)],
            tmp_path / name,
            speed=speed,
            within_s=180.0,
            database_url=database_url,
            redis_url=redis_url,
        )
        return decision_bytes(run.decisions()), report

    decided, report = session("max", "max")
    for attempt in range(1, TRIES + 1):
        live, live_report = session("1x", f"1x-{attempt}")
        if late(live_report) == late(report):
            # Else the machine stood still over the end of a second, and prints of it were late in truth.
            break
    assert live == decided
    assert live_report == report
    for name, intents in decided.items():
        assert sum(b'"sell"' in intent for intent in intents) > 0, f"{name}: an exit after a fill is part of it"
    assert len(decided) == 5


def late(report: bytes) -> int:
    """Prints that came after their second had been announced."""
    return int(parsed(report)["ticks"]["late"])
