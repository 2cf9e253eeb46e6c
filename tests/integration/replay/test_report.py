"""A replay of real trades through every process, and the report confirmed by another way of computing it."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest

from tests.integration.replay import manifests
from tests.integration.replay.conftest import Cut
from tests.integration.replay.fleet import FleetRun, parsed, replay, strategies
from tests.integration.replay.recomputed import as_reported, recompute
from tests.support.data import FUTURES_BTC, MINUTE_BARS, SPOT_BTC

pytestmark = pytest.mark.timeout(420)
SPOT_PRINTS = 9_757
DOCUMENT = Path(__file__).parents[3] / "docs" / "replay.md"
Stores = tuple[str, str]


@pytest.fixture(scope="module")
def everyone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return manifests.write(tmp_path_factory.mktemp("everyone"), [manifests.broker(), *manifests.everyone()])


@pytest.fixture(scope="module")
def spot(
    data: Path, everyone: Path, store_urls: Stores, tmp_path_factory: pytest.TempPathFactory
) -> tuple[FleetRun, bytes]:
    """The whole spot file at full speed, in the given stores."""
    database_url, redis_url = store_urls
    state = tmp_path_factory.mktemp("spot")
    return replay(everyone, [data / SPOT_BTC], state, database_url=database_url, redis_url=redis_url)


async def test_each_print_is_stored_once(spot: tuple[FleetRun, bytes], store_urls: Stores) -> None:
    report = parsed(spot[1])
    assert report["ticks"] == {"received": SPOT_PRINTS, "stored": SPOT_PRINTS, "late": 0, "quarantined": 0}
    assert await _stored(store_urls[0], f"paper.{report['replay_id']}") == (SPOT_PRINTS, SPOT_PRINTS)


async def test_every_kind_of_trade_was_made(spot: tuple[FleetRun, bytes]) -> None:
    """Without them the recomputation below would confirm nothing."""
    told = strategies(spot[1])
    assert set(told) == {"stopping", "patient", "trailing", "aging", "ticker"}
    assert 0 < told["stopping"]["winning_trades"] < told["stopping"]["closed_trades"]
    assert told["patient"]["closed_trades"] == told["patient"]["winning_trades"] > 0
    assert told["patient"]["open_positions"] > 0
    assert told["patient"]["signals_skipped"] > 0
    assert told["trailing"]["denied"] > 0
    assert told["aging"]["policy_breaks"] > 0
    assert told["ticker"]["closed_trades"] > 0
    assert all(entry["unknown"] == 0 for entry in told.values())


async def test_another_computation_from_the_tables_says_the_same(
    spot: tuple[FleetRun, bytes], store_urls: Stores
) -> None:
    await _confirm(spot[1], store_urls[0])


async def test_the_queries_of_the_documentation_say_the_same(spot: tuple[FleetRun, bytes], store_urls: Stores) -> None:
    position_query, ticks_query = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text(), flags=re.DOTALL)
    report = parsed(spot[1])
    market = f"paper.{report['replay_id']}"
    connection = await asyncpg.connect(store_urls[0], timeout=10)
    try:
        assert tuple(await connection.fetchrow(ticks_query, market)) == (SPOT_PRINTS, SPOT_PRINTS)
        for entry in report["strategies"]:
            row = dict(await connection.fetchrow(position_query, report["session_id"], market, entry["name"]))
            assert row == {key: value for key, value in as_reported(entry).items() if key in row}
            assert len(row) == 9
    finally:
        await connection.close()


async def test_the_same_replay_again_is_the_same_report(
    spot: tuple[FleetRun, bytes], data: Path, everyone: Path, store_urls: Stores, tmp_path: Path
) -> None:
    """Byte for byte: in the same stores, which forget the earlier run of it, and in embedded ones."""
    database_url, redis_url = store_urls
    _, again = replay(everyone, [data / SPOT_BTC], tmp_path / "a", database_url=database_url, redis_url=redis_url)
    assert again == spot[1]
    assert await _stored(database_url, f"paper.{parsed(again)['replay_id']}") == (SPOT_PRINTS, SPOT_PRINTS)
    _, embedded = replay(everyone, [data / SPOT_BTC], tmp_path / "b")
    assert embedded == spot[1]


async def test_futures_trades(data: Path, store_urls: Stores, tmp_path: Path) -> None:
    folder = manifests.write(
        tmp_path / "manifests", [manifests.broker(), manifests.stopping(), manifests.patient(), manifests.trailing()]
    )
    database_url, redis_url = store_urls
    _, report = replay(folder, [data / FUTURES_BTC], tmp_path / "state", database_url=database_url, redis_url=redis_url)
    assert parsed(report)["ticks"] == {"received": 21_313, "stored": 21_313, "late": 0, "quarantined": 0}
    assert await _stored(database_url, f"paper.{parsed(report)['replay_id']}") == (21_313, 21_313)
    assert all(entry["closed_trades"] > 0 for entry in strategies(report).values())
    await _confirm(report, database_url)


async def test_bars(cut: Cut, store_urls: Stores, tmp_path: Path) -> None:
    folder = manifests.write(tmp_path / "manifests", [manifests.broker(), manifests.stopping(), manifests.patient()])
    database_url, redis_url = store_urls
    _, report = replay(
        folder, [cut(MINUTE_BARS, 3_000)], tmp_path / "state", database_url=database_url, redis_url=redis_url
    )
    assert parsed(report)["ticks"] == {"received": 3_000, "stored": 3_000, "late": 0, "quarantined": 0}
    assert await _stored(database_url, f"paper.{parsed(report)['replay_id']}") == (3_000, 3_000)
    assert all(entry["closed_trades"] > 0 for entry in strategies(report).values())
    await _confirm(report, database_url)


async def test_a_month_of_bars(data: Path, store_urls: Stores, tmp_path: Path) -> None:
    """The longest one: its strategy trades on bars of five minutes."""
    strategy = manifests.strategy(
        "slow",
        timeframe="5m",
        rules={"entry": "rsi(14) < 30 and close < bollinger(20, 2).lower", "exit": "rsi(14) > 60"},
        exit={"policy": "NoLoss", "minimumProfit": "0.3%"},
    )
    folder = manifests.write(tmp_path / "manifests", [manifests.broker(), strategy])
    database_url, redis_url = store_urls
    _, report = replay(
        folder,
        [data / MINUTE_BARS],
        tmp_path / "state",
        database_url=database_url,
        redis_url=redis_url,
        within_s=400.0,
    )
    assert parsed(report)["ticks"] == {"received": 45_031, "stored": 45_031, "late": 0, "quarantined": 0}
    assert await _stored(database_url, f"paper.{parsed(report)['replay_id']}") == (45_031, 45_031)
    assert strategies(report)["slow"]["closed_trades"] > 0
    await _confirm(report, database_url)


async def _confirm(report: bytes, database_url: str) -> None:
    content = parsed(report)
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        for entry in content["strategies"]:
            recomputed = await recompute(
                connection,
                session_id=content["session_id"],
                market=f"paper.{content['replay_id']}",
                strategy=entry["name"],
                capital=Decimal(entry["capital"]),
            )
            assert as_reported(entry) == recomputed, entry["name"]
    finally:
        await connection.close()


async def _stored(database_url: str, market: str) -> tuple[int, int]:
    """How many ticks of a market there are, and how many different trade ids they have."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        row = await connection.fetchrow(
            "SELECT count(*), count(DISTINCT trade_id) FROM ticks WHERE market = $1", market
        )
        return int(row[0]), int(row[1])
    finally:
        await connection.close()
