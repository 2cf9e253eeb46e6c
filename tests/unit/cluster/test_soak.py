"""The plan of a soak, and what it judges by."""

from __future__ import annotations

import itertools

import pytest

from tests.cluster.soak.plan import REFUSED, Wish, disturbances, steady, steps
from tests.cluster.soak.trend import Point, trend

LIMIT = 12


def test_a_seed_is_one_plan() -> None:
    first, again = (list(itertools.islice(steps(7, LIMIT), 300)) for _ in range(2))
    assert first == again
    assert first != list(itertools.islice(steps(8, LIMIT), 300))
    assert disturbances(7, 60) == disturbances(7, 60)


@pytest.mark.parametrize("seed", range(5))
def test_a_plan_never_touches_what_is_not_there_and_keeps_to_its_limit(seed: int) -> None:
    alive: dict[str, Wish] = {}
    seen: set[str] = set()
    refused = ""
    for step in itertools.islice(steps(seed, LIMIT), 1500):
        name, what = step.wish.name, step.what
        assert not refused or (what, name) == ("create", refused), "what was refused is mended next"
        refused = name if what == "refuse" else ""
        if what == "refuse":
            assert 0 <= step.refusal < len(REFUSED)
        elif what == "delete":
            assert alive.pop(name) == step.wish
        elif what == "create":
            assert name not in alive
            alive[name] = step.wish
        elif what == "spoil" and name not in alive:
            alive[name] = step.wish
        else:
            before = alive[name]
            assert before.name == name
            assert (what, before.state) != ("resume", "Running")
            assert (what, before.state) != ("suspend", "Suspended")
            assert step.wish.fault != "broker" or what == "change", "a Broker changes only while suspended"
            alive[name] = step.wish
        seen.add(what)
        assert len(alive) + len(steady()) <= LIMIT
    assert len(seen) == 10
    assert len(alive) > LIMIT * 0.5


def test_processes_are_killed_only_at_the_beginning_and_at_the_end() -> None:
    for one in disturbances(3, 60):
        assert not 0.2 * 3600 < one.at_s < 0.8 * 3600
        assert one.at_s < 3600


def test_a_leak_is_told_from_noise_and_from_another_process() -> None:
    noise = [0.3, -0.2, 0.1, -0.4, 0.2, 0.0, -0.1]
    level = [Point(60.0 * i, 50 + noise[i % 7], "1") for i in range(40)]
    leak = [Point(60.0 * i, 50 + i * 0.5 + noise[i % 7], "1") for i in range(40)]
    assert not trend(level, allowed_per_hour=5).grows
    found = trend(leak, allowed_per_hour=5)
    assert found.grows
    assert found.per_hour == pytest.approx(30, rel=0.1)
    assert not trend(leak, allowed_per_hour=40).grows
    # Each restart begins at a higher level: that is no growth of any process.
    restarted = [Point(60.0 * i, 50 + 10 * (i // 20) + noise[i % 7], str(i // 20)) for i in range(40)]
    assert not trend(restarted, allowed_per_hour=5).grows
    assert not trend(leak[:8], allowed_per_hour=5).known
