"""Conversations with gateways, beside the work on objects: a gateway that is silent holds nobody up.

What a gateway tells is kept by Broker and by Strategy; whoever asked is looked at again when there is news.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from christmas.brokers.admin import AdminError, CommandName, Exposure, GatewayRefusedError, command, exposure
from christmas_operator import metrics
from christmas_operator.keys import Key
from christmas_operator.strategies.observed import GatewayWord

logger = logging.getLogger(__name__)

_ASK_EVERY_S: Final = 2.0
_ASK_WITHIN_S: Final = 5.0
_FRESH_FOR_S: Final = 5.0
_COMMAND_WITHIN_S: Final = 15.0
_RETRY_FIRST_S: Final = 1.0
_RETRY_LAST_S: Final = 15.0
_TRIED_ONCE: Final = frozenset({"hold", "release"})
_AT_ONCE: Final = 4
"""Commands to one gateway: it has the trading to do as well."""


class Place(NamedTuple):
    """Where a Broker's gateway is, and the key that opens it."""

    address: str
    key: bytes


Resolve = Callable[[Key], Awaitable[Place | None]]
"""None: there is no such gateway."""


class _Command(NamedTuple):
    name: CommandName
    epoch: int


class _Talk:
    """What is known of one Broker's gateway."""

    def __init__(self) -> None:
        self.exposure: Exposure | None = None
        self.asked = self.answered = 0
        """Questions are numbered: two may be on their way at one time."""
        self.asked_at = float("-inf")
        self.silent = ""
        self.interested: set[Key] = set()
        self.poller: asyncio.Task[None] | None = None
        self.slots = asyncio.Semaphore(_AT_ONCE)


class Gateways:
    def __init__(self, resolve: Resolve, wake: Callable[[Key], object]) -> None:
        """``wake``: look at a resource again."""
        self._resolve = resolve
        self._wake = wake
        self._talks: dict[Key, _Talk] = {}
        self._done: dict[Key, set[_Command]] = {}
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._silent: dict[Key, str] = {}

    def word(self, strategy: Key, broker: Key, epoch: int) -> GatewayWord:
        """What the Broker's gateway has told about a Strategy in its present epoch."""
        done = frozenset(item.name for item in self._done.get(strategy, ()) if item.epoch == epoch)
        talk = self._talks.get(broker)
        silent = self._silent.get(strategy, "") or (talk.silent if talk is not None else "")
        if talk is None or talk.exposure is None or time.monotonic() - talk.asked_at > _FRESH_FOR_S:
            return GatewayWord(silent=silent, done=done)
        found = talk.exposure
        return GatewayWord(
            flat=strategy.name not in found.strategies,
            held=strategy.name in found.holds,
            halted=found.halts.get("", "") or found.halts.get(strategy.name, ""),
            account_halted="" in found.halts,
            blocked=found.blocked or "",
            feed_silent=found.feed_silent or "",
            silent=silent,
            done=done,
        )

    def blocked(self, broker: Key) -> str:
        talk = self._talks.get(broker)
        return (talk.exposure.blocked or "") if talk is not None and talk.exposure is not None else ""

    def feed_silent(self, broker: Key) -> str:
        talk = self._talks.get(broker)
        return (talk.exposure.feed_silent or "") if talk is not None and talk.exposure is not None else ""

    def ask(self, key: Key, broker: Key) -> None:
        """Keep asking who is flat for ``key``, until `no_longer`."""
        talk = self._talks.setdefault(broker, _Talk())
        talk.interested.add(key)
        if talk.poller is None or talk.poller.done():
            talk.poller = asyncio.create_task(self._poll(broker, talk), name=f"exposure of {broker}")

    def no_longer(self, key: Key, broker: Key) -> None:
        talk = self._talks.get(broker)
        if talk is not None:
            talk.interested.discard(key)

    def tell(self, strategy: Key, broker: Key, name: CommandName, epoch: int, reason: str) -> None:
        """Have a command carried out, however often it takes; only one at a time for a Strategy.

        A hold and its release are tried once: whether they are wanted still is decided anew each time, by what the
        gateway then says of itself.
        """
        running = self._running.get(strategy)
        if running is not None and not running.done():
            return
        wanted = _Command(name, epoch)
        if wanted in self._done.get(strategy, ()):
            return
        task = asyncio.create_task(self._carry_out(strategy, broker, wanted, reason), name=f"{name} of {strategy}")
        self._running[strategy] = task

    def forget(self, key: Key) -> None:
        """The resource is gone."""
        task = self._running.pop(key, None)
        if task is not None:
            task.cancel()
        self._done.pop(key, None)
        self._silent.pop(key, None)
        talk = self._talks.pop(key, None)
        if talk is not None and talk.poller is not None:
            talk.poller.cancel()
        for other in self._talks.values():
            other.interested.discard(key)

    async def close(self) -> None:
        tasks = [*self._running.values(), *(talk.poller for talk in self._talks.values() if talk.poller is not None)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry_out(self, strategy: Key, broker: Key, wanted: _Command, reason: str) -> None:
        wait = _RETRY_FIRST_S
        while True:
            problem = await self._try(strategy, broker, wanted, reason)
            if wanted.name in _TRIED_ONCE:
                await self._tried(strategy, broker, problem)
                return
            if problem is None:
                kept = {item for item in self._done.get(strategy, set()) if item.epoch == wanted.epoch}
                # The opposite of what was done before must be able to be done again.
                self._done[strategy] = {wanted} if wanted.name == "resume" else kept | {wanted}
                self._silent.pop(strategy, None)
                self._wake(strategy)
                return
            if self._silent.get(strategy) != problem:
                self._silent[strategy] = problem
                self._wake(strategy)
            await asyncio.sleep(wait * random.uniform(0.7, 1.0))
            wait = min(_RETRY_LAST_S, wait * 2)
            if self._running.get(strategy) is not asyncio.current_task():
                return

    async def _tried(self, strategy: Key, broker: Key, problem: str | None) -> None:
        if problem is None:
            # What was known of it is out of date, and deciding by it would tell the gateway the same again.
            await self._refresh(broker, self._talks.setdefault(broker, _Talk()))
            self._silent.pop(strategy, None)
        elif self._silent.get(strategy) != problem:
            self._silent[strategy] = problem
        else:
            return
        self._running.pop(strategy, None)
        self._wake(strategy)

    async def _try(self, strategy: Key, broker: Key, wanted: _Command, reason: str) -> str | None:
        """None: done. Otherwise why not."""
        talk = self._talks.setdefault(broker, _Talk())
        try:
            place = await self._resolve(broker)
            if place is None:
                return f"Broker {broker.name} has no gateway"
            async with talk.slots:
                result = await command(
                    place.address,
                    place.key,
                    broker=broker.name,
                    action=wanted.name,
                    strategy=strategy.name,
                    reason=reason,
                    within_s=_COMMAND_WITHIN_S,
                )
        except AdminError as error:
            outcome = "refused" if isinstance(error, GatewayRefusedError) else "silent"
            metrics.GATEWAY.labels(wanted.name, outcome).inc()
            return str(error)
        metrics.GATEWAY.labels(wanted.name, "done" if result.ok else "failed").inc()
        return None if result.ok else result.message

    async def _poll(self, broker: Key, talk: _Talk) -> None:
        while talk.interested:
            before, was_silent = talk.exposure, talk.silent
            await self._refresh(broker, talk)
            for key in _whom_it_concerns(talk, before, was_silent):
                self._wake(key)
            await asyncio.sleep(_ASK_EVERY_S * random.uniform(0.9, 1.1))

    async def _refresh(self, broker: Key, talk: _Talk) -> None:
        talk.asked += 1
        number = talk.asked
        found: Exposure | None = None
        silent = ""
        try:
            place = await self._resolve(broker)
            if place is None:
                raise GatewayRefusedError(f"Broker {broker.name} has no gateway")
            found = await exposure(place.address, place.key, broker=broker.name, within_s=_ASK_WITHIN_S)
            metrics.GATEWAY.labels("exposure", "done").inc()
        except AdminError as error:
            silent = str(error)
            metrics.GATEWAY.labels("exposure", "silent").inc()
        if number < talk.answered:
            # An answer to a later question has come before.
            return
        talk.answered, talk.exposure, talk.silent = number, found, silent
        talk.asked_at = time.monotonic()


def _whom_it_concerns(talk: _Talk, before: Exposure | None, was_silent: str) -> list[Key]:
    """Those for whom the answer is another than the last, and those who wait for being flat and are."""
    now = talk.exposure
    if now is None or before is None or was_silent:
        return list(talk.interested) if (now is None) != (before is None) or talk.silent != was_silent else []
    everybody = (now.blocked, now.feed_silent, now.halts.get("")) != (
        before.blocked,
        before.feed_silent,
        before.halts.get(""),
    )
    return [
        key
        for key in talk.interested
        if everybody
        or (key.kind == "Strategy" and key.name not in now.strategies)
        or now.halts.get(key.name) != before.halts.get(key.name)
        or (key.name in now.holds) != (key.name in before.holds)
    ]
