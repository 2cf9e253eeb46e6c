"""What a slot makes of its process's end."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import pytest

from christmas.fleet.decide import Key, Kind
from christmas.fleet.launch import Launched
from christmas.fleet.process import ManagedProcess
from christmas.fleet.slot import Slot


@pytest.fixture
def launched(tmp_path: Path) -> Launched:
    log = tmp_path / "log"
    log.touch()
    return Launched(process=ManagedProcess([sys.executable], log=log, folder=tmp_path), log=log)


def ended(kind: Kind, launched: Launched, *codes: int) -> Slot:
    slot = Slot(Key(kind, "x"), random.Random(1))
    for code in codes:
        launched.process.started_at = time.monotonic()
        slot.started(launched, "digest")
        slot.exited(code, ended=False)
    return slot


def test_who_was_killed_may_be_resumed(launched: Launched) -> None:
    assert ended("runtime", launched, -9).may_be_resumed
    assert ended("gateway", launched, -9, -11).may_be_resumed
    assert ended("gateway", launched, *[-9] * 20).may_be_resumed
    assert not ended("gateway", launched, *[-9] * 21).may_be_resumed


def test_who_crashes_may_be_resumed_twice(launched: Launched) -> None:
    assert ended("gateway", launched, -11, -11).may_be_resumed
    assert not ended("gateway", launched, -11, -11, -11).may_be_resumed


def test_who_was_at_work_when_it_was_killed_starts_again_at_once(launched: Launched) -> None:
    slot = ended("gateway", launched, -9, -9)
    assert slot.failures == 2
    launched.process.started_at = time.monotonic()
    slot.started(launched, "digest")
    slot.was_ready = True
    slot.exited(-9, ended=False)
    assert slot.failures == 1
    slot.started(launched, "digest")
    slot.was_ready = True
    slot.exited(1, ended=False)
    assert slot.failures == 2, "it failed by itself"


@pytest.mark.parametrize("code", [0, 1, 3])
def test_who_failed_by_itself_may_not(launched: Launched, code: int) -> None:
    assert not ended("runtime", launched, code).may_be_resumed
    assert not ended("runtime", launched, -9, code).may_be_resumed


def test_a_store_that_was_killed_may_also_fail_to_start(launched: Launched) -> None:
    """What is left of the killed one may still be on its way down."""
    assert ended("store", launched, -9).may_be_resumed
    assert ended("store", launched, -9, 1, 1).may_be_resumed
    assert not ended("store", launched, -9, *[1] * 10).may_be_resumed
    assert not ended("store", launched, 1).may_be_resumed


def test_who_was_stopped_was_not_killed(launched: Launched) -> None:
    slot = Slot(Key("runtime", "x"), random.Random(1))
    slot.started(launched, "digest")
    slot.stopping("the fleet stops")
    slot.exited(-15, ended=False)
    assert not slot.may_be_resumed
    assert slot.failures == 0
