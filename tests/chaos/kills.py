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

_WAITED_FOR_S: Final = 2.0
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

    Who is not there is waited for, but not for as long as a back-off may take: the market goes on without the
    recorder, and could be over before the plan is. Then another one that is there dies instead, of those who have
    died the fewest times. Raises ReplayFailed when the replay is over before all are done, or no process comes back.
    """
    done: list[str] = []
    dead: set[int] = set()
    targets = tuple(dict.fromkeys(kill.target for kill in kills))
    for kill in kills:
        time.sleep(kill.after_s)
        began = time.monotonic()
        while True:
            late_s = time.monotonic() - began
            others = () if late_s < _WAITED_FOR_S else sorted(targets, key=done.count)
            victim = _first_alive(run, (kill.target, *others), dead)
            if victim is not None:
                break
            if run.process.poll() is not None:
                raise ReplayFailed(f"it was over after {len(done)} of {len(kills)} kills\n{run.words()}")
            if late_s > within_s:
                raise ReplayFailed(f"nobody came back within {within_s} s\n{run.words()}")
            time.sleep(0.02)
        target, pid = victim
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        dead.add(pid)
        done.append(target)
    return done


def _first_alive(run: FleetRun, targets: Sequence[str], dead: Set[int]) -> tuple[str, int] | None:
    """The first of them that is there, and its process's id; who was killed is there a moment longer."""
    for target in targets:
        process = find(run, target)
        if process is not None and process.pid not in dead:
            return target, process.pid
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
