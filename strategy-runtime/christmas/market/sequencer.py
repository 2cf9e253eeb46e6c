"""Turns prints as they arrive into the one totally ordered stream of a market.

Pure: no clock, no I/O. The rule that makes bars the same live and from history: before a tick at or after
a whole second k is published, the clock has been advanced to k; a tick before the clock is marked late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from christmas.market.instrument import Instrument
from christmas.market.quality import Duplicate, QualityLimits, Reason, Refusal, SymbolJudge
from christmas.market.raw import FeedTick
from christmas.market.stream import Message, Quarantined, StreamState
from christmas.market.tick import MICROSECONDS_PER_SECOND, ClockAdvance, Tick, TickBatch

_encode = msgspec.json.Encoder().encode


class Sequenced(msgspec.Struct, kw_only=True):
    """What came of some prints: the messages in the order in which to publish them, and the rest."""

    messages: list[Message]
    quarantined: list[Quarantined]
    accepted: int
    duplicates: int
    late: int
    """Of the accepted."""


class Sequencer:
    """The only authority on a market's time and on the sequences of its ticks.

    Ticks keep the order of their arrival over all symbols: a batch is a run of ticks of one symbol within
    one second.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        limits: QualityLimits | None = None,
        state: StreamState | None = None,
    ) -> None:
        """``state``: where the stream stood when an earlier sequencer stopped (`TickWriter.load_state`)."""
        limits = limits or QualityLimits()
        state = state or StreamState()
        self._judges = {
            symbol: SymbolJudge(instrument, limits, state.recent.get(symbol, ()), state.known_from_us.get(symbol, 0))
            for symbol, instrument in instruments.items()
        }
        self._sequences = {symbol: state.sequences.get(symbol, 0) for symbol in instruments}
        self._clock_us = state.clock_us
        self._refused_before = Counter(map(_encode, state.refused_prints))

    @property
    def clock_us(self) -> int:
        """The market's clock: the whole second that was last announced."""
        return self._clock_us

    @property
    def sequences(self) -> dict[str, int]:
        """By symbol: the sequence of its last tick."""
        return dict(self._sequences)

    def last_price(self, symbol: str) -> Decimal | None:
        """Of the newest tick of the symbol; None before the first."""
        return self._judges[symbol].last_price

    def accept(self, prints: Sequence[FeedTick], *, received_us: int = 0, now_us: int | None = None) -> Sequenced:
        """Judge and order prints that arrived together.

        ``received_us``: the receiver's clock, noted on quarantined prints. ``now_us``: the estimated market
        time (`SkewEstimator.market_time_us`); None in a replay, where prints cannot be too early.
        """
        messages: list[Message] = []
        quarantined: list[Quarantined] = []
        run: list[Tick] = []
        accepted = duplicates = late = 0
        run_symbol = ""
        clock_us = self._clock_us
        judges = self._judges
        for raw in prints:
            symbol = raw.symbol
            judge = judges.get(symbol)
            if self._refused_before and self._was_refused(raw):
                duplicates += 1
                if judge is not None:
                    judge.pass_over(raw)
                continue
            verdict = (
                Refusal(Reason.UNKNOWN_SYMBOL, f"no instrument {symbol[:64]}")
                if judge is None
                else judge.judge(raw, clock_us, now_us)
            )
            if not isinstance(verdict, Tick):
                if isinstance(verdict, Duplicate):
                    duplicates += 1
                else:
                    quarantined.append(_quarantine(raw, verdict, received_us))
                continue
            accepted += 1
            time_us = verdict.time_us
            if verdict.late:
                late += 1
            elif time_us >= clock_us + MICROSECONDS_PER_SECOND:
                self._flush(run_symbol, run, messages)
                run = []
                clock_us = time_us - time_us % MICROSECONDS_PER_SECOND
                messages.append(ClockAdvance(time_us=clock_us))
            if symbol != run_symbol:
                self._flush(run_symbol, run, messages)
                run = []
                run_symbol = symbol
            run.append(verdict)
        self._flush(run_symbol, run, messages)
        self._clock_us = clock_us
        return Sequenced(
            messages=messages, quarantined=quarantined, accepted=accepted, duplicates=duplicates, late=late
        )

    def clock_to(self, time_us: int) -> list[Message]:
        """The market's time is ``time_us`` though no tick says so; announces its whole second, once."""
        boundary_us = time_us - time_us % MICROSECONDS_PER_SECOND
        if boundary_us <= self._clock_us:
            return []
        self._clock_us = boundary_us
        return [ClockAdvance(time_us=boundary_us)]

    def _was_refused(self, raw: FeedTick) -> bool:
        """Whether an earlier sequencer has quarantined this very print: a feed that goes on repeats a little."""
        key = _encode(raw)
        if not self._refused_before[key]:
            return False
        self._refused_before[key] -= 1
        return True

    def _flush(self, symbol: str, run: list[Tick], messages: list[Message]) -> None:
        if run:
            sequence = self._sequences[symbol] = self._sequences[symbol] + len(run)
            messages.append(TickBatch(sequence=sequence, ticks=tuple(run)))


def coalesce(messages: Sequence[Message]) -> list[Message]:
    """The same stream in fewer messages: neighbouring batches of one symbol as one, and of clocks the last."""
    joined: list[Message] = []
    run: list[TickBatch] = []
    for message in messages:
        if isinstance(message, TickBatch) and run and _continues(run[-1], message):
            run.append(message)
            continue
        joined += _join(run)
        run = []
        if isinstance(message, TickBatch):
            run.append(message)
        elif joined and isinstance(joined[-1], ClockAdvance):
            joined[-1] = message
        else:
            joined.append(message)
    return joined + _join(run)


def _continues(last: TickBatch, batch: TickBatch) -> bool:
    return last.ticks[0].symbol == batch.ticks[0].symbol and last.sequence == batch.sequence - len(batch.ticks)


def _join(run: list[TickBatch]) -> list[TickBatch]:
    if len(run) < 2:
        return run
    return [TickBatch(sequence=run[-1].sequence, ticks=tuple(tick for batch in run for tick in batch.ticks))]


def _quarantine(raw: FeedTick, refusal: Refusal, received_us: int) -> Quarantined:
    return Quarantined(print=raw, reason=refusal.reason.value, detail=refusal.detail, received_us=received_us)
