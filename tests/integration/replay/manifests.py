"""Strategies that surely trade on a few minutes of prints, one for each way in which a decision can come about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

SYMBOL = "BTC/USDT"
NAMES = ("stopping", "patient", "trailing", "aging", "ticker")
"""Those of `everyone`."""
Manifest = dict[str, Any]

_TICKER = '''"""Buys upon a print, not upon a bar: whenever the price is below the close of the bar before.

What it compares with is there again after a restart; an attribute of its own would not be.
"""

from christmas.execution.strategies.base import Strategy


class Ticker(Strategy):
    def on_tick(self, tick):
        if len(self.history) and self.position.is_flat and tick.price < self.history[-1]:
            self.buy(reason="the price fell")
'''


def broker(**spec: Any) -> Manifest:
    """A venue that is cheap enough for trades to close with a profit within minutes."""
    content = {
        "type": "paper",
        "instruments": [
            {"symbol": SYMBOL, "priceIncrement": "0.01", "lotSize": "0.00001", "minimumNotional": "5"},
        ],
        "fees": {"maker": "0.0003%", "taker": "0.0007%"},
        "paper": {"cash": "100000", "orderLatency": "50ms", "reportLatency": "50ms"},
    }
    return _manifest("Broker", "paper", content | spec)


def strategy(name: str, **spec: Any) -> Manifest:
    content = {
        "brokerRef": {"name": "paper"},
        "symbols": [SYMBOL],
        "timeframe": "1s",
        "capital": {"amount": "1000", "perTrade": "100", "maxPositions": 3},
        "risk": {"maxOrdersPerMinute": 600, "maxOpenOrders": 100},
    }
    return _manifest("Strategy", name, content | spec)


def stopping() -> Manifest:
    """Closes by its rule or by its stop, with gains and with losses; looks at each print."""
    return strategy(
        "stopping",
        rules={"entry": "rsi(3) < 40", "exit": "rsi(3) > 60"},
        exit={"policy": "StopLoss", "stopLoss": "0.03%"},
    )


def patient() -> Manifest:
    """NoLoss with resting exits; its few positions are soon taken, so signals are skipped."""
    return strategy(
        "patient",
        rules={"entry": "rsi(2) < 30"},
        capital={"amount": "200", "perTrade": "60", "maxPositions": 2},
        exit={"policy": "NoLoss", "minimumProfit": "0.0005%"},
    )


def trailing() -> Manifest:
    """On bars of two seconds; more orders than its risk gate lets through, so some are denied."""
    return strategy(
        "trailing",
        timeframe="2s",
        rules={"entry": "close > sma(3)"},
        exit={"policy": "Trailing", "stopLoss": "0.1%", "trailingDistance": "0.01%"},
        risk={"maxOrdersPerMinute": 6, "maxOpenOrders": 100},
    )


def aging() -> Manifest:
    """Gives positions up by a timer."""
    return strategy(
        "aging",
        rules={"entry": "close < sma(5)"},
        capital={"amount": "500", "perTrade": "50", "maxPositions": 5},
        exit={"policy": "NoLoss", "minimumProfit": "0.05%", "maximumAge": "7s"},
    )


def ticker() -> Manifest:
    return strategy(
        "ticker",
        code={"file": "ticker.py", "class": "Ticker"},
        exit={"policy": "NoLoss", "minimumProfit": "0.0001%"},
    )


def everyone() -> list[Manifest]:
    return [stopping(), patient(), trailing(), aging(), ticker()]


def write(folder: Path, manifests: Sequence[Manifest]) -> Path:
    """A folder as ``christmas up`` takes it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifests.yaml").write_text(yaml.safe_dump_all(manifests, sort_keys=False))
    (folder / "ticker.py").write_text(_TICKER)
    return folder


def _manifest(kind: str, name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": "christmas.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
