"""How long a tick takes to become an order at the venue, with every process on this machine.

    .venv/bin/python -m tests.benchmarks.bench_latency [-o json] [--seconds 150] [--strategies 3]

A fleet of its own trades the captured futures stream at 1x: gateway (journal synced to disk before an order is
sent), recorder, embedded Valkey and PostgreSQL, and runtimes that order often: one in Python orders on ticks, the
others decide by rules at the end of every second, so that several of them order at the same moment. There are as many
as ``make up`` runs, or up to five: the more there are, the longer the tail on two cores. What is judged are the
histograms that the processes export themselves (docs/performance.md says what each counts), from five seconds after
all trade. The quantile is interpolated within its bucket; the bucket's upper bound stands beside it, and it is the
interpolated one that is held to the target. What the disk alone takes is measured in the same run: no order can be
sent before its journal is synced.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.benchmarks.fleet import Fleet, FleetFailed, Histogram, Metrics, ending_cleanly
from tests.benchmarks.results import Row, arguments_of, tell
from tests.support.data import FUTURES_WEBSOCKET, shared_data_folder

TICK_TO_ORDER_MS: Final = 5.0
SIGNAL_TO_ORDER_MS: Final = 2.0
FEWEST_ORDERS: Final = 300
"""With fewer a p99 means little."""
_SETTLE_S: Final = 5.0
_PAGE_BYTES: Final = 4_096
_DISK_SAMPLES: Final = 200
_DISK_EVERY_S: Final = 0.05
RULES: Final = {
    "rising": "{entry: 'close > close[1]', exit: 'close < close[1]'}",
    "falling": "{entry: 'close < close[1]', exit: 'close > close[1]'}",
    "turning": "{entry: 'roc(3) > 0 and close < close[1]', exit: 'roc(3) < 0 or close > close[1]'}",
    "always": "{entry: close > 0, exit: close > 0}",
}

BROKER: Final = """\
apiVersion: christmas.dev/v1alpha1
kind: Broker
metadata: {{name: paper}}
spec:
  type: paper
  instruments:
    - {{symbol: BTC/USDT, priceIncrement: "0.1", lotSize: "0.001", minimumNotional: "5"}}
  feed:
    replay: {{files: [{capture}], speed: 1x}}
  paper: {{cash: "100000000", orderLatency: 10ms, reportLatency: 10ms, participation: "100%", queueWindow: 1ms}}
  limits: {{maxOpenOrders: 5000, requestsPerMinute: 100000}}
"""
_COMMON: Final = """\
  brokerRef: {{name: paper}}
  symbols: [BTC/USDT]
  timeframe: 1s
  capital: {{amount: "1000000", perTrade: "200", maxPositions: 2}}
  exit: {{policy: StopLoss, stopLoss: "0.5%"}}
  risk: {{maxOrdersPerMinute: 6000, maxOpenOrders: 1000}}
"""
_HEAD: Final = """\
apiVersion: christmas.dev/v1alpha1
kind: Strategy
metadata: {{name: {name}}}
spec:
"""
ON_BARS: Final = _HEAD + _COMMON + "  rules: {rules}\n"
ON_TICKS: Final = _HEAD + _COMMON + "  code: {{file: on_ticks.py, class: OnTicks}}\n"
CODE: Final = '''\
"""Buys at a tick, and sells at the first one after that is done: one entry in each second."""

from decimal import Decimal


class OnTicks(Strategy):
    def on_start(self):
        self.bought = False

    def on_fill(self, fill):
        self.bought = fill.side == "buy"

    def on_tick(self, tick):
        if self.bought:
            self.close()
        elif self.position.is_flat:
            self.buy(limit=tick.price * Decimal("1.001"), lots=1)
'''


def capture() -> Path:
    folder = shared_data_folder()
    if folder is None:
        raise SystemExit("the captured stream is not here: set CHRISTMAS_TEST_DATA to the folder that has it")
    return folder / FUTURES_WEBSOCKET


def manifests(capture: Path, on_bars: Sequence[str]) -> dict[str, str]:
    return {
        "broker.yaml": BROKER.format(capture=capture),
        **{f"{name}.yaml": ON_BARS.format(name=name, rules=RULES[name]) for name in on_bars},
        "on-ticks.yaml": ON_TICKS.format(name="on-ticks"),
        "on_ticks.py": CODE,
    }


class Scrape:
    """The histograms of the whole fleet at one moment."""

    def __init__(self, fleet: Fleet, runtimes: Sequence[str]) -> None:
        self.gateway = _required(fleet, "gateway", "paper")
        self.runtimes = {name: _required(fleet, "runtime", name) for name in runtimes}

    def of_gateway(self, name: str) -> Histogram:
        return self.gateway.histogram(f"christmas_gateway_{name}_seconds")

    def of_runtimes(self, name: str, runtimes: Sequence[str]) -> Histogram:
        total = Histogram()
        for runtime in runtimes:
            total = total + self.runtimes[runtime].histogram(f"christmas_runtime_{name}_seconds")
        return total


def _required(fleet: Fleet, kind: str, name: str) -> Metrics:
    metrics = fleet.metrics(kind, name)
    if metrics is None:
        raise FleetFailed(f"{kind} {name} does not answer:\n{fleet.log(kind, name)[-2000:]}")
    return metrics


def measure(fleet: Fleet, on_bars: Sequence[str], seconds: float) -> list[Row]:
    everyone = (*on_bars, "on-ticks")

    def all_trade() -> bool | None:
        return all(fleet.is_ready("runtime", name) for name in everyone) or None

    fleet.wait_for("trading by all runtimes", all_trade, 60.0)
    time.sleep(_SETTLE_S)
    begun, usage = Scrape(fleet, everyone), {one.pid: one for one in fleet.usage()}
    started = time.perf_counter()
    time.sleep(seconds)
    ended, took_s = Scrape(fleet, everyone), time.perf_counter() - started
    cpu = sum(one.cpu_s - usage[one.pid].cpu_s for one in fleet.usage() if one.pid in usage) / took_s

    def gateway(name: str) -> Histogram:
        return ended.of_gateway(name) - begun.of_gateway(name)

    def runtimes(name: str, *of: str) -> Histogram:
        return ended.of_runtimes(name, of) - begun.of_runtimes(name, of)

    orders = gateway("intent_to_order").n
    ticks = ended.gateway.value("christmas_gateway_ticks_total") - begun.gateway.value("christmas_gateway_ticks_total")
    return [
        Row(
            name="orders measured",
            measured=f"{orders} in {took_s:.0f} s",
            target=f">= {FEWEST_ORDERS}",
            passed=orders >= FEWEST_ORDERS,
        ),
        _row("tick received -> order at the venue", gateway("tick_to_order"), TICK_TO_ORDER_MS),
        _row("signal -> order at the venue", gateway("signal_to_order"), SIGNAL_TO_ORDER_MS),
        _row("  intent at the gateway -> order at the venue", gateway("intent_to_order")),
        _row("  signal -> the venue's answer known, on bars", runtimes("signal_to_order", *on_bars)),
        _row("  signal -> the venue's answer known, on ticks", runtimes("signal_to_order", "on-ticks")),
        _row("decision of a strategy's engine", runtimes("decision", *everyone)),
        _row("journal: one commit, synced", gateway("journal_commit")),
        _disk_row(),
        _row("ticks received -> published and matched", gateway("market_batch")),
        Row(name="ticks", measured=f"{ticks / took_s:.0f}/s"),
        Row(name="CPU, whole fleet", measured=f"{cpu:.2f} cores"),
    ]


def _row(name: str, histogram: Histogram, target_ms: float | None = None) -> Row:
    (p50, _), (p99, bound) = histogram.quantile(0.5), histogram.quantile(0.99)
    return Row(
        name=name,
        measured=f"p50 {p50 * 1e3:.2f}, p99 {p99 * 1e3:.2f} ms (bucket up to {bound * 1e3:g}), n {histogram.n}",
        target="" if target_ms is None else f"p99 <= {target_ms:g} ms",
        passed=None if target_ms is None else histogram.n > 0 and p99 * 1e3 <= target_ms,
    )


def _disk_row() -> Row:
    """What a bare fdatasync of one page takes when it comes as seldom as orders do, the fleet still running."""
    took_ms: list[float] = []
    with tempfile.NamedTemporaryFile(prefix="christmas-bench-") as file:
        file.write(bytes(_PAGE_BYTES * _DISK_SAMPLES))
        os.fsync(file.fileno())
        for sample in range(_DISK_SAMPLES):
            time.sleep(_DISK_EVERY_S)
            os.pwrite(file.fileno(), os.urandom(_PAGE_BYTES), _PAGE_BYTES * sample)
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            took_ms.append((time.perf_counter() - started) * 1e3)
    took_ms.sort()
    p50, p99 = took_ms[_DISK_SAMPLES // 2], took_ms[_DISK_SAMPLES * 99 // 100]
    return Row(
        name="  the disk alone: a bare fdatasync", measured=f"p50 {p50:.2f}, p99 {p99:.2f} ms, n {_DISK_SAMPLES}"
    )


def main() -> int:
    parser = arguments_of(__doc__)
    parser.add_argument("--seconds", type=float, default=150.0, help="of the measurement")
    parser.add_argument(
        "--strategies",
        type=int,
        default=3,
        choices=range(1, len(RULES) + 2),
        help="how many trade",
    )
    arguments = parser.parse_args()
    on_bars = tuple(RULES)[: arguments.strategies - 1]
    with ending_cleanly(), Fleet(manifests(capture(), on_bars)) as fleet:
        rows = measure(fleet, on_bars, arguments.seconds)
    return tell("latency", rows, arguments.output)


if __name__ == "__main__":
    sys.exit(main())
