"""Journal entries folded into rows, and the watch over their sequence."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from christmas.execution.journal import (
    CancelWritten,
    FillRecorded,
    OrderChanged,
    OrderWritten,
    SessionChanged,
    SignalNoted,
)
from christmas.execution.order import CancelIntent, Fill, OrderIntent, OrderStatus
from christmas.ingestion.projection import OutOfSequenceError, project, split_known


def test_entries_become_rows() -> None:
    intent = OrderIntent(
        client_order_id="xa",
        symbol="BTC/USDT",
        side="buy",
        type="limit",
        lots=10,
        price=Decimal(5),
        purpose="entry",
        position_id="xa",
        decided_us=7,
    )
    fill = Fill(
        fill_id="f1",
        client_order_id="xa",
        symbol="BTC/USDT",
        side="buy",
        price=Decimal(5),
        lots=4,
        fee=Decimal("0.1"),
        liquidity="maker",
        time_us=8,
    )
    written = OrderWritten(
        sequence=1, time_us=7, wall_us=7, strategy="s", strategy_uid="u", epoch=1, intent=intent, lot_size=Decimal(1)
    )
    accepted, filled = (
        OrderChanged(
            sequence=sequence,
            time_us=8,
            wall_us=8,
            strategy="s",
            client_order_id="xa",
            status=status,
            filled_lots=0,
            leaves_lots=10,
            venue_order_id=venue_order_id,
        )
        for sequence, status, venue_order_id in (
            (2, OrderStatus.ACCEPTED, "v1"),
            (4, OrderStatus.PARTIALLY_FILLED, ""),
        )
    )
    recorded = FillRecorded(
        sequence=3,
        time_us=8,
        wall_us=8,
        strategy="s",
        position_id="xa",
        purpose="entry",
        lot_size=Decimal(1),
        fill=fill,
    )
    first, second = (
        CancelWritten(
            sequence=sequence,
            time_us=9,
            wall_us=9,
            strategy="s",
            intent=CancelIntent(client_order_id="xa", decided_us=9, reason=reason),
        )
        for sequence, reason in ((5, "suspended"), (6, "again"))
    )
    signal = SignalNoted(
        sequence=7, time_us=9, wall_us=9, strategy="s", symbol="BTC/USDT", signal="entry", taken=False, reason="full"
    )
    session = SessionChanged(
        sequence=8, time_us=9, wall_us=9, strategy="s", strategy_uid="u", epoch=1, instance="i", state="opened"
    )

    rows = project([written, accepted, recorded, filled, first, second, signal, session])

    assert rows.orders == [written]
    assert rows.changes == {"xa": msgspec.structs.replace(filled, venue_order_id="v1")}
    assert rows.fills == [recorded]
    assert rows.filled_orders == ["xa"]
    assert rows.cancels == {"xa": first}
    assert rows.signals == [signal]


@given(st.integers(0, 50), st.integers(0, 10), st.integers(0, 20))
def test_a_run_that_continues_is_split_at_the_watermark(watermark: int, known: int, new: int) -> None:
    known = min(known, watermark)
    sequences = list(range(watermark - known + 1, watermark + new + 1))
    assert split_known(sequences, watermark) == known


@given(st.integers(0, 50), st.integers(2, 20), st.data())
def test_a_missing_entry_is_never_skipped(watermark: int, new: int, data: st.DataObject) -> None:
    sequences = list(range(watermark + 1, watermark + new + 1))
    missing = data.draw(st.sampled_from(sequences[:-1]))
    sequences.remove(missing)
    with pytest.raises(OutOfSequenceError, match=f"entry {missing} of the journal is missing"):
        split_known(sequences, watermark)
