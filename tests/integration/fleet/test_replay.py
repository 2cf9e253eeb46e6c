from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.integration.fleet.running import BROKER, Fleet, strategy

pytestmark = pytest.mark.timeout(180)

# A rise and a fall of 2 % each minute: whoever buys the falls closes at a profit.
RULES = 'rules: {entry: "rsi(5) < 30"}\n  exit: {minimumProfit: "0.01%"}'


def write_prints(file: Path, count: int = 3000) -> None:
    """Prints every 100 ms, the price on a wave of a minute."""
    with gzip.open(file, "wt") as stream:
        stream.write("time,symbol,trade_id,price,quantity,taker_side\n")
        for number in range(count):
            phase = number % 600
            height = phase if phase < 300 else 600 - phase
            price = Decimal(60000) + Decimal(height) * 4
            millis = number * 100
            stamp = f"2024-08-08T12:{millis // 60000:02}:{millis // 1000 % 60:02}.{millis % 1000:03}Z"
            stream.write(f"{stamp},BTC/USDT,{number + 1},{price},0.5,{'buy' if number % 2 else 'sell'}\n")


def replay(folder: Path, file: Path, *arguments: str, stores: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Exit code, stdout, stderr of a replay at full speed to its end."""
    environment = {key: value for key, value in os.environ.items() if key not in {"REDIS_URL", "DATABASE_URL"}}
    command = [sys.executable, "-m", "christmas.cli", "up", str(folder), "--replay", str(file)]
    options = ["--speed", "max", "--until-end", "-o", "json"]
    done = subprocess.run(
        [*command, *options, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
        env={**environment, **(stores or {})},
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def waves(tmp_path: Path) -> Path:
    file = tmp_path / "waves.csv.gz"
    write_prints(file)
    return file


@pytest.fixture
def folder(fleet: Fleet) -> Path:
    fleet.write("fleet.yaml", BROKER + strategy("waves", RULES) + strategy("other", RULES.replace("30", "20")))
    return fleet.manifests


async def recomputed(database_url: str, session_id: str, last: Decimal) -> dict[str, dict[str, Fraction | int]]:
    """Each strategy's figures from the orders table alone, in exact fractions, by nobody's code but this."""
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("SELECT * FROM orders WHERE session_id = $1", session_id)
    await connection.close()
    cash: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    held: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    result: dict[str, dict[str, Fraction | int]] = defaultdict(lambda: defaultdict(Fraction))
    for row in rows:
        sign, key = (1 if row["side"] == "sell" else -1), (row["strategy"], row["position_id"])
        cash[key] += sign * Fraction(row["filled_notional"]) - Fraction(row["fees"])
        held[key] -= sign * row["filled_lots"] * Fraction(row["lot_size"])
        mine = result[row["strategy"]]
        mine["orders"] += 1
        mine["fees"] += Fraction(row["fees"])
    for (name, identity), money in cash.items():
        position = held[name, identity]
        if position == 0 and money:
            result[name]["closed_trades"] += 1
            result[name]["winning_trades"] += money > 0
            result[name]["realised_pnl"] += money
        elif position:
            result[name]["open_positions"] += 1
            result[name]["unrealised_pnl"] += money + position * Fraction(last)
    return result


async def test_the_report_is_what_the_tables_say_and_the_same_again(
    folder: Path, waves: Path, redis_url: str, database_url: str
) -> None:
    stores = {"REDIS_URL": redis_url, "DATABASE_URL": database_url}
    code, first, errors = replay(folder, waves, stores=stores)
    assert code == 0, errors
    report: dict[str, Any] = json.loads(first)
    assert report["ticks"] == {"received": 3000, "stored": 3000, "late": 0, "quarantined": 0}
    assert sum(entry["closed_trades"] for entry in report["strategies"]) > 0
    found = await recomputed(database_url, report["session_id"], Decimal(60000) + 4)
    for entry in report["strategies"]:
        expected = found[entry["name"]]
        for key in ("orders", "closed_trades", "winning_trades", "open_positions"):
            assert entry[key] == expected.get(key, 0), (entry["name"], key)
        for key in ("realised_pnl", "unrealised_pnl", "fees"):
            assert Fraction(entry[key]) == expected.get(key, 0), (entry["name"], key)
        assert entry["winning_trades"] == entry["closed_trades"], "NoLoss"

    connection = await asyncpg.connect(database_url)
    market = f"paper.{report['replay_id']}"
    ticks = "SELECT count(*), count(DISTINCT trade_id) FROM ticks WHERE market = $1"
    assert tuple(await connection.fetchrow(ticks, market)) == (3000, 3000)
    intents = "SELECT client_order_id, side, price, lots, decided_at FROM orders ORDER BY decided_at, client_order_id"
    orders = await connection.fetch(intents)

    code, second, errors = replay(folder, waves, stores=stores)
    assert code == 0, errors
    assert second == first
    assert await connection.fetch(intents) == orders
    assert tuple(await connection.fetchrow(ticks, market)) == (3000, 3000)
    await connection.close()


def test_embedded_stores_give_the_same_report(
    folder: Path, waves: Path, tmp_path: Path, redis_url: str, database_url: str
) -> None:
    code, outside, errors = replay(folder, waves, stores={"REDIS_URL": redis_url, "DATABASE_URL": database_url})
    assert code == 0, errors
    state = tmp_path / "kept"
    code, inside, errors = replay(folder, waves, "--state", str(state))
    assert code == 0, errors
    assert inside == outside
    # What was asked to be kept is, beside (and not in) what a live fleet would keep there.
    assert [path.name for path in (state / "replays").iterdir()] == [json.loads(inside)["replay_id"]]
    assert not (state / "manifests").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            b"time,symbol,trade_id,price,quantity,taker_side\n2024-08-08T12:00:00Z,BTC/USDT,1,abc,1,buy\n",
            "gateway/paper",
        ),
        (b"nothing,of,use\n1,2,3\n", "gateway/paper"),
    ],
)
def test_a_file_that_cannot_be_replayed_fails_with_the_reason(
    folder: Path, tmp_path: Path, content: bytes, words: str
) -> None:
    file = tmp_path / "broken.csv"
    file.write_bytes(content)
    code, out, errors = replay(folder, file)
    assert code == 1
    assert out == ""
    assert words in errors.strip().splitlines()[-1]


def test_a_strategy_that_fails_fails_the_replay(fleet: Fleet, waves: Path) -> None:
    source = "code: {class: Bad, source: \"raise RuntimeError('boom')\\nclass Bad: pass\\n\"}"
    fleet.write("fleet.yaml", BROKER + strategy("bad", source))
    code, out, errors = replay(fleet.manifests, waves)
    assert code == 1
    assert out == ""
    assert "boom" in errors


def test_recorded_trades_of_a_real_exchange(fleet: Fleet, shared_data: Path) -> None:
    examples = Path(__file__).parents[3] / "examples"
    code, out, errors = replay(examples, shared_data / "binance-spot-btcusdt-trades-20240808.csv.gz")
    assert code == 0, errors
    report = json.loads(out)
    assert report["ticks"] == {"received": 9757, "stored": 9757, "late": 0, "quarantined": 0}
    assert sum(entry["closed_trades"] for entry in report["strategies"]) > 0
    for entry in report["strategies"]:
        assert entry["winning_trades"] == entry["closed_trades"], "NoLoss"
        assert entry["unknown"] == 0
