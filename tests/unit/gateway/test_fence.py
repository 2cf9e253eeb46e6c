"""At most one process speaks for a strategy, and who has lost once stays refused."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from christmas.brokers.gateway.fence import Fence, admit


def test_the_same_process_comes_back() -> None:
    first = admit(Fence(), epoch=1, instance="a")
    again = admit(first.fence, epoch=1, instance="a")
    assert (again.refusal, again.supersedes) == (None, None)


def test_a_newer_instance_takes_over_for_good() -> None:
    fence = admit(admit(Fence(), epoch=1, instance="a").fence, epoch=1, instance="b").fence
    assert admit(fence, epoch=1, instance="a").refusal == "InstanceSuperseded"
    assert admit(fence, epoch=2, instance="a").refusal == "InstanceSuperseded"


def test_an_older_epoch_is_refused() -> None:
    fence = admit(Fence(), epoch=2, instance="b").fence
    assert admit(fence, epoch=1, instance="a").refusal == "EpochSuperseded"
    assert admit(fence, epoch=1, instance="b").refusal == "EpochSuperseded"


def test_a_newer_epoch_supersedes_the_older_instance() -> None:
    first = admit(Fence(), epoch=1, instance="a").fence
    newer = admit(first, epoch=2, instance="b")
    assert newer.supersedes == "EpochSuperseded"
    assert admit(newer.fence, epoch=1, instance="a").refusal == "EpochSuperseded"


@settings(max_examples=200)
@given(knocks=st.lists(st.tuples(st.integers(1, 4), st.sampled_from("abcd")), max_size=30))
def test_nobody_returns_after_another_was_let_in(knocks: list[tuple[int, str]]) -> None:
    fence = Fence()
    admitted: list[tuple[int, str]] = []
    for epoch, instance in knocks:
        admission = admit(fence, epoch=epoch, instance=instance)
        before = {name for _, name in admitted} - {fence.instance}
        if instance in before or epoch < fence.epoch:
            assert admission.refusal is not None
        else:
            assert admission.refusal is None
            admitted.append((epoch, instance))
        fence = admission.fence
    assert [epoch for epoch, _ in admitted] == sorted(epoch for epoch, _ in admitted)
