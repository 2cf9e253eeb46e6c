from __future__ import annotations

from pathlib import Path

import pytest

from christmas.fleet.adopt import adopt
from christmas.fleet.errors import FleetError
from christmas.fleet.replay import plan_replay, read_ended
from christmas.fleet.replay_id import replay_id
from tests.unit.resources.test_validate import BROKER, STRATEGY, with_spec


def test_it_is_a_function_of_what_goes_in(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"ticks")
    two.write_bytes(b"ticks")
    name = replay_id([BROKER, STRATEGY], [one], None)
    applied, _ = adopt(STRATEGY, None, uid="u", now="now")
    assert name == replay_id([applied, BROKER], [two], None)
    assert name != replay_id([BROKER, with_spec(timeframe="1s")], [one], None)
    assert name != replay_id([BROKER, STRATEGY], [one], "BTC/USDT")
    assert name != replay_id([BROKER, STRATEGY], [one, two], None)
    two.write_bytes(b"other")
    assert name != replay_id([BROKER, STRATEGY], [two], None)


def test_what_is_replayed(tmp_path: Path) -> None:
    replay = plan_replay(
        [STRATEGY, with_spec(state="Suspended")], [BROKER], [tmp_path / "f"], speed="max", symbol=None, until_end=True
    )
    assert replay.strategies == (STRATEGY,)
    assert replay.symbol == "BTC/USDT"


@pytest.mark.parametrize(
    ("strategy", "symbol", "words"),
    [
        (with_spec(state="Suspended"), None, "no Strategy runs"),
        (STRATEGY, "ETH/USDT", "no Strategy trades ETH/USDT"),
    ],
)
def test_what_cannot_be_replayed(strategy: object, symbol: str | None, words: str) -> None:
    with pytest.raises(FleetError, match=words):
        plan_replay([strategy], [BROKER], [], speed="max", symbol=symbol, until_end=True)  # type: ignore[list-item]


def test_a_gateway_that_did_not_end_is_told(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="end of its files"):
        read_ended(tmp_path / "ended.json")
