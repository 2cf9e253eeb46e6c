"""All benchmarks, one after the other, in one table: what is wanted, what was measured, whether it was met.

    make bench
    .venv/bin/python tests/benchmarks/run.py [-o json] [--only NAME ...]

Each runs in a process of its own. Exits with 1 when a target is missed or a benchmark fails. Other work on the
machine disturbs the latencies first: run it alone. CHRISTMAS_TEST_DATABASE_URL names the TimescaleDB that the
recorder's benchmark uses (else the embedded PostgreSQL), CHRISTMAS_TEST_DATA the folder of recorded market data.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

_ROOT: Final = Path(__file__).resolve().parents[2]
if __package__ in {None, ""}:
    # As a script only its own folder is on the path.
    sys.path.insert(0, str(_ROOT))

import msgspec  # noqa: E402

from tests.benchmarks.fleet import ending_cleanly, machine  # noqa: E402
from tests.benchmarks.results import Row, arguments_of, table  # noqa: E402


def _own_rows(output: str) -> list[Row]:
    return msgspec.convert(json.loads(output)["rows"], list[Row])


def _ingest(output: str) -> list[Row]:
    report = json.loads(output)
    wanted = report["wanted"]
    rows = []
    for row in report["throughput"]:
        fast = row["ours"] >= wanted["ticks_per_second"] and row["ratio"] >= wanted["ratio"]
        rows.append(
            Row(
                name=f"ticks into Redis, {row['batch']} together",
                measured=f"{row['ours']:,.0f}/s, {row['ratio']:.2f} of the bare client",
                target=f">= {wanted['ticks_per_second']:,}/s, >= {wanted['ratio']:g}",
                passed=fast,
            )
        )
    rows += [
        Row(
            name=f"  writer -> reader at {row['rate']:,} writes/s",
            measured=f"p50 {row['p50_ms']:.2f}, p99 {row['p99_ms']:.2f} ms, n {row['samples']}",
        )
        for row in report["latency"]
    ]
    return rows


def _recorder(output: str) -> list[Row]:
    report: dict[str, Any] = json.loads(output)
    return [
        Row(
            name="recorder catching up",
            measured=f"{report['recorder_rows_per_s']:,}/s, {report['ratio']:.2f} of a bare COPY",
            target=f">= {report['wanted_ratio']:g}",
            passed=report["passed"],
        ),
        Row(name="  into", measured=report["database"]),
    ]


def _indicators(output: str) -> list[Row]:
    line = next(line for line in output.splitlines() if line.startswith("rsi + macd + bollinger"))
    ours, theirs, ratio = line.split()[-3:]
    return [Row(name="rsi, macd, bollinger: one bar", measured=f"{ours} ns, TA-Lib's streams {theirs} (x{ratio})")]


class Benchmark(NamedTuple):
    name: str
    within_s: float
    rows: Callable[[str], list[Row]]
    arguments: tuple[str, ...] = ("-o", "json")


BENCHMARKS: Final = (
    # The one that other work disturbs most comes first, on a machine that has been idle.
    Benchmark("latency", 240, _own_rows),
    Benchmark("start", 180, _own_rows),
    Benchmark("memory", 240, _own_rows),
    Benchmark("scale", 280, _own_rows),
    Benchmark("ingest", 120, _ingest),
    Benchmark("recorder", 180, _recorder),
    Benchmark("indicators", 60, _indicators, ()),
)


def run(benchmark: Benchmark) -> list[Row]:
    """Its rows; a failure is a row that is missed."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.benchmarks.bench_{benchmark.name}", *benchmark.arguments],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=benchmark.within_s)
        return benchmark.rows(output)
    except subprocess.TimeoutExpired:
        return [_failed(benchmark, f"not over after {benchmark.within_s:.0f} s")]
    except (ValueError, LookupError, StopIteration, msgspec.MsgspecError):
        last = (errors or output).strip().splitlines()[-1:] or ["no output"]
        return [_failed(benchmark, f"exit code {process.returncode}: {last[0][:200]}")]
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """It takes its fleet down itself; what does not go is killed."""
    if process.poll() is None:
        process.terminate()
        try:
            process.communicate(timeout=60.0)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def _failed(benchmark: Benchmark, why: str) -> Row:
    return Row(name=f"{benchmark.name}: the benchmark itself", measured=why, target="runs", passed=False)


def chosen(names: Sequence[str]) -> list[Benchmark]:
    return [benchmark for benchmark in BENCHMARKS if not names or benchmark.name in names]


def main() -> int:
    parser = arguments_of(__doc__)
    parser.add_argument(
        "--only", action="append", default=[], choices=[benchmark.name for benchmark in BENCHMARKS], help="repeatable"
    )
    arguments = parser.parse_args()
    started, found = time.monotonic(), {}
    with ending_cleanly():
        for benchmark in chosen(arguments.only):
            print(f"{benchmark.name} ...", file=sys.stderr, flush=True)
            found[benchmark.name] = run(benchmark)
    rows = [row for each in found.values() for row in each]
    passed = all(row.passed is not False for row in rows)
    if arguments.output == "json":
        report = {"machine": machine(), "passed": passed, "benchmarks": msgspec.to_builtins(found)}
        print(json.dumps(report, indent=2))
    else:
        print(f"{machine()}; {time.monotonic() - started:.0f} s in all")
        print(table(rows))
        missed = sum(row.passed is False for row in rows)
        print(f"\n{missed} missed" if missed else "\nall targets met")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
