"""The model notices: each fault that is put into the gateway here breaks an invariant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test

from christmas.brokers.gateway.book import Book
from christmas.brokers.gateway.desk import Desk
from christmas.brokers.gateway.fence import Admission, Fence
from christmas.brokers.gateway.journal import JournalFailed
from tests.model.machine import OrderLife

_place = Desk._place
_NOTICED = (AssertionError, JournalFailed, TimeoutError, ExceptionGroup)


def _sends_before_writing() -> AbstractContextManager[Any]:
    return mock.patch.object(Desk, "_place", lambda self, key, _written, moments: _place(self, key, None, moments))


def _takes_repetitions_for_new() -> AbstractContextManager[Any]:
    return mock.patch.object(Desk, "_is_repeated", return_value=False)


def _forgets_halts() -> AbstractContextManager[Any]:
    return mock.patch.object(Book, "halted", return_value=None)


def _lets_anybody_in() -> AbstractContextManager[Any]:
    def admit(_fence: Fence, *, epoch: int, instance: str) -> Admission:
        return Admission(fence=Fence(epoch=epoch, instance=instance))

    return mock.patch("christmas.brokers.gateway.server.admit", admit)


@pytest.mark.parametrize(
    "fault",
    [_sends_before_writing, _takes_repetitions_for_new, _forgets_halts, _lets_anybody_in],
)
@pytest.mark.timeout(120)
def test_a_fault_is_noticed(fault: Callable[[], AbstractContextManager[Any]]) -> None:
    with fault(), pytest.raises((*_NOTICED, Flaky)) as noticed:
        run_state_machine_as_test(
            OrderLife,
            settings=settings(
                max_examples=60,
                stateful_step_count=40,
                deadline=None,
                derandomize=True,
                database=None,
                phases=(Phase.generate,),
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
    # What was noticed is tried once more, and a thread that writes to disk may be faster then.
    assert any(isinstance(error, _NOTICED) for error in _chain(noticed.value))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
