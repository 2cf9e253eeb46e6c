from __future__ import annotations

from decimal import Decimal

import pytest
import yaml

from christmas.cli.logs import format_line
from christmas.cli.output import Table, as_json, as_yaml, render, span
from christmas.cli.statistics import money, percent, win_rate
from christmas.telemetry.status import PositionStatus, RuntimeStatus

TABLE = Table(("NAME", "N", "WHY"), [("a", "10", "x"), ("longer", "9", "")], wide=frozenset({2}), right=frozenset({1}))


def test_a_pipe_gets_plain_aligned_columns() -> None:
    assert render(TABLE, colour=False) == "NAME      N\na        10\nlonger    9"
    assert render(TABLE, wide=True, colour=False).splitlines()[1] == "a        10   x"
    assert "\x1b" in render(TABLE, colour=True)


def test_decimals_are_text_in_json_and_yaml() -> None:
    data = {"pnl": Decimal("0.10"), "n": 1}
    assert as_json(data) == '{\n  "pnl": "0.10",\n  "n": 1\n}'
    assert yaml.safe_load(as_yaml(data)) == {"pnl": "0.10", "n": 1}


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (119, "119s"), (121, "2m"), (3700, "1h1m"), (90_000, "1d1h")])
def test_spans(seconds: int, text: str) -> None:
    assert span(seconds) == text


def position(pnl: str) -> PositionStatus:
    return PositionStatus(
        position_id="p",
        symbol="BTC/USDT",
        quantity=Decimal(1),
        average_price=Decimal(1),
        break_even_price=Decimal(1),
        unrealised_pnl=Decimal(pnl),
        opened_us=0,
    )


def status(closed: int, wins: int, *pnls: str) -> RuntimeStatus:
    return RuntimeStatus(
        strategy="s",
        epoch=1,
        time_us=1,
        state="Waiting",
        why="",
        closed_trades=closed,
        winning_trades=wins,
        positions=tuple(position(pnl) for pnl in pnls),
    )


def test_a_win_rate_never_stands_alone() -> None:
    # anchors/trading.md: 38 of 38 closed at a profit, five held at a loss: at least 92 %, 38/43 = 88 % marked.
    assert win_rate(status(38, 38, *["-181"] * 5)) == "100% of 38 (>=92.4%), mtm 88%, 5 open"
    assert win_rate(status(0, 0)) == "no trade yet"
    assert win_rate(status(0, 0, "1", "-1")) == "none closed, mtm 50%, 2 open"
    assert win_rate(status(4, 2)) == "50% of 4 (>=9.8%), mtm 50%, 0 open"


def test_amounts() -> None:
    assert [money(Decimal(text)) for text in ("0", "1234.5", "-0.00123")] == ["0", "+1234.50", "-0.00123"]
    assert (percent(None), percent(Decimal("0.9241"))) == ("-", "92.4%")


def test_log_lines_for_a_person() -> None:
    line = '{"time":"2026-01-01T10:11:12.345+00:00","level":"warning","message":"late","by":3,"logger":"x"}'
    shown = format_line(line)
    assert "10:11:12.345" in shown
    assert "late" in shown
    assert "by=3" in shown
    assert format_line("plain text") == "plain text"
