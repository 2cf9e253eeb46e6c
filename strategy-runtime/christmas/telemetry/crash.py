"""Named places at which a process can be made to die, as by SIGKILL, to prove that nothing is lost by it.

``CHRISTMAS_CRASH_AT`` names them: ``NAME`` or ``NAME:NTH`` (the NTH time that a process passes it, the first by
default), several with commas. In the environment of ``christmas up`` each is died once by the fleet, whatever is
started again: the fleet writes them to a file, one a line, and gives its processes ``CHRISTMAS_CRASH_FILE``. A
process reads that file when it starts, and takes the line out of it in the moment in which it dies of it; of
several processes that come to the same place one dies. In the environment of a process itself
``CHRISTMAS_CRASH_AT`` has no memory: each new process dies of it again.

Each process counts its own passes. A name that is not known ends the process (or ``christmas up``) at its start.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final

CRASH_AT: Final = "CHRISTMAS_CRASH_AT"
CRASH_FILE: Final = "CHRISTMAS_CRASH_FILE"

POINTS: Final[frozenset[str]] = frozenset(
    {
        # The gateway's journal: orders, steps, fills, sessions, signals.
        "gateway.journal.commit",
        "gateway.journal.committed",
        "gateway.journal.durable",
        # Sessions: the fence is on disk before the welcome; reports on disk before they are sent.
        "gateway.fence.write",
        "gateway.fence.written",
        "gateway.welcome.send",
        "gateway.welcome.sent",
        "gateway.report.send",
        "gateway.report.sent",
        "gateway.goodbye.send",
        "gateway.goodbye.sent",
        # The venue.
        "gateway.submit.send",
        "gateway.submit.answered",
        "gateway.cancel.send",
        "gateway.cancel.answered",
        "gateway.reconcile.ask",
        "gateway.reconcile.done",
        "gateway.venue.write",
        "gateway.venue.written",
        # Lock-step.
        "gateway.advance.send",
        "gateway.advance.sent",
        "gateway.window.answered",
        "gateway.window.carried_out",
        "gateway.window.settled",
        # Redis: ticks and clock, the outbox, what the recorder has acknowledged.
        "gateway.ticks.write",
        "gateway.ticks.written",
        "gateway.trim.remove",
        "gateway.trim.removed",
        "gateway.outbox.write",
        "gateway.outbox.written",
        "gateway.acknowledged.note",
        "gateway.acknowledged.noted",
        "gateway.end.write",
        "gateway.end.written",
        # The runtime: its side of the session.
        "runtime.hello.send",
        "runtime.hello.sent",
        "runtime.welcome.received",
        "runtime.welcome.applied",
        "runtime.advance.received",
        "runtime.advance.shown",
        "runtime.submit.send",
        "runtime.submit.sent",
        "runtime.cancel.send",
        "runtime.cancel.sent",
        "runtime.note.send",
        "runtime.note.sent",
        "runtime.report.received",
        "runtime.report.applied",
        "runtime.answer.send",
        "runtime.answer.sent",
        "runtime.status.write",
        "runtime.status.written",
        "runtime.goodbye.received",
        # The recorder: ticks, journal, quarantine, and what it acknowledges of them.
        "recorder.ticks.store",
        "recorder.ticks.copied",
        "recorder.ticks.stored",
        "recorder.watermark.write",
        "recorder.watermark.written",
        "recorder.journal.store",
        "recorder.journal.projected",
        "recorder.journal.stored",
        "recorder.journal.acknowledge",
        "recorder.journal.acknowledged",
        "recorder.quarantine.store",
        "recorder.quarantine.stored",
    }
)
"""All there are. Those that end in a past word lie behind the deed, the others before it."""

_armed: dict[str, int] = {}
"""By name: how many passes are left."""
_lines: dict[str, str] = {}
"""By name: the line of the file that asks for it."""
_file: Path | None = None


class UnknownCrashPoint(ValueError):
    """Names what was asked for, and what there is."""


def point(name: str) -> None:
    """Die here if somebody asked for it."""
    if name in _armed:
        _pass(name)


def parse(text: str) -> dict[str, int]:
    """By name the pass at which to die. Raises UnknownCrashPoint."""
    wanted: dict[str, int] = {}
    for part in text.replace("\n", ",").split(","):
        name, _, nth = part.strip().partition(":")
        if not name:
            continue
        if name not in POINTS:
            known = ", ".join(sorted(POINTS))
            raise UnknownCrashPoint(f"{CRASH_AT}: there is no crash point {name!r}; there are {known}")
        if nth and not (nth.isdigit() and int(nth) > 0):
            raise UnknownCrashPoint(f"{CRASH_AT}: {part.strip()!r}: after the colon stands a number from 1")
        wanted[name] = int(nth or 1)
    return wanted


def arm(environment: Mapping[str, str] = os.environ) -> None:
    """Take from the environment where this process is to die. Raises UnknownCrashPoint, OSError."""
    global _file  # noqa: PLW0603 (one for each process, as its environment)
    _armed.clear()
    _lines.clear()
    _file = None
    if (path := environment.get(CRASH_FILE)) is not None:
        _file = Path(path)
        for line in _file.read_text().splitlines():
            for name, nth in parse(line).items():
                # Of several lines for one place the first: a process dies only once.
                if name not in _armed:
                    _armed[name], _lines[name] = nth, line
    else:
        _armed.update(parse(environment.get(CRASH_AT, "")))


def environment_for_children(file: Path, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a fleet gives its processes: nothing, or a file of what ``CHRISTMAS_CRASH_AT`` asks for.

    Raises UnknownCrashPoint.
    """
    wanted = parse(environment.get(CRASH_AT, ""))
    if not wanted:
        return {}
    file.write_text("".join(f"{name}:{nth}\n" for name, nth in wanted.items()))
    return {CRASH_FILE: str(file)}


def _pass(name: str) -> None:
    _armed[name] -= 1
    if _armed[name] > 0:
        return
    del _armed[name]
    if _file is None or _taken(_file, _lines[name]):
        os.kill(os.getpid(), signal.SIGKILL)


def _taken(file: Path, line: str) -> bool:
    """Take the line out of the file; False when somebody else has died of it."""
    with file.open("r+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        lines = stream.read().splitlines()
        if line not in lines:
            return False
        lines.remove(line)
        stream.seek(0)
        stream.truncate()
        stream.write("".join(f"{other}\n" for other in lines))
        stream.flush()
    return True
