"""One audit: read the stores of each account, compare, look again where the fleet runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from christmas.audit.books import Balance, DatabaseBook, JournalBook, VenueBook
from christmas.audit.database import read_database
from christmas.audit.database_checks import check_ticks, compare_journals, compare_projection
from christmas.audit.difference import AuditReport, Difference, Looked, Store, StrategyBooks, persisting
from christmas.audit.journal_checks import fold_journal, sequence_gaps
from christmas.audit.journal_file import StoreUnreadable, read_journal, read_venue
from christmas.audit.places import Account, received_ticks
from christmas.audit.policies import policies_of
from christmas.audit.summary import summarise
from christmas.audit.venue_checks import compare_balance, compare_venue
from christmas.brokers import admin

_LOOKS: Final = 4
_BETWEEN_S: Final = (0.5, 1.0, 2.0)
_GATEWAY_MEND: Final = "start the fleet: only a gateway can ask this venue"


class AccountBooks(msgspec.Struct, kw_only=True):
    """What was read of one account; None: could not be."""

    account: Account
    looked: list[Looked] = []
    journal: JournalBook | None = None
    venue: VenueBook | Balance | None = None
    database: DatabaseBook | None = None


async def audit(accounts: Sequence[Account], *, running: bool) -> AuditReport:
    """``running``: errors count only when they stay from look to look, of which there are a few."""
    report = await _look(accounts)
    if not running:
        return report
    for pause_s in _BETWEEN_S[: _LOOKS - 1]:
        if not report.errors:
            break
        await asyncio.sleep(pause_s)
        again = await _look(accounts)
        report = msgspec.structs.replace(again, differences=tuple(persisting(report.differences, again.differences)))
    return report


async def _look(accounts: Sequence[Account]) -> AuditReport:
    looked: list[Looked] = []
    differences: list[Difference] = []
    strategies: list[StrategyBooks] = []
    for account in accounts:
        books = await _read(account)
        looked += books.looked
        found, results = compare(books)
        differences += found
        strategies += results
    return AuditReport(looked=tuple(looked), differences=tuple(differences), strategies=tuple(strategies))


def compare(books: AccountBooks) -> tuple[list[Difference], list[StrategyBooks]]:
    """Everything that can be compared of what was read. Pure."""
    account, journal, database = books.account, books.journal, books.database
    broker = account.broker
    found: list[Difference] = []
    if database is not None:
        found += check_ticks(broker, database, received_ticks(account))
    if journal is None:
        return found, []
    policies = policies_of(journal, account.policies, account.named_policies, account.assumed_policy)
    fold, wrong = fold_journal(broker, journal, policies)
    found += sequence_gaps(broker, journal)
    found += wrong
    results, odd = summarise(broker, fold)
    found += odd
    if isinstance(books.venue, VenueBook):
        found += compare_venue(broker, fold, books.venue)
    elif books.venue is not None:
        found += compare_balance(broker, fold, books.venue)
    if database is not None:
        found += compare_journals(broker, journal, database)
        projected, _ = fold_journal(broker, journal, policies, until=database.watermark)
        found += compare_projection(broker, projected, database)
    return found, results


async def _read(account: Account) -> AccountBooks:
    """The database first, then the journal, then the venue: each knows at least what the one before it knew."""
    books = AccountBooks(account=account, looked=[])
    broker = account.broker
    if account.database_url is None:
        books.looked.append(
            Looked(broker=broker, store="database", what="none is named", reached=False, mend="name --database-url")
        )
    else:
        try:
            database = books.database = await read_database(account.database_url, account.market)
            stored = sum(ticks.stored for ticks in database.ticks.values())
            what = f"{stored} ticks, {len(database.journal)} entries, {len(database.orders)} orders"
            books.looked.append(Looked(broker=broker, store="database", what=what))
        except StoreUnreadable as error:
            books.looked.append(_not_reached(broker, "database", error))
    try:
        books.journal = await asyncio.to_thread(read_journal, account.journal)
        what = f"{len(books.journal.lines)} entries, up to {books.journal.last}"
        books.looked.append(Looked(broker=broker, store="journal", what=what))
    except StoreUnreadable as error:
        books.looked.append(_not_reached(broker, "journal", error))
    try:
        venue = books.venue = await _venue(account)
        what = "holdings, by its gateway"
        if isinstance(venue, VenueBook):
            what = f"{len(venue.orders)} orders, {len(venue.fills)} fills"
        books.looked.append(Looked(broker=broker, store="venue", what=what))
    except StoreUnreadable as error:
        books.looked.append(_not_reached(broker, "venue", error))
    return books


def _not_reached(broker: str, store: Store, error: StoreUnreadable) -> Looked:
    return Looked(broker=broker, store=store, what=error.what, reached=False, mend=error.mend)


async def _venue(account: Account) -> VenueBook | Balance:
    if account.venue is not None:
        return await asyncio.to_thread(read_venue, account.venue)
    if not account.address or account.permit_key_file is None:
        raise StoreUnreadable("there is no ledger of the venue, and no gateway to ask", _GATEWAY_MEND)
    try:
        key = await asyncio.to_thread(Path(account.permit_key_file).read_bytes)
        answer = await admin.command(account.address, key, broker=account.broker, action="statement")
        if not answer.ok:
            raise StoreUnreadable(answer.message, "see the gateway's log")
        return msgspec.json.decode(answer.message, type=Balance)
    except (OSError, admin.AdminError, msgspec.MsgspecError) as error:
        raise StoreUnreadable(str(error), _GATEWAY_MEND) from error
