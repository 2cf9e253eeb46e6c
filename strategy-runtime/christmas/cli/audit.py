"""``christmas audit``: do journal, venue and database tell the same story?"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final, get_args

import click
import msgspec

from christmas.audit.audit import audit as run_audit
from christmas.audit.books import Policy
from christmas.audit.difference import AuditReport
from christmas.audit.journal_file import StoreUnreadable
from christmas.audit.places import VENUE, Account, find_accounts, manifests_beside, replays
from christmas.cli.borrowed_store import borrowed_database, has_database
from christmas.cli.client import state_folder
from christmas.cli.options import output_option, state_option
from christmas.cli.output import Table, as_json, as_yaml, render
from christmas.fleet.state import StateFolder
from christmas.resources.strategy import Exit, ExitPolicy

COULD_NOT_LOOK = 2
_POLICIES: Final[tuple[str, ...]] = get_args(ExitPolicy)


def _policies(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> dict[str, Policy]:
    """``STRATEGY=POLICY``, as often as there are strategies. Raises click.BadParameter."""
    found = {}
    for value in values:
        name, _, policy = value.partition("=")
        if not name or policy not in _POLICIES:
            raise click.BadParameter(f"{value!r} is not STRATEGY=POLICY, with one of {', '.join(_POLICIES)}")
        found[name] = Policy(policy=policy)
    return found


@click.command()
@state_option
@click.option("--broker", help="Only this Broker's account. Default: all of the state folder's.")
@click.option(
    "--replay", "replay_id", help="A replay that was run with this state: its id, or `last`. Default: the fleet's own."
)
@click.option(
    "--journal",
    "journal_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="This journal.sqlite, with the venue.sqlite beside it if there is one, instead of a state folder's.",
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="STRATEGY=POLICY",
    callback=_policies,
    help="With --journal: a strategy's exit policy. Default: its manifest's, in a state folder; else NoLoss.",
)
@click.option("--market", help="With --journal: the account's name in the database. Default: the Broker's.")
@click.option("--database-url", help="Default: $DATABASE_URL, else the one that the recorder was started with.")
@click.option(
    "--start-database",
    is_flag=True,
    help="Of a fleet that is stopped, or a replay that has ended: start its embedded database to look at it, and stop "
    "it again.",
)
@output_option("table", "json", "yaml")
def audit(
    *,
    state_path: Path | None,
    broker: str | None,
    replay_id: str | None,
    journal_file: Path | None,
    policies: dict[str, Policy],
    market: str | None,
    database_url: str | None,
    start_database: bool,
    output: str,
) -> None:
    """Recompute orders, fills, positions, cash and results from journal, venue and database, and tell differences.

    It only reads, also while the fleet runs. Exits with 0 when nothing is wrong, 1 when something differs, 2 when a
    store could not be looked at.
    """
    url = database_url or os.environ.get("DATABASE_URL") or None
    try:
        if journal_file is not None:
            if start_database:
                raise click.UsageError("--start-database belongs to a state folder; name --database-url")
            report = asyncio.run(run_audit([_by_file(journal_file, broker, market, url, policies)], running=False))
        else:
            if market is not None or policies:
                raise click.UsageError(f"--{'policy' if policies else 'market'} belongs to --journal")
            state = _state(state_path, replay_id)
            accounts = _by_state(state, broker, url)
            report = asyncio.run(_audit_state(state, accounts, start_database=start_database))
    except StoreUnreadable as error:
        click.echo(f"{click.style('error:', fg='red', bold=True)} {error.what} ({error.mend})", err=True)
        sys.exit(COULD_NOT_LOOK)
    _show(report, output)
    sys.exit(report.exit_code)


def _by_file(
    journal: Path, broker: str | None, market: str | None, url: str | None, policies: dict[str, Policy]
) -> Account:
    name = broker or (market or "").partition(".")[0] or journal.resolve().parent.name.removeprefix("gateway-")
    venue = journal.with_name(VENUE)
    return Account(
        broker=name,
        market=market or name,
        journal=journal,
        venue=venue if venue.exists() else None,
        database_url=url,
        policies=manifests_beside(journal),
        named_policies=policies,
        assumed_policy=Policy(policy=Exit().policy, assumed=True),
    )


async def _audit_state(state: StateFolder, accounts: list[Account], *, start_database: bool) -> AuditReport:
    running = state.supervisor_pid() is not None
    if not start_database or running or not has_database(state):
        return await run_audit(accounts, running=running)
    async with borrowed_database(state) as url:
        return await run_audit(
            [msgspec.structs.replace(account, database_url=url) for account in accounts], running=False
        )


def _state(path: Path | None, replay_id: str | None) -> StateFolder:
    state = state_folder(path)
    return state if replay_id is None else state_folder(_replay(state.path, replay_id))


def _by_state(state: StateFolder, broker: str | None, url: str | None) -> list[Account]:
    accounts = find_accounts(state.path)
    known = ", ".join(account.broker for account in accounts)
    if broker is not None:
        accounts = [account for account in accounts if account.broker == broker]
    if not accounts:
        others = [folder.name for folder in replays(state.path)]
        mend = "name another --state, or start a fleet with `christmas up`"
        if known:
            mend = f"there are {known}"
        elif others:
            mend = f"did you mean --replay {others[-1]}?"
        wanted = f"gateway of {broker}" if broker else "gateway"
        raise StoreUnreadable(f"no {wanted} was ever started from {state.path}", mend)
    if url is not None:
        accounts = [msgspec.structs.replace(account, database_url=url) for account in accounts]
    return accounts


def _replay(state: Path, replay_id: str) -> Path:
    found = replays(state)
    if replay_id == "last" and found:
        return found[-1]
    for path in found:
        if path.name == replay_id:
            return path
    names = ", ".join(path.name for path in found) or "none"
    raise StoreUnreadable(f"there is no replay {replay_id} in {state}", f"there are: {names}")


def _show(report: AuditReport, output: str) -> None:
    if output != "table":
        click.echo(as_json(report) if output == "json" else as_yaml(report), nl=output == "json")
        return
    rows = [
        (each.broker, each.store, "ok" if each.reached else "failed", each.what, each.mend) for each in report.looked
    ]
    click.echo(render(Table(("BROKER", "STORE", "STATE", "READ", "MEND"), rows)))
    if report.strategies:
        click.echo()
        click.echo(render(_strategies(report)))
    if report.differences:
        click.echo()
        found = [
            (
                "failed" if each.severity == "error" else "note",
                each.kind,
                each.place,
                each.expected,
                each.found,
                each.mend,
            )
            for each in report.differences
        ]
        click.echo(render(Table(("STATE", "KIND", "PLACE", "EXPECTED", "FOUND", "MEND"), found)))
    click.echo()
    notes = len(report.differences) - report.errors
    click.echo(f"{report.errors} differences, {notes} notes, {len(report.unreachable)} stores not looked at")


def _strategies(report: AuditReport) -> Table:
    headings = ("BROKER", "STRATEGY", "ORDERS", "DENIED", "FILLS", "CLOSED", "WON", "OPEN", "REALISED", "FEES")
    rows = [
        (
            each.broker,
            each.strategy,
            str(each.orders),
            str(each.denied),
            str(each.fills),
            str(each.closed_trades),
            str(each.winning_trades),
            str(each.open_positions),
            f"{each.realised_pnl.normalize():f}",
            f"{each.fees.normalize():f}",
        )
        for each in report.strategies
    ]
    return Table(headings, rows, right=frozenset(range(2, 10)))
