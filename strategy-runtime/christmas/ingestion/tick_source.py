"""The ticks of one market out of Redis, in as many round trips as there are pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from christmas.ingestion.set_cursor import SetCursor
from christmas.ingestion.stored_tick import StoredTick
from christmas.market.stream import CLOCK_FIELD, stream_key
from christmas.market.tick import ticks_key
from christmas.market.wire import Command, Wire
from christmas.telemetry.unreadable import UNREADABLE

_DEADLINE_S: Final = 15.0
_SMALLEST_PAGE: Final = 100

_one: Final = msgspec.json.Decoder(StoredTick)
_many: Final = msgspec.json.Decoder(list[StoredTick])


class Unreadable(msgspec.Struct, frozen=True):
    """A member of a set that is no tick."""

    symbol: str
    member: bytes
    reason: str


class Page(msgspec.Struct, kw_only=True):
    """What one round trip brought."""

    ticks: dict[str, list[StoredTick]]
    """By symbol; each in the order of its set, some perhaps given before."""
    unreadable: list[Unreadable]
    settled_us: dict[str, int]
    """By symbol: every tick of the set up to this time has been given, in this page or before."""
    at_end: bool
    """Whether nothing more waits in any of the sets."""


class TickSource:
    """Reads the sets of ``symbols``; one object for one life of a recorder's connection."""

    def __init__(self, redis: Redis, market: str, symbols: Sequence[str], *, page: int = 5_000) -> None:
        """Connects as ``redis`` does. ``page``: about how many ticks to ask for in one round trip, over all symbols."""
        self._wire = Wire(redis, deadline_s=_DEADLINE_S)
        self._stream = stream_key(market)
        self._keys = {symbol: ticks_key(market, symbol) for symbol in symbols}
        share = max(_SMALLEST_PAGE, page // max(1, len(symbols)))
        self._cursors = {symbol: SetCursor(page=share, remembered=4 * share) for symbol in symbols}

    @property
    def full_reads(self) -> int:
        """How often a whole set was read, the first time of each symbol included."""
        return sum(cursor.full_reads for cursor in self._cursors.values())

    async def close(self) -> None:
        await self._wire.close()

    async def read(self) -> Page:
        """The next page of every symbol, taken in one transaction.

        Raises one of `christmas.market.wire.UNAVAILABLE`; the same page can be asked for again then.
        """
        commands: list[Command] = []
        for symbol, cursor in self._cursors.items():
            request = cursor.request()
            span = (
                (request.high, request.low, "BYSCORE", "REV")
                if request.newest
                else (request.low, request.high, "BYSCORE")
            )
            commands.append(("HGET", self._stream, symbol))
            commands.append(("ZRANGE", self._keys[symbol], *span, "LIMIT", 0, request.limit))
        commands.append(("HGET", self._stream, CLOCK_FIELD))
        if not self._wire.is_open:
            await self._wire.open()
        replies = await self._wire.transact(commands)
        page = Page(ticks={}, unreadable=[], settled_us={}, at_end=True)
        for index, (symbol, cursor) in enumerate(self._cursors.items()):
            sequence, members = replies[2 * index : 2 * index + 2]
            if not isinstance(members, list):
                raise ResponseError(f"ZRANGE answered {members!r}")
            if cursor.request().newest:
                members.reverse()
            self._take(symbol, cursor, _number(sequence), members, page)
        if page.at_end:
            # Whatever comes now and belongs before the clock is late, and is counted as such: a market that has
            # fallen silent (or has ended) is settled up to there.
            silent_us = _number(replies[-1]) - 1
            page.settled_us = {symbol: max(at_us, silent_us) for symbol, at_us in page.settled_us.items()}
        return page

    def _take(self, symbol: str, cursor: SetCursor, sequence: int, members: list[bytes], page: Page) -> None:
        ticks, unreadable = decode_members(symbol, members)
        if unreadable:
            bad = {item.member for item in unreadable}
            members = [member for member in members if member not in bad]
            page.unreadable += unreadable
        given = cursor.take(sequence, members, [tick.time_us for tick in ticks])
        if given:
            page.ticks[symbol] = (
                ticks if len(given) == len(members) and given == members else decode_members(symbol, given)[0]
            )
        if cursor.settled_us is not None:
            page.settled_us[symbol] = cursor.settled_us
        page.at_end = page.at_end and cursor.at_end


def _number(reply: object) -> int:
    return int(reply) if isinstance(reply, bytes) else 0


def decode_members(symbol: str, members: Sequence[bytes]) -> tuple[list[StoredTick], list[Unreadable]]:
    """The members as ticks, in order, and apart from them those that are none."""
    try:
        # One call for all of them costs less than a call each.
        return _many.decode(b"[" + b",".join(members) + b"]"), []
    except (*UNREADABLE, ValueError):
        pass
    ticks: list[StoredTick] = []
    unreadable: list[Unreadable] = []
    for member in members:
        try:
            ticks.append(_one.decode(member))
        except (*UNREADABLE, ValueError) as error:
            unreadable.append(Unreadable(symbol, member, str(error)))
    return ticks, unreadable
