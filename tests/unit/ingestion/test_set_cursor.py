"""Reading a growing sorted set completely, against a model of Redis."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from christmas.ingestion.set_cursor import Request, SetCursor


class ModelSet:
    """A sorted set with the count of what was ever added to it."""

    def __init__(self) -> None:
        self.members: dict[bytes, int] = {}
        self.sequence = 0

    def add(self, time_us: int) -> bytes:
        self.sequence += 1
        member = b"%06d" % self.sequence
        self.members[member] = time_us
        return member

    def trim(self, before_us: int) -> None:
        self.members = {member: time for member, time in self.members.items() if time >= before_us}

    def answer(self, request: Request) -> tuple[int, list[bytes], list[int]]:
        low, high = float(request.low), float(request.high)
        found = sorted((time, member) for member, time in self.members.items() if low <= time <= high)
        if request.limit >= 0:
            found = found[-request.limit :] if request.newest else found[: request.limit]
        return self.sequence, [member for _, member in found], [time for time, _ in found]


def step(cursor: SetCursor, model: ModelSet) -> list[bytes]:
    return cursor.take(*model.answer(cursor.request()))


def read_to_end(cursor: SetCursor, model: ModelSet, most: int = 10_000) -> list[bytes]:
    given_out: list[bytes] = []
    for _ in range(most):
        given_out += step(cursor, model)
        if cursor.at_end:
            return given_out
    raise AssertionError("the cursor never came to an end")


# What happens between two reads: ticks with these offsets from the newest (0: the same time, negative: late).
growth = st.lists(st.integers(-30, 5), max_size=12)


@given(st.lists(growth, max_size=30), st.integers(1, 4), st.booleans())
@settings(max_examples=200)
def test_every_tick_is_given_whatever_comes_between_the_reads(steps: list[list[int]], page: int, old: bool) -> None:
    model, now = ModelSet(), 1_000
    if old:
        for index in range(23):
            model.add(900 + index // 3)
    cursor = SetCursor(page=page, remembered=8)
    given_out: list[bytes] = []
    settled = -1
    for offsets in steps:
        for offset in offsets:
            model.add(now + offset)
            now = max(now, now + offset)
        given_out += step(cursor, model)
        if cursor.settled_us is not None and cursor.at_end:
            settled = cursor.settled_us
            assert {member for member, time in model.members.items() if time <= settled} <= set(given_out)
    given_out += read_to_end(cursor, model)
    assert set(given_out) == set(model.members)


@given(st.integers(1, 40), st.integers(1, 4))
@settings(max_examples=50)
def test_many_ticks_of_one_moment_do_not_stop_it(count: int, page: int) -> None:
    model = ModelSet()
    for _ in range(count):
        model.add(5)
    cursor = SetCursor(page=page, remembered=100)
    assert set(read_to_end(cursor, model)) == set(model.members)


def test_in_order_growth_is_read_once_and_only_the_new_part() -> None:
    model = ModelSet()
    for time in range(1_000):
        model.add(time)
    cursor = SetCursor(page=100)
    assert len(read_to_end(cursor, model)) == 1_000
    for time in range(1_000, 1_050):
        model.add(time)
    assert len(step(cursor, model)) == 50
    assert cursor.at_end
    assert cursor.settled_us == 1_049
    assert step(cursor, model) == []
    assert cursor.full_reads == 1


def test_a_late_tick_within_memory_costs_no_second_full_read() -> None:
    model = ModelSet()
    for time in range(0, 1_000, 2):
        model.add(time)
    cursor = SetCursor(page=400)
    read_to_end(cursor, model)
    late = model.add(951)
    assert read_to_end(cursor, model) == [late]
    assert cursor.full_reads == 1


def test_trimming_what_was_read_changes_nothing() -> None:
    model = ModelSet()
    for time in range(500):
        model.add(time)
    cursor = SetCursor(page=50)
    read_to_end(cursor, model)
    model.trim(400)
    new = model.add(501)
    assert read_to_end(cursor, model) == [new]


def test_a_stream_that_begins_again_is_read_from_its_beginning() -> None:
    model = ModelSet()
    for time in range(100):
        model.add(time)
    cursor = SetCursor(page=50)
    read_to_end(cursor, model)
    fresh = ModelSet()
    fresh.add(7)
    given_out = read_to_end(cursor, fresh)
    given_out += read_to_end(cursor, fresh)
    assert set(fresh.members) <= set(given_out)
