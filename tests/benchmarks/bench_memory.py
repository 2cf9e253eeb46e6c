"""What a runtime and a gateway hold in memory while they trade.

    .venv/bin/python -m tests.benchmarks.bench_memory [-o json] [--seconds 60]

The largest resident size (RSS, shared pages included) of any runtime and of the gateway, sampled twice a second
from outside: over a minute of the captured futures stream at 1x, with the strategies of `bench_latency`; and over
a replay of the whole capture at full speed, until after its end.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final

from tests.benchmarks.bench_latency import RULES, capture, manifests
from tests.benchmarks.fleet import Fleet, ending_cleanly
from tests.benchmarks.results import Row, arguments_of, tell

RUNTIME_MIB: Final = 45.0
GATEWAY_MIB: Final = 80.0
_EVERY_S: Final = 0.5
_REPLAY_S: Final = 240.0


class Peaks:
    """The largest size seen of any process of a kind."""

    def __init__(self) -> None:
        self.mib: dict[str, float] = {}

    def sample(self, fleet: Fleet) -> None:
        for usage in fleet.usage():
            self.mib[usage.kind] = max(self.mib.get(usage.kind, 0.0), usage.rss_bytes / 2**20)

    def rows(self, during: str) -> list[Row]:
        return [
            self._row("runtime", during, RUNTIME_MIB),
            self._row("gateway", during, GATEWAY_MIB),
            Row(name=f"  recorder, {during}", measured=f"{self.mib.get('recorder', 0.0):.1f} MiB"),
            Row(name=f"  supervisor, {during}", measured=f"{self.mib.get('supervisor', 0.0):.1f} MiB"),
        ]

    def _row(self, kind: str, during: str, limit: float) -> Row:
        mib = self.mib.get(kind, 0.0)
        return Row(
            name=f"largest {kind}, {during}",
            measured=f"{mib:.1f} MiB",
            target=f"<= {limit:g} MiB",
            passed=0 < mib <= limit,
        )


def _sampled(fleet: Fleet, is_over: Callable[[], bool], within_s: float) -> Peaks:
    peaks, deadline = Peaks(), time.monotonic() + within_s
    while not is_over():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not over after {within_s:.0f} s:\n{fleet.output[-2000:]}")
        peaks.sample(fleet)
        time.sleep(_EVERY_S)
    peaks.sample(fleet)
    return peaks


def of_stream(seconds: float) -> list[Row]:
    with Fleet(manifests(capture(), tuple(RULES))) as fleet:
        fleet.wait_for("trading", lambda: fleet.is_ready("runtime", "on-ticks") or None, 60.0)
        ends = time.monotonic() + seconds
        return _sampled(fleet, lambda: time.monotonic() > ends, seconds + 60.0).rows("stream at 1x")


def of_replay() -> list[Row]:
    with Fleet(manifests(capture(), tuple(RULES)), "--replay", str(capture()), "--speed", "max") as fleet:
        state = fleet.state

        def is_over() -> bool:
            # A replay's state lies in a folder of its own, named by what is replayed.
            folders = list(state.glob("replays/*"))
            if folders:
                fleet.state = folders[0]
            metrics = fleet.metrics("gateway", "paper")
            total = 0.0 if metrics is None else metrics.value("christmas_gateway_replay_total_rows")
            return metrics is not None and 0 < total <= metrics.value("christmas_gateway_replay_done_rows")

        rows = _sampled(fleet, is_over, _REPLAY_S).rows("replay at full speed")
        fleet.state = state
        return rows


def main() -> int:
    parser = arguments_of(__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the stream at 1x")
    arguments = parser.parse_args()
    with ending_cleanly():
        rows = of_stream(arguments.seconds) + of_replay()
    return tell("memory", rows, arguments.output)


if __name__ == "__main__":
    sys.exit(main())
