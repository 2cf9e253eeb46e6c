"""What a benchmark found: rows of target, measured and verdict, as a table or as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import msgspec

from tests.benchmarks.fleet import machine


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One measured thing; without ``passed`` it has no target and stands there to be known."""

    name: str
    measured: str
    target: str = ""
    passed: bool | None = None

    @property
    def verdict(self) -> str:
        return "" if self.passed is None else "met" if self.passed else "MISSED"


class Results(msgspec.Struct, frozen=True, kw_only=True):
    benchmark: str
    machine: str
    rows: list[Row]

    @property
    def passed(self) -> bool:
        return all(row.passed is not False for row in self.rows)


def table(rows: Sequence[Row]) -> str:
    head = Row(name="", target="target", measured="measured")
    widths = [max(len(getattr(row, field)) for row in (head, *rows)) for field in ("name", "target", "measured")]
    return "\n".join(
        f"{row.name:<{widths[0]}}  {row.target:<{widths[1]}}  {row.measured:<{widths[2]}}  {row.verdict}".rstrip()
        for row in (head, *rows)
    )


def arguments_of(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    return parser


def tell(benchmark: str, rows: list[Row], output: str) -> int:
    """Print, and answer with the exit code: 1 when a target is missed."""
    results = Results(benchmark=benchmark, machine=machine(), rows=rows)
    if output == "json":
        print(json.dumps(msgspec.to_builtins(results) | {"passed": results.passed}, indent=2))
    else:
        print(results.machine)
        print(table(rows))
    return 0 if results.passed else 1
