"""Kills of any process of a fleet at random, stores and their helpers included, repeatable by a seed.

The seed decides how far the market is at each kill and which process it hits, unless that one is in back-off; what it
is doing in that moment is left to chance.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Sequence, Set
from typing import Final, NamedTuple

import psutil

from tests.integration.replay.fleet import FleetRun, ReplayFailed

_KINDS: Final = (
    ("gateway", "christmas.brokers.gateway"),
    ("recorder", "christmas.ingestion.recorder"),
    ("runtime", "christmas.runtime"),
)


class Kill(NamedTuple):
    """``target``: gateway, recorder, valkey, postgres, a backend of it, or runtime-NAME;"""

    target: str
    after_s: float
    """After the one before it."""


def plan(seed: int, strategies: Sequence[str], *, kills: int = 30, over_s: float = 8.0) -> list[Kill]:
    """``kills`` of them, about ``over_s`` seconds from the first to the last; each process is hit at least once.

    Shorter than the quickest replay of the whole recording: each kill makes it longer.
    """
    chance = random.Random(seed)
    targets = ["gateway", "recorder", "valkey", "postgres", "postgres-backend", *(f"runtime-{s}" for s in strategies)]
    chosen = targets + chance.choices(targets, k=max(0, kills - len(targets)))
    chance.shuffle(chosen)
    return [Kill(target, chance.uniform(0.0, 2.0) * over_s / kills) for target in chosen[:kills]]


def carry_out(run: FleetRun, kills: Sequence[Kill], *, within_s: float = 60.0) -> list[str]:
    """Kill one after the other, as many as planned; what was killed.

    Nobody is waited for who is in back-off, or the replay could be over before the plan is: the next in the plan
    whose process is there comes first, and when none is left of them, another one that is there dies in its place.
    Raises ReplayFailed when the replay is over before all are done, or no process comes back.
    """
    left, done, dead = list(kills), list[str](), set[int]()
    targets = tuple(dict.fromkeys(kill.target for kill in kills))
    while left:
        time.sleep(left[0].after_s)
        deadline = time.monotonic() + within_s
        while (victim := _next_victim(run, left, targets, dead)) is None:
            if run.process.poll() is not None:
                raise ReplayFailed(f"it was over after {len(done)} of {len(kills)} kills\n{run.words()}")
            if time.monotonic() > deadline:
                raise ReplayFailed(f"nobody came back within {within_s} s\n{run.words()}")
            time.sleep(0.02)
        place, target, pid = victim
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        dead.add(pid)
        done.append(target)
        del left[place]
    return done


def _next_victim(
    run: FleetRun, left: Sequence[Kill], targets: Sequence[str], dead: Set[int]
) -> tuple[int, str, int] | None:
    """Which kill of those ``left`` comes next, whom it hits, and the process's id; None: nobody lives."""
    planned = [(place, kill.target) for place, kill in enumerate(left)]
    tried: set[str] = set()
    for place, target in (*planned, *((0, target) for target in targets)):
        if target not in tried:
            tried.add(target)
            process = find(run, target)
            if process is not None and process.pid not in dead:
                return place, target, process.pid
    return None


def find(run: FleetRun, target: str) -> psutil.Process | None:
    """The running process of that name, None while there is none."""
    try:
        children = psutil.Process(run.process.pid).children()
        if target == "postgres-backend":
            masters = [child for child in children if _name(child) == "postgres"]
            backends = [backend for master in masters for backend in master.children()]
            # Of those, only connections: killing one makes the server drop all of them and recover.
            return next((each for each in backends if " [local] " in " ".join(each.cmdline())), None)
        return next((child for child in children if _name(child) == target), None)
    except psutil.Error:
        return None


def _name(process: psutil.Process) -> str:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return ""
        words = process.cmdline()
    except psutil.Error:
        return ""
    if not words:
        return ""
    program = words[0].rpartition("/")[2]
    if program.startswith(("valkey", "redis")):
        return "valkey"
    if program == "postgres":
        return "postgres"
    for kind, module in _KINDS:
        if module in words:
            # Its settings lie in processes/<kind>-<name>/.
            return words[-1].split("/")[-2] if kind == "runtime" else kind
    return ""
