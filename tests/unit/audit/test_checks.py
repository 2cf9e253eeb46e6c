"""Each rule of the audit, broken alone."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest

from christmas.audit.books import Balance, DatabaseBook, JournalBook, Policy, SymbolTicks, VenueBook
from christmas.audit.database_checks import check_ticks, compare_journals, compare_projection
from christmas.audit.difference import AuditReport, Difference, Looked, persisting
from christmas.audit.ids import OrderIdCheck
from christmas.audit.journal_checks import fold_journal, sequence_gaps
from christmas.audit.policies import policies_of
from christmas.audit.summary import summarise
from christmas.audit.venue_checks import compare_balance, compare_venue
from christmas.execution.journal import JournalEntry
from christmas.execution.order import OrderStatus, client_order_id
from tests.unit.audit import story

Told = list[JournalEntry]
replace = msgspec.structs.replace


def _found(journal: JournalBook, venue: VenueBook | None = None, database: DatabaseBook | None = None) -> set[str]:
    fold, wrong = fold_journal("paper", journal, story.NO_LOSS)
    found = [*wrong, *sequence_gaps("paper", journal), *summarise("paper", fold)[1]]
    if venue is not None:
        found += compare_venue("paper", fold, venue)
    if database is not None:
        projected, _ = fold_journal("paper", journal, {}, until=database.watermark)
        found += compare_journals("paper", journal, database)
        found += compare_projection("paper", projected, database)
    return {each.kind for each in found}


def test_a_story_that_all_tell_alike_has_no_difference() -> None:
    assert _found(story.journal(), story.venue(), story.database()) == set()


def test_a_story_adds_up_to_its_result() -> None:
    fold, _ = fold_journal("paper", story.journal(), {})
    (book,), odd = summarise("paper", fold)
    assert odd == []
    assert (book.closed_trades, book.winning_trades, book.open_positions) == (1, 1, 0)
    assert (book.realised_pnl, book.fees, book.held_lots) == (Decimal("9.8"), Decimal("0.2"), {})


def _with(index: int, entry: JournalEntry) -> Callable[[Told], Told]:
    return lambda told: [*told[:index], entry, *told[index + 1 :]]


def _after(index: int, *more: JournalEntry) -> Callable[[Told], Told]:
    return lambda told: [*told[: index + 1], *more, *told[index + 1 :]]


LOSING = story.written("sell", price=Decimal(100))
BROKEN = story.written("sell", price=Decimal(90), breaks_policy="maximumAge")

JOURNALS: dict[str, tuple[Callable[[Told], Told], set[str]]] = {
    "an order written twice": (_after(2, story.written("buy")), {"journal.order-doubled"}),
    "an order after its step": (
        lambda told: [told[0], told[1], told[3], told[2], *told[4:]],
        {"journal.not-written-before"},
    ),
    "an id of its own making": (
        _with(2, story.written("buy", decided_us=story.DECIDED_US + 10**15)),
        {"journal.order-id"},
    ),
    "an entry that sells": (
        _with(6, story.written("sell", purpose="entry")),
        {"journal.order-side", "journal.fill-at-odds"},
    ),
    "a fill twice": (_after(5, story.filled("buy")), {"journal.fill-doubled", "journal.overfilled"}),
    "a fill without its report": (lambda told: told[:9], {"journal.report-missing"}),
    "a fill beyond the order": (
        _with(4, story.filled("buy", lots=2)),
        {"journal.overfilled", "journal.filled-lots"},
    ),
    "a fill worse than its limit": (_with(4, story.filled("buy", price=Decimal(101))), {"journal.fill-price"}),
    "more sold than bought": (_with(8, story.filled("sell", lots=2)), {"journal.oversold"}),
    "alive after its end": (
        _after(5, story.changed("buy", OrderStatus.ACCEPTED, 1)),
        {"journal.status"},
    ),
    "an exit of nothing": (lambda told: [told[0], *told[6:]], {"journal.exit-without-position", "journal.oversold"}),
    "no session": (lambda told: told[1:], {"fence.no-session"}),
    "an order of an older epoch": (_after(0, story.session(2, "a")), {"fence.epoch"}),
    "a session of an older epoch": (
        lambda told: [story.session(3), *told],
        {"fence.epoch"},
    ),
    "two instances at once": (_after(0, story.session(1, "b")), {"fence.two-instances"}),
    "a superseded instance again": (
        _after(0, story.session(1, "a", "superseded"), story.session(1, "b"), story.session(1, "a")),
        {"fence.superseded"},
    ),
    "NoLoss at break-even": (_with(6, LOSING), {"noloss.exit"}),
    "NoLoss with a loss": (
        lambda told: [*told[:6], LOSING, told[7], story.filled("sell", price=Decimal(100)), told[9]],
        {"noloss.exit", "noloss.loss"},
    ),
    "NoLoss broken by the user's limit": (
        lambda told: [*told[:6], BROKEN, told[7], story.filled("sell", price=Decimal(90)), told[9]],
        {"noloss.broken"},
    ),
}


def _kinds_by(policies: dict[str, Policy]) -> set[str]:
    """Of a position that was closed with a loss, and by no limit of the user's."""
    told = story.entries()
    losing = [*told[:6], LOSING, told[7], story.filled("sell", price=Decimal(100)), told[9]]
    fold, wrong = fold_journal("paper", story.journal(losing), policies)
    return {each.kind for each in [*wrong, *summarise("paper", fold)[1]]}


@pytest.mark.parametrize(
    ("by_uid", "by_name", "assumed", "is_wrong"),
    [
        ({}, {}, None, False),
        ({}, {}, "NoLoss", True),
        ({story.UID: "StopLoss"}, {}, "NoLoss", False),
        ({story.UID: "NoLoss"}, {}, None, True),
        ({story.UID: "NoLoss"}, {"one": "Trailing"}, "NoLoss", False),
        ({}, {"one": "NoLoss"}, None, True),
        ({"another": "StopLoss"}, {"another": "StopLoss"}, "NoLoss", True),
    ],
)
def test_a_name_goes_before_a_manifest_and_that_before_the_default(
    by_uid: dict[str, str], by_name: dict[str, str], assumed: str | None, *, is_wrong: bool
) -> None:
    policies = policies_of(
        story.journal(),
        {uid: Policy(policy=policy) for uid, policy in by_uid.items()},
        {name: Policy(policy=policy) for name, policy in by_name.items()},
        None if assumed is None else Policy(policy=assumed, assumed=True),
    )
    assert _kinds_by(policies) == ({"noloss.exit", "noloss.loss"} if is_wrong else set())


@pytest.mark.parametrize("what", JOURNALS)
def test_a_journal_that_breaks_a_rule(what: str) -> None:
    change, expected = JOURNALS[what]
    assert expected <= _found(story.journal(change(story.entries())))


def test_a_takeover_as_it_has_to_be_is_no_difference() -> None:
    takeover = [story.session(1, "a", "superseded"), story.session(1, "b")]
    assert _found(story.journal(_after(5, *takeover)(story.entries()))) == set()


@pytest.mark.parametrize(
    ("acked", "started_after", "expected"),
    [(0, 0, {"journal.gap"}), (2, 0, set()), (0, 2, set()), (1, 0, {"journal.gap"})],
)
def test_only_pruned_or_earlier_entries_may_be_missing(acked: int, started_after: int, expected: set[str]) -> None:
    lines = story.journal().lines[2:]
    journal = JournalBook(lines=lines, acked=acked, started_after=started_after)
    assert {each.kind for each in sequence_gaps("paper", journal)} == expected


def test_an_entry_at_anothers_place() -> None:
    lines = list(story.journal().lines)
    lines[3], lines[4] = replace(lines[3], entry=lines[4].entry), replace(lines[4], entry=lines[3].entry)
    found = list(sequence_gaps("paper", JournalBook(lines=tuple(lines))))
    assert [each.place for each in found] == ["paper/journal entry 4", "paper/journal entry 5"]
    assert {each.kind for each in found} == {"journal.sequence"}


def test_an_entry_under_another_strategy() -> None:
    lines = tuple(replace(line, owner="other") if line.sequence == 4 else line for line in story.journal().lines)
    assert _found(JournalBook(lines=lines)) == {"journal.owner"}


STRANGER = replace(story.venue().orders[0], intent=story.intent("buy", client_order_id="xstranger"), filled_lots=0)
VENUES: dict[str, tuple[VenueBook, set[str]]] = {
    "an order that nobody wrote": (
        story.venue(orders=(*story.venue().orders, STRANGER)),
        {"venue.order-not-journaled"},
    ),
    "an order lost": (story.venue(orders=story.venue().orders[:1]), {"venue.order-lost"}),
    "other terms": (
        story.venue(
            orders=(replace(story.venue().orders[0], intent=story.intent("buy", lots=2)), story.venue().orders[1])
        ),
        {"venue.order-at-odds"},
    ),
    "another end": (
        story.venue(orders=(replace(story.venue().orders[0], status=OrderStatus.CANCELLED), story.venue().orders[1])),
        {"venue.status"},
    ),
    "other fills than its own": (
        story.venue(orders=(replace(story.venue().orders[0], filled_lots=0), story.venue().orders[1])),
        {"venue.books-order"},
    ),
    "a fill lost": (
        story.venue(fills=story.venue().fills[:1]),
        {"venue.fill-lost", "venue.books-order", "venue.books-cash", "venue.books-position"},
    ),
    "a fill doubled": (
        story.venue(fills=(*story.venue().fills, story.fill("sell"))),
        {"venue.fill-doubled", "venue.books-order", "venue.books-cash", "venue.books-position"},
    ),
    "a fill unknown": (
        story.venue(fills=(*story.venue().fills, story.fill("sell", fill_id="other"))),
        {"venue.fill-not-journaled", "venue.books-order", "venue.books-cash", "venue.books-position"},
    ),
    "a fill at odds": (
        story.venue(fills=(story.fill("buy", price=Decimal(99)), story.fill("sell"))),
        {"venue.fill-at-odds", "venue.books-cash"},
    ),
    "other cash": (story.venue(cash=Decimal(5)), {"venue.cash", "venue.books-cash"}),
    "another position": (story.venue(positions={story.SYMBOL: 3}), {"venue.position", "venue.books-position"}),
    "less than nothing": (
        story.venue(positions={story.SYMBOL: -1}),
        {"venue.short", "venue.position", "venue.books-position"},
    ),
}


@pytest.mark.parametrize("what", VENUES)
def test_a_venue_that_says_otherwise(what: str) -> None:
    venue, expected = VENUES[what]
    assert _found(story.journal(), venue) == expected


def test_another_venue_may_hold_more_than_we_bought_and_not_less() -> None:
    fold, _ = fold_journal("live", story.journal(story.entries()[:6]), {})
    more = Balance(cash=Decimal(0), holdings={story.SYMBOL: 7})
    less = Balance(cash=Decimal(0), holdings={})
    assert list(compare_balance("live", fold, more)) == []
    assert [each.kind for each in compare_balance("live", fold, less)] == ["venue.position"]


FILLS = story.database().fills
ROW = story.order_row("buy")
DATABASES: dict[str, tuple[DatabaseBook, set[str]]] = {
    "a fill gone": (story.database(fills=FILLS[:1]), {"database.fill-missing"}),
    "a fill twice": (story.database(fills=(*FILLS, FILLS[0])), {"database.fill-doubled"}),
    "a fill made up": (story.database(fills=(*FILLS, ("x", FILLS[0][1]))), {"database.fill-unknown"}),
    "a fill's price": (
        story.database(fills=(("fill-buy", replace(FILLS[0][1], price=Decimal(1))), FILLS[1])),
        {"database.fill-at-odds"},
    ),
    "an order gone": (story.database(orders={story.BUY: ROW}), {"database.order-missing"}),
    "an order's fees": (
        story.database(orders=story.database().orders | {story.BUY: replace(ROW, fees=Decimal(0))}),
        {"database.order-at-odds"},
    ),
    "an order made up": (
        story.database(orders=story.database().orders | {"x": ROW}),
        {"database.order-unknown"},
    ),
    "a signal gone": (story.database(signals={}), {"database.signal-missing"}),
    "an entry gone": (
        story.database(journal=story.journal().lines[:5] + story.journal().lines[6:]),
        {"database.entry-missing"},
    ),
    "an entry of another journal": (
        story.database(journal=(replace(story.journal().lines[0], entry=story.session(9)), *story.journal().lines[1:])),
        {"database.entry-at-odds"},
    ),
    "ahead of the journal": (story.database(watermark=11), {"database.ahead"}),
}


@pytest.mark.parametrize("what", DATABASES)
def test_a_database_that_says_otherwise(what: str) -> None:
    database, expected = DATABASES[what]
    assert _found(story.journal(), None, database) == expected


def test_what_is_on_its_way_is_a_note() -> None:
    behind = story.database(
        watermark=5,
        journal=story.journal().lines[:5],
        orders={story.BUY: ROW},
        fills=FILLS[:1],
    )
    fold, _ = fold_journal("paper", story.journal(), {}, until=5)
    found = [*compare_journals("paper", story.journal(), behind), *compare_projection("paper", fold, behind)]
    assert [(each.kind, each.severity) for each in found] == [("database.lag", "note")]


def test_a_pruned_signal_is_found_in_the_database_and_a_removed_order_missed() -> None:
    lines = story.journal().lines
    pruned = JournalBook(lines=lines[:1] + lines[2:], acked=10)
    assert _found(pruned, None, story.database()) == set()
    removed = JournalBook(lines=lines[:2] + lines[3:], acked=10)
    found = list(compare_journals("paper", removed, story.database()))
    assert [(each.kind, each.place) for each in found] == [("journal.entry-removed", "paper/journal entry 3")]


TICKS = SymbolTicks(
    stored=10,
    late=0,
    last_us=50,
    doubled=0,
    doubled_example="",
    numbered=10,
    missing=0,
    missing_example="",
    watermark_ticks=10,
    watermark_us=50,
)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"stored": 9}, ["ticks.missing"]),
        ({"stored": 11}, ["ticks.unaccounted"]),
        ({"doubled": 1}, ["ticks.doubled"]),
        ({"watermark_ticks": None}, ["ticks.no-watermark"]),
        ({"last_us": 51}, ["ticks.beyond-watermark"]),
        ({"late": 1}, ["ticks.late"]),
        ({"missing": 4}, ["ticks.gap"]),
        ({"missing": 11}, []),
    ],
)
def test_ticks(change: dict[str, int | None], expected: list[str]) -> None:
    ticks = replace(TICKS, **change)
    database = story.database(ticks={story.SYMBOL: ticks})
    found = list(check_ticks("paper", database, ticks.stored))
    assert [each.kind for each in found] == expected
    assert all((each.severity == "note") is (each.kind in {"ticks.late", "ticks.gap"}) for each in found)


def test_prints_that_never_arrived_and_prints_set_aside() -> None:
    database = story.database(ticks={story.SYMBOL: TICKS}, quarantined=2, quarantined_again=1)
    assert {each.kind for each in check_ticks("paper", database, 12)} == {
        "ticks.quarantined",
        "ticks.quarantine-doubled",
    }
    assert "ticks.count" in {each.kind for each in check_ticks("paper", database, 13)}


def test_the_id_of_a_sale_by_hand() -> None:
    key = client_order_id(f"{story.UID}/{story.BUY}", story.DECIDED_US, "sell", 1_000_002)
    by_hand = story.intent("sell", client_order_id=key, breaks_policy="flatten", price=None, type="market")
    assert OrderIdCheck().is_derived(story.UID, by_hand)
    assert not OrderIdCheck().is_derived("another", by_hand)


def _difference(kind: str, severity: str = "error") -> Difference:
    return Difference(kind=kind, severity="note" if severity == "note" else "error", place="p", expected="", found="")


def test_of_a_running_fleet_only_what_stays_counts() -> None:
    stays, passed, new = _difference("stays"), _difference("passed"), _difference("new")
    note = _difference("note", "note")
    assert persisting([stays, passed], [stays, new, note]) == [stays, note]


def test_a_sum_that_is_off_by_something_else_at_each_look_is_only_busy() -> None:
    off_by = [
        msgspec.structs.replace(_difference("venue.cash"), found=found, gap=gap)
        for found, gap in (("9", "-1"), ("8", "-2"))
    ]
    moved = msgspec.structs.replace(off_by[0], found="19", expected="20")
    assert persisting([off_by[0]], [off_by[1]]) == []
    assert persisting([off_by[0]], [moved]) == [moved]


@pytest.mark.parametrize(
    ("differences", "reached", "code"),
    [((), True, 0), (("note",), True, 0), (("error",), True, 1), ((), False, 2), (("error",), False, 1)],
)
def test_exit_codes(differences: tuple[str, ...], reached: bool, code: int) -> None:
    report = AuditReport(
        looked=(Looked(broker="b", store="journal", what="", reached=reached),),
        differences=tuple(_difference("k", severity) for severity in differences),
        strategies=(),
    )
    assert report.exit_code == code
    assert AuditReport(looked=(), differences=(), strategies=()).exit_code == 2
