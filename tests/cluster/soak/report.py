"""What a soak has seen, as lines for people and as JSON for programs. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from tests.cluster.soak.measure import LIMITS
from tests.cluster.soak.trend import Point, Trend, trend


class Sample(msgspec.Struct, kw_only=True):
    at_s: float
    settled_s: float
    """From the last thing that was done to when all was true."""
    untrue: list[str]
    """What was not, after the deadline."""
    last: list[str] = []
    """What was the last to come true."""
    phases: dict[str, int]
    objects: int
    values: dict[str, float]
    processes: dict[str, str]
    streams: dict[str, int]


class Report(msgspec.Struct, kw_only=True):
    seed: int
    commit: str
    strategies: int
    minutes: float = 0.0
    done: dict[str, int] = {}
    """How often what was done."""
    looks: int = 0
    settled_s: dict[str, float] = {}
    ledgers: list[dict[str, Any]] = []
    """What `nothing_lost` counted, each time."""
    growth: dict[str, dict[str, Any]] = {}
    streams: dict[str, list[int]] = {}
    """Entries at the first look and at the last."""
    left: list[str] = []
    """What stays after `helm uninstall`."""
    wrong: list[str] = []
    samples: list[Sample] = []


def growth(samples: Sequence[Sample]) -> dict[str, Trend]:
    names = sorted({name for sample in samples for name in sample.values})
    return {
        name: trend(
            [Point(one.at_s, one.values[name], _process(one, name)) for one in samples if name in one.values],
            allowed_per_hour=LIMITS[name].per_hour if name in LIMITS else float("inf"),
        )
        for name in names
    }


def _process(sample: Sample, name: str) -> str:
    return next((pid for what, pid in sample.processes.items() if name.startswith(what)), "")


def summed_up(report: Report) -> Report:
    """With all that follows from its samples."""
    settled = sorted(one.settled_s for one in report.samples)
    trends = growth(report.samples)
    report.looks = len(settled)
    if settled:
        report.settled_s = {
            "p50": settled[len(settled) // 2],
            "p90": settled[len(settled) * 9 // 10],
            "max": settled[-1],
        }
        first, last = report.samples[0].streams, report.samples[-1].streams
        report.streams = {key: [first.get(key, 0), last.get(key, 0)] for key in sorted({*first, *last})}
    for name, found in trends.items():
        limit = LIMITS.get(name)
        report.growth[name] = {
            **found._asdict(),
            "allowed_per_hour": limit.per_hour if limit is not None else None,
            "why": limit.why if limit is not None else "told only",
        }
        if found.grows and limit is not None:
            report.wrong.append(
                f"{name} grows by {found.per_hour:.1f} an hour ({found.first:.1f} to {found.last:.1f} in "
                f"{found.minutes:.0f} min), {limit.per_hour:g} are allowed"
            )
    return report


def lines(report: Report) -> list[str]:
    """A table for people."""
    done = ", ".join(f"{count} {what}" for what, count in sorted(report.done.items()))
    made = [
        f"{report.minutes:.0f} minutes with up to {report.strategies} Strategies, seed {report.seed}, {report.commit}",
        f"done: {done}",
        f"looked {report.looks} times; all was true after {_numbers(report.settled_s)} s",
        *(f"ledgers: {_numbers(one)}" for one in report.ledgers),
        "",
        f"{'':34}{'first third':>12}{'last third':>12}{'an hour':>10}{'allowed':>9}{'minutes':>9}",
    ]
    for name, found in report.growth.items():
        allowed = "" if found["allowed_per_hour"] is None else f"{found['allowed_per_hour']:g}"
        verdict = "  GROWS" if found["grows"] else "" if found["known"] else "  too short to tell"
        made.append(
            f"{name:34}{found['first']:12.1f}{found['last']:12.1f}{found['per_hour']:+10.2f}"
            f"{allowed:>9}{found['minutes']:9.0f}{verdict}"
        )
    made += ["", *(f"Redis {key}: {first} -> {last} entries" for key, (first, last) in report.streams.items())]
    made += ["", "after helm uninstall there is still:", *(f"  {one}" for one in report.left or ["nothing"])]
    counted = Counter(report.wrong)
    made += ["", f"{len(counted)} things were wrong" if counted else "nothing was wrong"]
    return made + [f"  {what}" for what in counted]


def _numbers(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items())
