"""From what is wished to the manifest that asks for it. Pure."""

from __future__ import annotations

from typing import Any, Final

from tests.cluster.soak.plan import REFUSED, Kind, Wish

Object = dict[str, Any]

_CODE: Final = """
from decimal import Decimal
from christmas.execution.strategies.base import Strategy

class Eager(Strategy):
    # Version {logic}
    def on_bar(self, bar):
        self.buy(limit=bar.close * Decimal("1.001"), reason="whatever it costs")
"""
_NOT_PYTHON: Final = "class Eager(:\n"
_TIMEFRAMES: Final[dict[Kind, str]] = {"idle": "5s", "rules": "2s", "eager": "5s", "holder": "2s"}
_EXITS: Final[dict[Kind, Object]] = {
    "idle": {"policy": "NoLoss"},
    "rules": {"policy": "NoLoss", "minimumProfit": "0.001%", "maximumAge": "20s"},
    "eager": {"policy": "NoLoss", "maximumAge": "3s"},
    "holder": {"policy": "NoLoss", "minimumProfit": "50%"},
}


def manifest(wish: Wish) -> Object:
    positions = 1 if wish.kind == "holder" else 3
    return {
        "apiVersion": "christmas.dev/v1alpha1",
        "kind": "Strategy",
        "metadata": {"name": wish.name},
        "spec": {
            "state": wish.state,
            "brokerRef": {"name": "papre" if wish.fault == "broker" else "paper"},
            "symbols": ["ETH/USDT" if wish.fault == "symbol" else "BTC/USDT"],
            "timeframe": _TIMEFRAMES[wish.kind],
            **_source(wish),
            "capital": {"amount": str(1000 + wish.capital), "perTrade": "50", "maxPositions": positions},
            "exit": _EXITS[wish.kind],
            "risk": {"maxOrdersPerMinute": 60 + wish.limit, "maxOpenOrders": 20},
            "updatePolicy": wish.update_policy,
            "onSuspend": wish.on_suspend,
            # So little is promised to each that thirty find room beside other work on two cores.
            "resources": {
                "requests": {"cpu": "5m", "memory": "48Mi"},
                "limits": {"cpu": "500m", "memory": "128Mi"},
            },
        },
    }


def refused(wish: Wish, number: int) -> Object:
    """The manifest with one of REFUSED."""
    made = manifest(wish)
    made["spec"] |= REFUSED[number].changes
    return made


def _source(wish: Wish) -> Object:
    if wish.kind in {"eager", "holder"}:
        source = _NOT_PYTHON if wish.fault == "code" else _CODE.format(logic=wish.logic)
        return {"code": {"source": source, "class": "Eager"}}
    if wish.fault == "rule":
        return {"rules": {"entry": "rsi(14) <"}}
    if wish.kind == "idle":
        return {"rules": {"entry": f"close < 0 - {wish.logic}"}}
    return {"rules": {"entry": f"roc(3) < 0.{wish.logic % 9 + 1}", "exit": f"rsi(14) > {40 + wish.logic % 20}"}}
