"""Reading from the sets what the doorbells did not tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from christmas.market.stored import as_stored
from christmas.market.stream import Message, StreamState, parse_stream, stream_key
from christmas.market.tick import MICROSECONDS_PER_SECOND, ClockAdvance, Tick, TickBatch, ticks_key
from christmas.market.trade_order import trade_key
from christmas.market.wire import Command, Wire

_LARGEST_PAGE: Final = 1_000_000


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Ticks of several symbols by (time, trade id), complete up to a point in time."""

    ticks: list[Tick]
    state: StreamState
    """The stream's position; of the same moment as the ticks."""
    unreadable: dict[str, list[bytes]]
    """By symbol: members of its set that are no ticks of it. A page may repeat those of the one before."""
    next_us: int | None
    """From where to go on; None: these were the last."""


async def read_page(wire: Wire, market: str, from_us: Mapping[str, int], size: int) -> Page:
    """The next ticks of each symbol from its time on, about ``size`` a symbol.

    Sets and position are read in one transaction, so when ``next_us`` is None the ticks are exactly those
    of the stream up to the position.
    """
    while True:
        commands: list[Command] = [("HGETALL", stream_key(market))]
        commands += [
            ("ZRANGE", ticks_key(market, symbol), since_us, "+inf", "BYSCORE", "LIMIT", 0, size, "WITHSCORES")
            for symbol, since_us in from_us.items()
        ]
        fields, *sets = await wire.transact(commands)
        ticks: list[Tick] = []
        unreadable: dict[str, list[bytes]] = {}
        horizon_us: int | None = None
        for symbol, answer in zip(from_us, sets, strict=True):
            if not isinstance(answer, list):
                continue
            part = as_stored(symbol, zip(answer[::2], answer[1::2], strict=True))
            ticks += part.ticks
            if part.unreadable:
                unreadable[symbol] = part.unreadable
            if len(answer) == 2 * size and part.last_us is not None:
                # The page may end amid ticks of the same time: what it surely has lies before.
                horizon_us = part.last_us if horizon_us is None else min(horizon_us, part.last_us)
        if horizon_us is not None:
            if horizon_us <= min(from_us.values()) and size < _LARGEST_PAGE:
                size *= 4
                continue
            ticks = [tick for tick in ticks if tick.time_us < horizon_us]
        ticks.sort(key=_order)
        return Page(ticks=ticks, unreadable=unreadable, state=parse_stream(fields), next_us=horizon_us)


async def read_remaining(wire: Wire, market: str, from_us: Mapping[str, int]) -> tuple[StreamState, dict[str, int]]:
    """The stream's position, and by symbol how many ticks there are from a time on; of one moment."""
    commands: list[Command] = [("HGETALL", stream_key(market))]
    commands += [("ZCOUNT", ticks_key(market, symbol), since_us, "+inf") for symbol, since_us in from_us.items()]
    fields, *counts = await wire.transact(commands)
    return parse_stream(fields), {
        symbol: count if isinstance(count, int) else 0 for symbol, count in zip(from_us, counts, strict=True)
    }


def as_messages(ticks: Sequence[Tick], sequences: Mapping[str, int], clock_us: int) -> Iterable[Message]:
    """Ordered ticks as the gateway would have published them: in runs of a symbol, behind the clocks they imply.

    ``sequences`` are those before the ticks, ``clock_us`` the clock that has been told already.
    """
    reached = dict(sequences)
    run: list[Tick] = []
    for tick in ticks:
        second_us = tick.time_us - tick.time_us % MICROSECONDS_PER_SECOND
        advances = second_us > clock_us and not tick.late
        if run and (advances or tick.symbol != run[0].symbol):
            yield _batch(run, reached)
            run = []
        if advances:
            clock_us = second_us
            yield ClockAdvance(time_us=clock_us)
        run.append(tick)
    if run:
        yield _batch(run, reached)


def _batch(run: list[Tick], reached: dict[str, int]) -> TickBatch:
    symbol = run[0].symbol
    reached[symbol] = reached.get(symbol, 0) + len(run)
    return TickBatch(sequence=reached[symbol], ticks=tuple(run))


def _order(tick: Tick) -> tuple[int, tuple[int, int, str], str]:
    return (tick.time_us, trade_key(tick.trade_id), tick.symbol)
