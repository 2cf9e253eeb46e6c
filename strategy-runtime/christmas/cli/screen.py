"""What `christmas up` shows while it runs: a live table at a terminal, plain lines in a pipe."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

import click

from christmas.cli.output import span
from christmas.cli.statistics import WIN_RATE_NOTE, money, win_rate
from christmas.fleet.decide import Key
from christmas.fleet.event_feed import event_line, event_time, follow_events
from christmas.fleet.view import FleetView, ProcessView
from christmas.telemetry.cancelling import end
from christmas.telemetry.events import OrderEvent, StateEvent

if TYPE_CHECKING:
    from rich.live import Live

_REFRESH_S: Final = 0.5
_LINES: Final = 8
View = Callable[[], FleetView]


class Screen(Protocol):
    """Where `up` writes."""

    def say(self, text: str) -> None: ...

    def tell(self, key: Key, text: str) -> None: ...

    def progress(self, done: int, total: int) -> None: ...

    async def show(self, view: View) -> None:
        """Until cancelled."""

    def close(self) -> None: ...

    def summary(self, view: FleetView) -> None: ...


def make_screen(*, replay: bool = False) -> Screen:
    """A replay writes to stderr: its stdout is the report's."""
    stream = sys.stderr if replay else sys.stdout
    if stream.isatty():
        return TerminalScreen(replay=replay)
    return PlainScreen(replay=replay)


class PlainScreen:
    """One line for each thing that happens."""

    def __init__(self, *, replay: bool) -> None:
        self._to_stderr = replay
        self._replay = replay

    def say(self, text: str) -> None:
        click.echo(f"{_now()} fleet: {text}", err=self._to_stderr)

    def tell(self, key: Key, text: str) -> None:
        click.echo(f"{_now()} {key}: {text}", err=self._to_stderr)

    def progress(self, done: int, total: int) -> None:
        """Not in a pipe."""

    async def show(self, view: View) -> None:
        now = view()
        async for event in follow_events(now.redis_url, now.replay_id):
            who, text = event_line(event)
            click.echo(f"{event_time(event)} {who}: {text}", err=self._to_stderr)

    def close(self) -> None:
        """Nothing is kept open."""

    def summary(self, view: FleetView) -> None:
        for line in summary_lines(view):
            click.echo(line, err=self._to_stderr)


class TerminalScreen:
    """The fleet as a table that is drawn again twice a second, and the last things that happened."""

    def __init__(self, *, replay: bool) -> None:
        # rich is imported here: a pipe does without it.
        from rich.console import Console  # noqa: PLC0415

        self._console = Console(stderr=replay)
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._live: Live | None = None
        self._progress: _Bar | None = None

    def say(self, text: str) -> None:
        self._line(f"{_now()} fleet: {text}")

    def tell(self, key: Key, text: str) -> None:
        self._line(f"{_now()} {key}: {text}")

    def progress(self, done: int, total: int) -> None:
        if self._progress is None:
            self._progress = _Bar(self._console)
        self._progress.update(done, total)

    async def show(self, view: View) -> None:
        from rich.live import Live  # noqa: PLC0415

        from christmas.cli.fleet_table import render_fleet  # noqa: PLC0415

        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()
        events = asyncio.create_task(self._follow(view()), name="events")
        try:
            while True:
                self._live.update(render_fleet(view(), list(self._lines)), refresh=True)
                await asyncio.sleep(_REFRESH_S)
        finally:
            await end(events)
            self.close()

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self._progress is not None:
            self._progress.close()
            self._progress = None

    def summary(self, view: FleetView) -> None:
        for line in summary_lines(view):
            self._console.print(line, highlight=False)

    async def _follow(self, view: FleetView) -> None:
        async for event in follow_events(view.redis_url, view.replay_id):
            # Orders and states are many, and the table tells them.
            if not isinstance(event, OrderEvent | StateEvent):
                who, text = event_line(event)
                self._lines.append(f"{event_time(event)} {who}: {text}")

    def _line(self, text: str) -> None:
        self._lines.append(text)
        if self._live is None and self._progress is None:
            self._console.print(text, highlight=False, markup=False)


class _Bar:
    """Progress of a replay by rows of its files."""

    def __init__(self, console: object) -> None:
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

        assert isinstance(console, Console)  # noqa: S101 (typed loosely, so that rich is imported late)
        self._progress = Progress(
            TextColumn("replay"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]} rows/s"),
            TimeRemainingColumn(), console=console, transient=True,
        )  # fmt: skip
        self._task = self._progress.add_task("replay", total=None, rate="-")
        self._begun = time.monotonic()
        self._progress.start()

    def update(self, done: int, total: int) -> None:
        rate = done / max(0.001, time.monotonic() - self._begun)
        self._progress.update(self._task, completed=done, total=total or None, rate=f"{rate:,.0f}")

    def close(self) -> None:
        self._progress.stop()


def summary_lines(view: FleetView) -> list[str]:
    """What the fleet leaves behind when it stops."""
    lines = [f"ran for {span(view.running_s)}; state is kept in {view.state_folder}"]
    for strategy in view.strategies:
        status = strategy.runtime
        if status is None:
            lines.append(f"  {strategy.name}: {strategy.why}")
            continue
        lines.append(
            f"  {strategy.name}: realised {money(status.realised_pnl)}, unrealised {money(status.unrealised_pnl)}, "
            f"win rate {win_rate(status)}"
        )
    failed = [process for process in _processes(view) if process.restarts]
    lines += [f"  {process.kind}/{process.name} was restarted {process.restarts} times" for process in failed]
    if any(strategy.runtime is not None and strategy.runtime.closed_trades for strategy in view.strategies):
        lines.append(WIN_RATE_NOTE)
    return lines


def _processes(view: FleetView) -> list[ProcessView]:
    return [*view.processes, *(b.process for b in view.brokers), *(s.process for s in view.strategies)]


def _now() -> str:
    return time.strftime("%H:%M:%S", time.gmtime())
