"""One installation that trades, for what is done to it: Strategies to apply, and what came of each disturbance."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from christmas.execution.journal import JournalEntry
from tests.cluster.helm import Namespace, ObjectGone
from tests.cluster.ledgers import Ledgers, one_speaker_at_a_time, recovered_s
from tests.support.waiting import eventually_sync

BROKER: Final[dict[str, Any]] = {
    "type": "paper",
    "instruments": [{"symbol": "BTC/USDT", "priceIncrement": "0.01", "lotSize": "0.00001"}],
    "feed": {
        "synthetic": {"seed": 7, "ticksPerSecond": 8, "startPrice": "60000", "annualVolatility": "60%"},
    },
    "fees": {"maker": "0%", "taker": "0%"},
    "paper": {"cash": "1000000", "orderLatency": "20ms", "reportLatency": "20ms", "participation": "100%"},
    "limits": {"maxOpenOrders": 400},
}
FINAL: Final = "('filled', 'cancelled', 'rejected', 'denied', 'expired')"
_AGAIN_S: Final = 90.0
_IMPOSTOR: Final = """
import json, pathlib, subprocess, sys
folder = pathlib.Path("/tmp/impostor")
folder.mkdir(exist_ok=True)
(folder / "permit").write_text({permit!r})
(folder / "strategy.json").write_text({strategy!r})
settings = json.loads(pathlib.Path("/etc/christmas/settings.json").read_text())
settings |= {{"permit_file": str(folder / "permit"), "strategy_file": str(folder / "strategy.json"), "http_port": 0}}
(folder / "settings.json").write_text(json.dumps(settings))
command = [sys.executable, "-m", "christmas.runtime", str(folder / "settings.json")]
print(subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=50).returncode)
"""
Object = dict[str, Any]


_EAGER: Final = """
from decimal import Decimal
from christmas.execution.strategies.base import Strategy

class Eager(Strategy):
    def on_bar(self, bar):
        self.buy(limit=bar.close * Decimal("1.001"), reason="whatever it costs")
"""


def strategy(name: str, **spec: Any) -> Object:
    """Buys whenever it may, and sells what is three seconds old: whatever the market does, there is an order in it."""
    return {
        "apiVersion": "christmas.dev/v1alpha1",
        "kind": "Strategy",
        "metadata": {"name": name},
        "spec": {
            "brokerRef": {"name": "paper"},
            "symbols": ["BTC/USDT"],
            "timeframe": "1s",
            **({} if "rules" in spec else {"code": {"source": _EAGER, "class": "Eager"}}),
            "capital": {"amount": "100000", "perTrade": "20", "maxPositions": 20},
            "risk": {"maxOrdersPerMinute": 600, "maxOpenOrders": 100},
            "exit": {"policy": "NoLoss", "maximumAge": "3s"},
            "updatePolicy": "Immediate",
            **spec,
        },
    }


def holder(name: str, **spec: Any) -> Object:
    """Has one position, and offers it for far more than anybody will pay."""
    profit = {"policy": "NoLoss", "minimumProfit": "50%"}
    capital = {"amount": "1000", "perTrade": "100", "maxPositions": 1}
    return strategy(name, exit=profit, capital=capital, **spec)


class Trading:
    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self.namespace = namespace
        self.ledgers = Ledgers(namespace, folder)
        self.values = folder / "values.json"
        self.values.write_text(
            json.dumps({"broker": {"spec": BROKER}, "operator": {"deletionDeadlineSeconds": 12}}), encoding="utf-8"
        )
        self._from_us = 0

    def begin(self) -> None:
        """Nothing from here on may be lost."""
        self._from_us = self.ledgers.first_tick_us() + 1

    # --- Strategies ----------------------------------------------------------------------------

    def apply(self, *manifests: Object) -> None:
        given = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.namespace.kubectl("apply", "-f", "-", input_text=json.dumps(given))

    def patch(self, name: str, **spec: Any) -> None:
        self.namespace.kubectl("patch", "strategy", name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def ready(self, *names: str, within_s: float = _AGAIN_S) -> None:
        for name in names:
            eventually_sync(lambda: self.namespace.is_ready("strategy", name), within_s=within_s, every_s=0.5)  # noqa: B023

    def status(self, name: str) -> Object:
        found: Object = self.namespace.get("strategy", name).get("status", {})
        return found

    def condition(self, name: str, kind: str) -> Object:
        return next((one for one in self.status(name).get("conditions", []) if one["type"] == kind), {})

    def uid(self, pod: str) -> str:
        """Empty while there is no such pod."""
        try:
            found: str = self.namespace.get("pod", pod)["metadata"]["uid"]
        except ObjectGone:
            return ""
        return found

    def events(self, name: str) -> set[str]:
        listed = self.namespace.kubectl(
            "get",
            "events",
            "-o",
            "json",
            "--field-selector",
            f"involvedObject.name={name},involvedObject.kind=Strategy",
        )
        return {event["reason"] for event in json.loads(listed)["items"]}

    # --- trading -------------------------------------------------------------------------------

    def orders(self, name: str) -> int:
        """In the database."""
        return int(self.namespace.query(f"SELECT count(*) FROM orders WHERE strategy = '{name}'"))  # noqa: S608

    def open_orders(self, name: str) -> set[str]:
        where = f"strategy = '{name}' AND status NOT IN {FINAL}"
        return set(self.namespace.query(f"SELECT client_order_id FROM orders WHERE {where}").split())  # noqa: S608

    def offered_lots(self, name: str) -> int:
        """Of open orders to sell."""
        where = f"strategy = '{name}' AND side = 'sell' AND status NOT IN {FINAL}"
        return int(self.namespace.query(f"SELECT coalesce(sum(lots - filled_lots), 0) FROM orders WHERE {where}"))  # noqa: S608

    def held_lots(self, name: str) -> int:
        lots = "coalesce(sum(CASE side WHEN 'buy' THEN lots ELSE -lots END), 0)"
        return int(self.namespace.query(f"SELECT {lots} FROM fills WHERE strategy = '{name}'"))  # noqa: S608

    def holds(self, *names: str) -> None:
        """Return when each has its position, and all of it is for sale at the venue."""
        for name in names:
            eventually_sync(
                lambda: self.offered_lots(name) == self.held_lots(name) > 0,  # noqa: B023
                within_s=_AGAIN_S,
                every_s=0.5,
                what=f"{name} holds a position and offers it",
            )

    def goes_on(self, name: str = "trader", within_s: float = _AGAIN_S) -> None:
        """Return when more orders come, and are recorded."""
        before = self.orders(name)
        eventually_sync(lambda: self.orders(name) >= before + 2, within_s=within_s, every_s=0.5, what=f"{name} trades")

    def permit(self, name: str) -> str:
        """The one that the Strategy's pod has now."""
        return base64.b64decode(self.namespace.get("secret", f"strategy-{name}")["data"]["permit"]).decode()

    def impostor(self, name: str, permit: str, *, host: str) -> int:
        """Run a Strategy once more, with a permit of its own, in another's pod; the exit code when it has ended."""
        manifest = self.namespace.python(
            f"strategy-{name}-0", "print(open('/etc/christmas-spec/strategy.json').read())"
        )
        code = _IMPOSTOR.format(permit=permit, strategy=manifest)
        return int(self.namespace.python(f"strategy-{host}-0", code))

    def refused(self, *codes: str) -> float:
        """Sessions that the gateway has refused."""
        path = f"/api/v1/namespaces/{self.namespace.name}/pods/gateway-paper-0:9400/proxy/metrics"
        lines = self.namespace.kubectl("get", "--raw", path).splitlines()
        wanted = [f'christmas_gateway_refused_total{{code="{code}"}}' for code in codes]
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(tuple(wanted)))

    # --- what came of it -----------------------------------------------------------------------

    def nothing_lost(self, tell: Callable[[str, object], None], since_us: int) -> list[JournalEntry]:
        """Orders, fills and ticks are the same everywhere, and complete; ``tell`` is told what was counted."""
        until_us = time.time_ns() // 1000
        there_were = self.ledgers.there_were(self._from_us, until_us)

        def stored() -> bool:
            found = self.ledgers.stored_ticks(self._from_us, until_us)
            missing, foreign = sorted(there_were - set(found)), sorted(set(found) - there_were)
            assert not missing, f"{len(missing)} ticks of {len(there_were)} are lost: {missing[:3]} to {missing[-1]}"
            assert not foreign, f"{len(foreign)} ticks that never were: {foreign[:3]}"
            assert len(found) == len(there_were), "ticks are stored twice"
            return True

        eventually_sync(stored, within_s=_AGAIN_S, every_s=1)
        assert self.ledgers.audit() == []
        entries = self.ledgers.entries()
        one_speaker_at_a_time(entries)
        tell("ticks", len(there_were))
        tell("ticks_lost", 0)
        tell("journal_entries", len(entries))
        tell("differences", 0)
        if since_us:
            tell("recovered_s", round(recovered_s(entries, "trader", since_us), 1))
        return entries


def in_background(namespace: Namespace, *arguments: str, input_text: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        ["kubectl", "-n", namespace.name, *arguments], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert process.stdin is not None
    process.stdin.write(input_text)
    process.stdin.close()
    return process
