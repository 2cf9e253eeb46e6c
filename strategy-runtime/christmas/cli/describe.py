"""``christmas describe``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import msgspec
import redis.asyncio as redis

from christmas.cli.client import fleet_or_stored
from christmas.cli.explain import explanation
from christmas.cli.names import parse_one
from christmas.cli.options import state_option
from christmas.cli.output import as_yaml, mebibytes, span
from christmas.cli.resources import age, select
from christmas.fleet.event_feed import event_line, event_time, recent_events
from christmas.fleet.view import BrokerView, FleetView, ProcessView, StrategyView

_EVENTS = 15


@click.command()
@click.argument("what", nargs=-1, required=True)
@state_option
def describe(what: tuple[str, ...], state_path: Path | None) -> None:
    """Show everything about one resource: its manifest, its process, why it trades or not, what happened last."""
    kind, name = parse_one(what)
    fleet = fleet_or_stored(state_path)
    view = select(fleet, kind, name)[0]
    metadata = view.resource.metadata
    click.echo(f"Name:        {view.name}")
    click.echo(f"Kind:        {kind}")
    click.echo(f"Uid:         {metadata.uid or '-'}")
    click.echo(f"Generation:  {metadata.generation}")
    click.echo(f"Age:         {age(metadata.creation_timestamp)}")
    if metadata.labels:
        click.echo(f"Labels:      {', '.join(f'{key}={value}' for key, value in sorted(metadata.labels.items()))}")
    click.echo("Spec:")
    for line in as_yaml(msgspec.to_builtins(view.resource.spec)).splitlines():
        click.echo(f"  {line}")
    _process(view.process)
    if isinstance(view, StrategyView):
        _strategy(view, fleet)
    else:
        _broker(view, fleet)


def _process(process: ProcessView) -> None:
    click.echo("Process:")
    click.echo(f"  Phase:     {process.phase}{f' ({process.message})' if process.message else ''}")
    click.echo(f"  Ready:     {process.ready}")
    click.echo(f"  Restarts:  {process.restarts}")
    if process.pid is not None:
        limit = f" of {mebibytes(process.memory_limit_bytes)}" if process.memory_limit_bytes else ""
        enforced = "enforced" if process.cpu_limited else "not enforced here"
        click.echo(f"  Pid:       {process.pid}, for {span(process.running_s)}")
        click.echo(f"  Memory:    {mebibytes(process.rss_bytes)}{limit}")
        click.echo(f"  CPU:       {process.cpu_percent:.0f}% of a core, limit {enforced}")
        click.echo(f"  Metrics:   http://127.0.0.1:{process.http_port}/metrics")
    if process.log:
        click.echo(f"  Log:       {process.log}")


def _strategy(view: StrategyView, fleet: FleetView) -> None:
    click.echo(f"Epoch:       {view.epoch or '-'}")
    if view.drifted:
        click.echo(f"ConfigDrift: updatePolicy {view.resource.spec.update_policy} keeps the earlier manifest running")
    click.echo("Trading:")
    for line in explanation(view):
        click.echo(f"  {line}".rstrip())
    if not fleet.redis_url:
        return
    click.echo("Events:")
    try:
        events = asyncio.run(recent_events(fleet.redis_url, fleet.replay_id, strategy=view.name, count=_EVENTS))
    except (redis.RedisError, OSError) as error:
        click.echo(f"  Redis does not answer: {error}")
        return
    for event in events:
        click.echo(f"  {event_time(event)} {event_line(event)[1]}")
    if not events:
        click.echo("  none yet")


def _broker(view: BrokerView, fleet: FleetView) -> None:
    click.echo(f"Market:      {view.market}")
    click.echo(f"Feed:        {view.feed}")
    users = [strategy.name for strategy in fleet.strategies if strategy.resource.spec.broker_ref.name == view.name]
    click.echo(f"Strategies:  {', '.join(users) or 'none'}")
