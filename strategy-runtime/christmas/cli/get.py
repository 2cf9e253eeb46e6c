"""``christmas get``."""

from __future__ import annotations

from pathlib import Path

import click

from christmas.cli.client import fleet_or_stored
from christmas.cli.names import PLURALS, parse_targets
from christmas.cli.options import output_option, state_option, watch_option
from christmas.cli.output import emit, repeat
from christmas.cli.resources import ResourceView, listed, manifest, names_of, select, table_of


@click.command()
@click.argument("what", nargs=-1)
@state_option
@output_option()
@watch_option
def get(what: tuple[str, ...], state_path: Path | None, output: str, watch: bool) -> None:
    """List resources, or show some: `get strategies`, `get strat btc-scalper`, `get strategy/btc-scalper broker/paper`.

    Without an argument: everything.
    """
    targets = parse_targets(what or ("all",))

    def show() -> None:
        fleet = fleet_or_stored(state_path)
        kinds = list(dict.fromkeys(kind for kind, _ in targets))
        chosen: list[ResourceView] = []
        for index, kind in enumerate(kinds):
            views = [view for other, name in targets if other == kind for view in select(fleet, kind, name)]
            chosen += views
            if output in {"table", "wide", "name"}:
                if index:
                    click.echo()
                nothing = f"no {PLURALS[kind]} in {fleet.state_folder}"
                emit(output, None, table_of(kind, views), names_of(kind, views), nothing=nothing)
        if output in {"json", "yaml"}:
            one = len(targets) == 1 and targets[0][1] is not None
            emit(output, manifest(chosen[0]) if one else listed(chosen), table_of(kinds[0], ()))

    repeat(show, watch=watch)
