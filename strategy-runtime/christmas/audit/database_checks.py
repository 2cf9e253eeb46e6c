"""The database against the journal: raw entries, the rows made of them, and the ticks. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from christmas.audit.books import DatabaseBook, FillRow, JournalBook, OrderRow, SignalRow, SymbolTicks
from christmas.audit.difference import Difference
from christmas.audit.journal_checks import JournalFold, OrderFold
from christmas.execution.journal import FillRecorded, SignalNoted

_AGAIN = "stop the recorder, keep a copy of these rows, delete the market's rows and let it project the journal again"
_KEEP = "keep both; the journal is the truth about the account"
_LOOK = "compare with the feed's own history; see docs/auditing.md"


def compare_journals(broker: str, journal: JournalBook, database: DatabaseBook) -> Iterator[Difference]:
    """Entry by entry up to the recorder's watermark; what lies behind it is on its way."""
    place = f"{broker}/database journal"
    last = journal.last
    if database.watermark > last:
        yield Difference(
            kind="database.ahead",
            place=f"{place} watermark",
            expected=f"at most {last}, the journal's last entry",
            found=str(database.watermark),
            mend=_KEEP,
        )
    elif database.watermark < last:
        yield Difference(
            kind="database.lag",
            severity="note",
            place=f"{place} watermark",
            expected=f"{last} in the end",
            found=f"{last - database.watermark} entries are on their way to the database: that loses nothing",
        )
    stored = {line.sequence: line for line in database.journal}
    ours = {line.sequence: line for line in journal.lines}
    for sequence in range(journal.started_after + 1, min(database.watermark, last) + 1):
        theirs = stored.get(sequence)
        own = ours.get(sequence)
        where = f"{place} entry {sequence}"
        if theirs is None:
            kind = "nothing is known of" if own is None else own.entry.__struct_config__.tag if own.entry else "entry"
            yield Difference(
                kind="database.entry-missing",
                place=where,
                expected=f"stored, as all up to {database.watermark}",
                found=f"missing ({kind} {sequence})",
                mend=_AGAIN,
            )
        elif own is None:
            if not isinstance(theirs.entry, SignalNoted):
                yield Difference(
                    kind="journal.entry-removed",
                    place=f"{broker}/journal entry {sequence}",
                    expected=f"{_kind(theirs.entry)}, by the database",
                    found="missing in the journal, where only stored signals are pruned",
                    mend=_KEEP,
                )
        elif theirs.entry is None or (own.entry is not None and own.entry != theirs.entry):
            yield Difference(
                kind="database.entry-at-odds",
                place=where,
                expected=_text(own.entry),
                found=theirs.trouble or _text(theirs.entry),
                mend=_KEEP,
            )
    for sequence in sorted(stored):
        if sequence > max(database.watermark, journal.started_after):
            yield Difference(
                kind="database.entry-unknown",
                place=f"{place} entry {sequence}",
                expected=f"nothing beyond the watermark {database.watermark}",
                found=_kind(stored[sequence].entry),
                mend=_AGAIN,
            )


def compare_projection(broker: str, fold: JournalFold, database: DatabaseBook) -> Iterator[Difference]:
    """``fold``: of the entries up to the watermark. Rows of an earlier journal of the market are left out by it."""
    place = f"{broker}/database"
    expected_orders = {key: order_row(order) for key, order in fold.orders.items()}
    yield from _rows(f"{place} orders", "database.order", expected_orders, database.orders)
    seen: dict[str, FillRow] = {}
    for fill_id, row in database.fills:
        if fill_id in seen:
            yield Difference(
                kind="database.fill-doubled",
                place=f"{place} fills {fill_id}",
                expected="each fill once",
                found="two rows",
                mend=_AGAIN,
            )
        seen[fill_id] = row
    yield from _rows(
        f"{place} fills", "database.fill", {key: fill_row(entry) for key, entry in fold.fills.items()}, seen
    )
    signals = {
        line.sequence: SignalRow(
            strategy=line.entry.strategy,
            symbol=line.entry.symbol,
            signal=line.entry.signal,
            taken=line.entry.taken,
            time_us=line.entry.time_us,
        )
        for line in database.journal
        if isinstance(line.entry, SignalNoted) and line.sequence <= database.watermark
    }
    yield from _rows(f"{place} signals", "database.signal", signals, database.signals)


def check_ticks(broker: str, database: DatabaseBook, received: int | None) -> Iterator[Difference]:
    """``received``: how many prints a replay's gateway took in, when it has come to its end."""
    for symbol, ticks in sorted(database.ticks.items()):
        yield from _symbol(f"{broker}/database ticks {symbol}", ticks)
    stored = sum(ticks.stored for ticks in database.ticks.values())
    if database.quarantined:
        yield Difference(
            kind="ticks.quarantined",
            severity="note",
            place=f"{broker}/database quarantined_ticks",
            expected="prints that can be true",
            found=f"{database.quarantined} were set aside, and traded on by nobody",
        )
    if database.quarantined_again:
        yield Difference(
            kind="ticks.quarantine-doubled",
            place=f"{broker}/database quarantined_ticks",
            expected="each print once",
            found=f"{database.quarantined_again} rows of prints that are set aside already",
            mend="nobody traded on them: the counts are too high, nothing else",
        )
    if received is not None and stored + database.quarantined != received:
        yield Difference(
            kind="ticks.count",
            place=f"{broker}/database ticks",
            expected=f"{received} prints, as many as the gateway took in",
            found=f"{stored} stored and {database.quarantined} quarantined",
            mend=_LOOK,
        )


def _symbol(place: str, ticks: SymbolTicks) -> Iterator[Difference]:
    if ticks.doubled:
        yield Difference(
            kind="ticks.doubled",
            place=place,
            expected="each trade id once",
            found=f"{ticks.doubled} stored again under another time, the first is {ticks.doubled_example}",
            mend=_LOOK,
        )
    if ticks.watermark_ticks is None:
        yield Difference(
            kind="ticks.no-watermark",
            place=place,
            expected="a watermark, written with the ticks",
            found=f"{ticks.stored} ticks and none",
            mend=_LOOK,
        )
    else:
        if ticks.stored > ticks.watermark_ticks:
            yield Difference(
                kind="ticks.unaccounted",
                place=place,
                expected=f"{ticks.watermark_ticks} by the watermark",
                found=f"{ticks.stored} stored",
                mend=_LOOK,
            )
        elif ticks.stored < ticks.watermark_ticks:
            yield Difference(
                kind="ticks.missing",
                place=place,
                expected=f"{ticks.watermark_ticks} by the watermark",
                found=f"{ticks.stored} stored: {ticks.watermark_ticks - ticks.stored} are gone",
                mend="is it more than the retention policy dropped? " + _LOOK,
            )
        if ticks.stored and ticks.last_us > ticks.watermark_us:
            yield Difference(
                kind="ticks.beyond-watermark",
                place=place,
                expected=f"nothing after {ticks.watermark_us}",
                found=f"a tick at {ticks.last_us}",
                mend=_LOOK,
            )
    if ticks.late:
        yield Difference(
            kind="ticks.late",
            severity="note",
            place=place,
            expected="prints before their second is over",
            found=f"{ticks.late} came late: recorded, and in no bar",
        )
    # Where more numbers are missing than there are, they do not number trades one by one.
    if 0 < ticks.missing <= ticks.numbered:
        yield Difference(
            kind="ticks.gap",
            severity="note",
            place=place,
            expected="trade ids without a gap, where the venue numbers its trades so",
            found=f"{ticks.missing} numbers are missing among {ticks.numbered}, the first {ticks.missing_example}",
        )


def order_row(order: OrderFold) -> OrderRow:
    """The row that the journal's entries determine."""
    written, intent = order.written, order.written.intent
    return OrderRow(
        strategy=written.strategy,
        strategy_uid=written.strategy_uid,
        epoch=written.epoch,
        symbol=intent.symbol,
        side=intent.side,
        type=intent.type,
        time_in_force=intent.time_in_force,
        purpose=intent.purpose,
        position_id=intent.position_id,
        price=intent.price,
        lots=intent.lots,
        lot_size=written.lot_size,
        filled_lots=order.filled_lots,
        filled_notional=order.filled_notional,
        fees=order.fees,
        status=order.projected,
        breaks_policy=intent.breaks_policy,
        decided_us=intent.decided_us,
    )


def fill_row(entry: FillRecorded) -> FillRow:
    """The row that a journaled fill determines."""
    fill = entry.fill
    return FillRow(
        strategy=entry.strategy,
        client_order_id=fill.client_order_id,
        position_id=entry.position_id,
        purpose=entry.purpose,
        symbol=fill.symbol,
        side=fill.side,
        price=fill.price,
        lots=fill.lots,
        lot_size=entry.lot_size,
        fee=fill.fee,
        liquidity=fill.liquidity,
        time_us=fill.time_us,
        sequence=entry.sequence,
    )


def _rows(place: str, kind: str, expected: dict[Any, Any], found: dict[Any, Any]) -> Iterator[Difference]:
    for key, row in expected.items():
        other = found.get(key)
        if other is None:
            yield Difference(
                kind=f"{kind}-missing",
                place=f"{place} {key}",
                expected="a row, by the journal",
                found="none",
                mend=_AGAIN,
            )
            continue
        odd = [name for name in row.__struct_fields__ if getattr(row, name) != getattr(other, name)]
        if odd:
            yield Difference(
                kind=f"{kind}-at-odds",
                place=f"{place} {key}",
                expected=", ".join(f"{name} {getattr(row, name)}" for name in odd),
                found=", ".join(f"{name} {getattr(other, name)}" for name in odd),
                mend=_AGAIN,
            )
    for key in found.keys() - expected.keys():
        yield Difference(
            kind=f"{kind}-unknown",
            place=f"{place} {key}",
            expected="only rows that come from the journal",
            found="a row that does not",
            mend=_AGAIN,
        )


def _kind(entry: Any) -> str:
    return "an unreadable entry" if entry is None else str(entry.__struct_config__.tag)


def _text(entry: Any) -> str:
    text = msgspec.json.encode(entry).decode()
    return text if len(text) <= 400 else text[:400] + "..."
