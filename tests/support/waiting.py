"""Patience instead of sleeps: wait until something holds, and say what it was when it never does."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    condition: Callable[[], Awaitable[T]], *, within_s: float = ..., every_s: float = ..., what: str = ...
) -> T: ...


@overload
async def eventually(
    condition: Callable[[], T], *, within_s: float = ..., every_s: float = ..., what: str = ...
) -> T: ...


async def eventually(
    condition: Callable[[], T] | Callable[[], Awaitable[T]],
    *,
    within_s: float = 30.0,
    every_s: float = 0.01,
    what: str = "",
) -> T:
    """The first truthy answer of ``condition`` (plain or awaitable), asked every ``every_s`` seconds.

    An AssertionError of the condition counts as "not yet". When ``within_s`` seconds have passed an
    AssertionError tells ``what`` never came true, and the last answer.
    """
    deadline = time.monotonic() + within_s
    while True:
        last: object
        try:
            answer = condition()
            result = await answer if inspect.isawaitable(answer) else answer
            if result:
                return result
            last = result
        except AssertionError as error:
            last = error
        if time.monotonic() >= deadline:
            name = what or getattr(condition, "__qualname__", "it")
            raise AssertionError(f"not within {within_s} s: {name} (last: {last!r})")
        await asyncio.sleep(every_s)


def eventually_sync(condition: Callable[[], T], *, within_s: float = 30.0, every_s: float = 0.02, what: str = "") -> T:
    """`eventually` for tests without an event loop."""
    deadline = time.monotonic() + within_s
    while True:
        last: object
        try:
            result = condition()
            if result:
                return result
            last = result
        except AssertionError as error:
            last = error
        if time.monotonic() >= deadline:
            name = what or getattr(condition, "__qualname__", "it")
            raise AssertionError(f"not within {within_s} s: {name} (last: {last!r})")
        time.sleep(every_s)
