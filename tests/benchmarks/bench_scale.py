"""Whether a hundred runtimes on this machine keep up with ten ticks a second each, and what that costs.

    .venv/bin/python -m tests.benchmarks.bench_scale [-o json] [--runtimes 100] [--seconds 60]

One Broker with a synthetic market of ten ticks a second, and that many Strategies on it, each in a process of its
own that is shown every tick. The lag is the runtimes' own histogram: from a print's time (synthetic prints have the
wall's) until the engine has seen it, so the feed, the gateway and Redis are in it. Besides, no runtime may have
missed ticks. CPU is that of all processes of the fleet, in cores.
"""

from __future__ import annotations

import sys
import time
from typing import Final

from tests.benchmarks.fleet import Fleet, Histogram, Metrics, Usage, ending_cleanly
from tests.benchmarks.results import Row, arguments_of, tell

TICKS_PER_SECOND: Final = 12
"""On average over minutes; a synthetic market is quieter most of the time, and busier in bursts."""
LAG_P99_S: Final = 0.25
RUNTIME_MIB: Final = 45.0
_START_S: Final = 150.0
_KINDS: Final = ("runtime", "gateway", "recorder", "supervisor", "store")

_BROKER: Final = f"""\
apiVersion: christmas.dev/v1alpha1
kind: Broker
metadata: {{name: paper}}
spec:
  type: paper
  instruments:
    - {{symbol: BTC/USDT, priceIncrement: "0.01", lotSize: "0.00001", minimumNotional: "5"}}
  feed:
    synthetic: {{ticksPerSecond: {TICKS_PER_SECOND}}}
  paper: {{cash: "10000000"}}
  limits: {{maxOpenOrders: 5000, requestsPerMinute: 100000}}
"""
_STRATEGY: Final = """\
apiVersion: christmas.dev/v1alpha1
kind: Strategy
metadata: {{name: scalper-{number}}}
spec:
  brokerRef: {{name: paper}}
  symbols: [BTC/USDT]
  timeframe: 5s
  builtin: {{name: rsi-macd-bollinger, parameters: {{rsi_entry: {entry}}}}}
  capital: {{amount: "1000", perTrade: "100", maxPositions: 3}}
"""


def _manifests(runtimes: int) -> dict[str, str]:
    strategies = {
        f"scalper-{number}.yaml": _STRATEGY.format(number=number, entry=20 + number % 20) for number in range(runtimes)
    }
    return {"broker.yaml": _BROKER, **strategies}


def _scrape(fleet: Fleet, names: list[str]) -> dict[str, Metrics]:
    return {name: metrics for name in names if (metrics := fleet.metrics("runtime", name)) is not None}


def _cpu(before: list[Usage], after: list[Usage], took_s: float) -> dict[str, float]:
    known = {usage.pid: usage.cpu_s for usage in before}
    return {
        kind: sum(one.cpu_s - known.get(one.pid, one.cpu_s) for one in after if one.kind == kind) / took_s
        for kind in _KINDS
    }


def measure(fleet: Fleet, runtimes: int, seconds: float) -> list[Row]:
    names = [f"scalper-{number}" for number in range(runtimes)]
    waiting = list(names)

    def all_ready() -> bool | None:
        while waiting and fleet.is_ready("runtime", waiting[-1]):
            waiting.pop()
        return not waiting or None

    fleet.wait_for(f"{runtimes} runtimes that trade", all_ready, _START_S)
    ready_s = time.perf_counter() - fleet.started_at
    before = _scrape(fleet, names)
    usage, started = fleet.usage(), time.perf_counter()
    time.sleep(seconds)
    used, took_s = fleet.usage(), time.perf_counter() - started
    after = _scrape(fleet, names)

    lag, shown = Histogram(), []
    for name in before.keys() & after.keys():
        metric = "christmas_runtime_tick_lag_seconds"
        lag = lag + (after[name].histogram(metric) - before[name].histogram(metric))
        ticks = "christmas_runtime_ticks_total"
        shown.append((after[name].value(ticks) - before[name].value(ticks)) / took_s)
    p50, p99 = lag.quantile(0.5)[0], lag.quantile(0.99)[0]
    cpu = _cpu(usage, used, took_s)
    sizes = [one.rss_bytes / 2**20 for one in used if one.kind == "runtime"]
    everyone = len(shown) == runtimes == len(sizes)
    return [
        Row(
            name="runtimes that trade throughout",
            measured=str(len(shown)),
            target=f"{runtimes}",
            passed=everyone,
        ),
        Row(
            name="a print's time -> seen by the strategy",
            measured=f"p50 {p50 * 1e3:.1f}, p99 {p99 * 1e3:.1f} ms, n {lag.n}",
            target=f"p99 <= {LAG_P99_S * 1e3:g} ms",
            passed=lag.n > 0 and p99 <= LAG_P99_S,
        ),
        Row(
            name="ticks a second, slowest runtime of all",
            measured=f"{min(shown, default=0.0):.1f} (fastest {max(shown, default=0.0):.1f})",
            target="all the same",
            passed=bool(shown) and min(shown) >= 0.97 * max(shown),
        ),
        Row(
            name="largest runtime",
            measured=f"{max(sizes, default=0.0):.1f} MiB",
            target=f"<= {RUNTIME_MIB:g} MiB",
            passed=0 < max(sizes, default=0.0) <= RUNTIME_MIB,
        ),
        Row(name="memory of all runtimes", measured=f"{sum(sizes) / 1024:.2f} GiB"),
        Row(name="CPU, whole fleet", measured=f"{sum(cpu.values()):.2f} cores"),
        *(Row(name=f"  {kind}", measured=f"{cpu[kind]:.2f} cores") for kind in _KINDS),
        Row(name="all of them trading after", measured=f"{ready_s:.0f} s"),
    ]


def main() -> int:
    parser = arguments_of(__doc__)
    parser.add_argument("--runtimes", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the measurement")
    arguments = parser.parse_args()
    with ending_cleanly(), Fleet(_manifests(arguments.runtimes)) as fleet:
        rows = measure(fleet, arguments.runtimes, arguments.seconds)
    return tell("scale", rows, arguments.output)


if __name__ == "__main__":
    sys.exit(main())
