"""The recorded market data that tests replay; none of it lies in the repository."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from christmas.market.raw import FeedTick

SPOT_BTC = "binance-spot-btcusdt-trades-20240808.csv.gz"
SPOT_ETH = "binance-spot-ethusdt-trades-20240808.csv.gz"
FUTURES_BTC = "binance-usdm-btcusdt-trades-20240808.csv.gz"
FUTURES_WEBSOCKET = "binance-usdm-btcusdt-websocket-20240808.jsonl.gz"
MINUTE_BARS = "btc-perp-1m-20220101-20220131.csv.gz"

_REPOSITORY = Path(__file__).resolve().parents[2]


def shared_data_folder() -> Path | None:
    """Where the recorded data lies, or None when this machine has none."""
    chosen = os.environ.get("CHRISTMAS_TEST_DATA")
    folder = Path(chosen) if chosen else _REPOSITORY.parent / "shared" / "data"
    return folder if (folder / SPOT_BTC).is_file() else None


def read_trades(path: Path) -> Iterator[FeedTick]:
    """The prints of a trades file in its own order."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            moment = datetime.fromisoformat(row["time"])
            yield FeedTick(
                time_us=int(moment.timestamp()) * 1_000_000 + moment.microsecond,
                symbol=row["symbol"],
                trade_id=row["trade_id"],
                price=Decimal(row["price"]),
                quantity=Decimal(row["quantity"]),
                taker_side=row["taker_side"],
            )
