"""``christmas up``: run a fleet on this machine, or replay recorded prints through one."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import click

from christmas.cli.options import state_option
from christmas.cli.output import as_json, as_yaml, render
from christmas.cli.screen import Screen, make_screen
from christmas.cli.statistics import report_table
from christmas.fleet.errors import FleetError
from christmas.fleet.local import open_session
from christmas.fleet.manifests import read_here
from christmas.fleet.replay import Replay, ReplayRun, plan_replay
from christmas.fleet.replay_id import replay_id
from christmas.fleet.report import Report
from christmas.fleet.shell import shell
from christmas.fleet.state import StateFolder, default_state_folder
from christmas.fleet.supervisor import Supervisor
from christmas.resources.load import Loaded
from christmas.telemetry.cancelling import end

_SPEED = re.compile(r"^(max|\d{1,5}(\.\d{1,3})?x)$")


def _speed(_: click.Context, __: click.Parameter, value: str) -> str:
    if not _SPEED.match(value):
        raise click.BadParameter("write max, 1x, or a multiple like 10x")
    return value


@click.command()
@click.argument("folder", required=False, type=click.Path(exists=True, path_type=Path))
@state_option
@click.option(
    "--replay",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Replay a file of trades or bars (CSV, CSV.gz, Parquet, captured WebSocket) instead of the Brokers' feeds. "
    "Repeat it for several files.",
)
@click.option(
    "--speed", default="1x", show_default=True, callback=_speed, help="Of a replay: 1x (the wall's), Nx, or max."
)
@click.option("--symbol", help="Of replayed files that name none. Default: the only symbol of the Strategies.")
@click.option("--until-end", is_flag=True, help="End with the files, and print the report.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", help="Of the report.")
def up(
    *,
    folder: Path | None,
    state_path: Path | None,
    files: tuple[Path, ...],
    speed: str,
    symbol: str | None,
    until_end: bool,
    output: str,
) -> None:
    """Run a fleet on this machine.

    FOLDER (or a file) holds manifests, which are applied first; without it the fleet goes on as it was. Stores are
    embedded unless REDIS_URL and DATABASE_URL name others. Ctrl-C stops cleanly.

    With --replay the fleet runs on recorded prints, in a session of its own that touches no other.
    """
    if files:
        if folder is None:
            raise click.UsageError("a replay needs the manifests' FOLDER")
        run = _replay(folder, state_path, files, speed=speed, symbol=symbol, until_end=until_end, output=output)
    else:
        if until_end or symbol:
            raise click.UsageError("--until-end and --symbol belong to --replay")
        run = _live(folder, state_path)
    sys.exit(asyncio.run(run))


async def _live(folder: Path | None, state_path: Path | None) -> int:
    state = StateFolder(state_path or default_state_folder())
    state.prepare()
    state.lock()
    try:
        known = state.stored()
        loaded = read_here([folder], known=known) if folder is not None else Loaded((), ())
        if not known and not loaded.resources:
            mend = "christmas up FOLDER, for example `christmas up examples`"
            raise FleetError(f"nothing was applied to {state.path} yet", mend)
        for warning in loaded.warnings:
            click.echo(str(warning), err=True)
        await _run_live(state, loaded)
    finally:
        state.unlock()
    return 0


async def _run_live(state: StateFolder, loaded: Loaded) -> None:
    opened = open_session(state, os.environ)
    screen = make_screen()
    supervisor = Supervisor(state, opened.session, opened.embedded, tell=screen.tell)
    async with shell(state, supervisor.request_stop) as health:
        try:
            screen.say(f"state in {state.path}")
            await supervisor.start()
            for line in supervisor.catalogue.apply(loaded.resources):
                screen.say(line)
            health.ready(None)
            await _with_screen(supervisor, screen)
        finally:
            health.ready("stopping")
            screen.close()
            screen.say("stopping")
            view = supervisor.view()
            await supervisor.stop()
    screen.summary(view)


async def _with_screen(supervisor: Supervisor, screen: Screen) -> None:
    shown = asyncio.create_task(screen.show(supervisor.view), name="screen")
    try:
        await supervisor.run()
    finally:
        await end(shown)


async def _replay(
    folder: Path,
    state_path: Path | None,
    files: tuple[Path, ...],
    *,
    speed: str,
    symbol: str | None,
    until_end: bool,
    output: str,
) -> int:
    loaded = read_here([folder])
    replay = plan_replay(loaded.strategies, loaded.brokers, files, speed=speed, symbol=symbol, until_end=until_end)
    identity = replay_id([*replay.brokers, *replay.strategies], replay.files, replay.symbol)
    temporary = None if state_path is not None else Path(tempfile.mkdtemp(prefix="christmas-"))
    path = temporary if state_path is None else state_path / "replays" / identity
    assert path is not None  # noqa: S101 (one of the two)
    if state_path is not None:
        # Of an earlier run of the same replay; its trades were simulated.
        shutil.rmtree(path, ignore_errors=True)
    try:
        code = await _run_replay(replay, StateFolder(path), identity, output)
    except BaseException:
        if temporary is not None:
            _keep_logs_only(temporary)
            click.echo(f"the replay's logs are kept in {temporary / 'logs'}", err=True)
        raise
    if temporary is not None:
        shutil.rmtree(temporary, ignore_errors=True)
    return code


def _keep_logs_only(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != "logs":
            shutil.rmtree(path, ignore_errors=True)


async def _run_replay(replay: Replay, state: StateFolder, identity: str, output: str) -> int:
    state.prepare()
    state.lock()
    opened = open_session(state, os.environ, replay_id=identity, durable=False)
    # Only the report goes to stdout when a script reads it.
    screen = make_screen(replay=True)
    run = ReplayRun(replay, state, opened, screen.tell)
    try:
        async with shell(state, run.supervisor.request_stop) as health, run.running():
            health.ready(None)
            if not replay.until_end:
                await _look_on(run, screen)
                return 0
            await run.until_ended(screen.progress)
            screen.close()
            report = await run.report()
    finally:
        screen.close()
        state.unlock()
    _print(report, output)
    return 0


async def _look_on(run: ReplayRun, screen: Screen) -> None:
    """Show the fleet until Ctrl-C, also after the files have ended."""
    shown = asyncio.create_task(screen.show(run.supervisor.view), name="screen")
    try:
        await run.until_stopped()
    finally:
        await end(shown)
    screen.summary(run.supervisor.view())


def _print(report: Report, output: str) -> None:
    if output == "json":
        click.echo(as_json(report))
    elif output == "yaml":
        click.echo(as_yaml(report), nl=False)
    else:
        ticks = report.ticks
        click.echo(f"ticks: {ticks.received} received, {ticks.stored} stored, {ticks.quarantined} quarantined")
        click.echo(render(report_table(report.strategies)))
