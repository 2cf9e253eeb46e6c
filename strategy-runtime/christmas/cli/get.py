"""``christmas get``."""

from __future__ import annotations

import click

from christmas.cli.backend import Backend, Listing, Targets
from christmas.cli.names import PLURALS, parse_targets
from christmas.cli.options import backend_options, output_option, watch_option
from christmas.cli.output import Table, emit, show_each


@click.command()
@click.argument("what", nargs=-1)
@backend_options
@output_option()
@watch_option
def get(*, what: tuple[str, ...], backend: Backend, output: str, watch: bool) -> None:
    """List resources, or show some: `get strategies`, `get strat btc-scalper`, `get strategy/btc-scalper broker/paper`.

    Without an argument: everything.
    """
    targets = parse_targets(what or ("all",))
    listings = backend.listings(targets, watch=watch, wide=output == "wide")
    show_each(listings, lambda listing: _show(listing, targets, output), watch=watch)


def _show(listing: Listing, targets: Targets, output: str) -> None:
    if output in {"json", "yaml"}:
        found = [manifest for section in listing.sections for manifest in section.manifests]
        one = len(targets) == 1 and targets[0][1] is not None and bool(found)
        data = found[0] if one else {"apiVersion": "v1", "kind": "List", "items": found}
        emit(output, data, Table((), ()))
        return
    for index, section in enumerate(listing.sections):
        if index:
            click.echo()
        nothing = f"no {PLURALS[section.kind]} in {listing.where}"
        emit(output, None, section.table, section.names, nothing=nothing)
