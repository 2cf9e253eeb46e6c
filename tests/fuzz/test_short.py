"""A short budget for each target; ``python -m tests.fuzz --minutes 10`` takes its time."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path

import pytest

from tests.fuzz.__main__ import fuzz
from tests.fuzz.mutate import mutations
from tests.fuzz.targets import TARGETS

SECONDS = 1.0


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found(name: str) -> None:
    target = TARGETS[name]
    deadline = time.monotonic() + SECONDS
    for executions, data in enumerate(mutations(target.seeds, target.words), start=1):
        target.run(data)
        if time.monotonic() > deadline and executions > len(target.seeds):
            break


def test_a_run_of_its_own_tells_what_it_did(tmp_path: Path) -> None:
    result = fuzz("rules", SECONDS, tmp_path)
    assert result["finding"] == ""
    assert result["executions"] > 0


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("manifests", b"apiVersion: 2024-13-45\n"),
        ("manifests", b"!!timestamp :"),
        ("manifests", b"a: &a [*a]\n"),
        ("manifests", b"\xc2\xa0\x1f"),
        ("manifests", b"? [1, 2]\n: x\n"),
        ("settings", b'{"name": "\x8d'),
        ("rows", b'1 {"e":"trade","T":1,"s":"\x8f"}'),
        ("rows", b"9" * 5_000 + b' {"e":"trade"}'),
        ("rows", "time,price,quantity\n²,1,1".encode()),
        ("rows", b"time,price,quantity\n1e99999,1,1"),
        ("files", b"time,price,quantity,trade_id\n1700000000,1,1," + b"7" * 5_000),
        ("files", "time,price,quantity,trade_id\n1700000000,1,1,²".encode()),
        ("session", TARGETS["session"].seeds[2]),
        ("session", TARGETS["session"].seeds[3]),
    ],
)
def test_what_was_found_once(name: str, data: bytes) -> None:
    TARGETS[name].run(data)


def test_mutations_are_the_same_each_time_and_begin_with_the_seeds() -> None:
    first, again = (list(islice(mutations([b"seed", b"x"], ["word"]), 50)) for _ in range(2))
    assert first == again
    assert first[:2] == [b"seed", b"x"]
    assert len(set(first)) > 30
