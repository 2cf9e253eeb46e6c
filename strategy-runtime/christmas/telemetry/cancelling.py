"""Ending tasks for certain."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

logger = logging.getLogger(__name__)

_AGAIN_AFTER_S: Final = 0.1


async def end(*tasks: asyncio.Task[Any], within_s: float = 5.0) -> None:
    """Cancel ``tasks`` and return when they have ended, or after ``within_s`` seconds.

    One `cancel` is not enough: ``asyncio.wait_for`` of Python 3.11 loses it when what it waits for ends in the same
    turn of the loop, and the Redis client sends every command through it. A task that goes on in a loop would then
    never end. What a task raised is not raised here.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    pending = set(tasks)
    while pending and (left_s := deadline - loop.time()) > 0:
        for task in pending:
            task.cancel()
        done, pending = await asyncio.wait(pending, timeout=min(_AGAIN_AFTER_S, left_s))
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                logger.debug("a task that was to end had failed", extra={"task": task.get_name(), "error": str(error)})
    for task in pending:
        logger.error("a task has not ended in time", extra={"task": task.get_name(), "within_s": within_s})
