"""The work queue on a clock of its own."""

from __future__ import annotations

import asyncio

from christmas_operator.queue import FIRST_RETRY_S, LAST_RETRY_S, WorkQueue


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def queue(clock: Clock, maximum: int = 100) -> WorkQueue[str]:
    return WorkQueue(maximum=maximum, clock=clock, jitter=lambda: 1.0)


async def take(work: WorkQueue[str]) -> str | None:
    """The next that is due now; None: nothing is."""
    try:
        async with asyncio.timeout(0.01):
            return (await work.take()).key
    except TimeoutError:
        return None


async def test_each_is_in_it_once_and_in_order() -> None:
    work = queue(Clock())
    for key in ("a", "b", "a", "c", "b"):
        work.add(key)
    assert [await take(work) for _ in range(4)] == ["a", "b", "c", None]


async def test_what_happens_to_one_that_is_worked_on_is_worked_on_after() -> None:
    work = queue(Clock())
    work.add("a")
    assert await take(work) == "a"
    work.add("a")
    work.add("a", "resync")
    assert await take(work) is None
    work.done("a")
    assert work.depth("changed") == 1
    assert await take(work) == "a"
    work.done("a")
    assert await take(work) is None


async def test_failures_double_their_wait_up_to_a_bound_and_are_forgotten_on_success() -> None:
    clock = Clock()
    work = queue(clock)
    waits = [work.retry("a") for _ in range(12)]
    assert waits[:3] == [FIRST_RETRY_S, 2 * FIRST_RETRY_S, 4 * FIRST_RETRY_S]
    assert waits[-1] == LAST_RETRY_S
    assert await take(work) is None
    clock.now += FIRST_RETRY_S
    assert await take(work) == "a"
    work.forget_failures("a")
    assert work.failing == 0
    assert work.retry("a") == FIRST_RETRY_S


async def test_a_server_that_asks_for_patience_gets_it() -> None:
    work = queue(Clock())
    assert work.retry("a", at_least_s=7.0) == 7.0


async def test_the_sooner_of_two_times_counts() -> None:
    clock = Clock()
    work = queue(clock)
    work.add_after("a", 10)
    work.add_after("a", 5)
    work.add_after("a", 20)
    assert work.delayed == 1
    clock.now += 5
    assert await take(work) == "a"
    work.done("a")
    clock.now += 20
    assert await take(work) is None


async def test_changes_go_first_but_a_resync_is_not_starved() -> None:
    work = queue(Clock(), maximum=1000)
    for number in range(30):
        work.add(f"resync-{number}", "resync")
        work.add(f"changed-{number}")
    taken = [await take(work) for _ in range(27)]
    assert [key for key in taken if key and key.startswith("resync")] == ["resync-0", "resync-1", "resync-2"]
    assert taken[8] == "resync-0"


async def test_a_change_lifts_what_waits_for_a_resync() -> None:
    work = queue(Clock())
    for key in ("a", "b"):
        work.add(key, "resync")
    work.add("b")
    assert [await take(work), await take(work), await take(work)] == ["b", "a", None]


async def test_it_is_bounded_and_counts_what_it_does_not_take() -> None:
    work = queue(Clock(), maximum=2)
    assert [work.add(key) for key in ("a", "b", "c", "a")] == [True, True, False, True]
    assert work.dropped == 1


async def test_what_is_gone_is_forgotten() -> None:
    clock = Clock()
    work = queue(clock)
    work.retry("a")
    work.add("a")
    work.discard("a")
    clock.now += 100
    assert await take(work) is None
    assert (work.failing, work.delayed) == (0, 0)


async def test_a_waiting_worker_is_woken() -> None:
    work: WorkQueue[str] = WorkQueue(maximum=10)
    waiting = asyncio.create_task(work.take())
    await asyncio.sleep(0)
    work.add_after("a", 0.02)
    async with asyncio.timeout(2):
        taken = await waiting
    assert taken.key == "a"
