"""A made-up market whose prints are a pure function of (seed, symbol, time).

Because time alone decides, the market goes on where it was after any restart, the past can be asked for
at any moment, and trade ids never clash.

How a price comes about:

- Its *level* is a sum of octaves of value noise (spans that double from one block to about a day, amplitude
  growing with the root of the span), which looks like a random walk up to a day and stays near
  the start price for ever after.
- Within a block the log-price is a Brownian bridge between levels, whose local volatility is that of
  a hidden regime (Markov chain: calm, trending, reverting, burst) times a GARCH(1,1) factor
  (Bollerslev 1986).
- Prints arrive as a Hawkes process with an exponential kernel (Hawkes 1971, simulated by Ogata's
  thinning 1981); some sweep several prints in one moment.
- The print is at the bid or the ask around that price; the taker's side follows the last move and itself.
- Sizes are log-normal, often rounded to 1, 2 or 5 times a power of ten lots.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from math import ceil, exp, log, log2, log10, sqrt
from random import Random
from typing import Final

from christmas.market.instrument import Instrument
from christmas.market.raw import FeedTick
from christmas.market.tick import MICROSECONDS_PER_SECOND

SECONDS_PER_YEAR: Final = 365 * 86_400
_MILLISECOND_US: Final = 1000
_EPOCH_S: Final = 3600
"""The chain of regimes starts afresh each hour, from its stationary state."""
_REGIME_S: Final = 30
_REGIME_STAYS: Final = 0.7
_LARGEST_BLOCK_S: Final = 300
_EVENTS_A_BLOCK: Final = 15_000
_LONGEST_OCTAVE_S: Final = 86_400
_HAWKES_BRANCHING: Final = 0.55
"""The part of arrivals that earlier ones set off."""
_HAWKES_DECAY: Final = 1.5
"""A second. Times the regime's activity, so that clusters keep their shape at any rate."""
_GARCH_SHOCK, _GARCH_MEMORY = 0.05, 0.93
_SWEEP: Final = 0.12
_SWEEP_LENGTH: Final = 3
_MEAN_PRINTS: Final = 1 + _SWEEP * (1 + _SWEEP_LENGTH) / 2
_MEDIAN_NOTIONAL: Final = 300.0
_SIZE_SIGMA: Final = 1.5
_ROUND_SIZES: Final = 0.3
_IDS_A_MICROSECOND: Final = 1000


@dataclass(frozen=True, slots=True)
class Regime:
    name: str
    share: float
    """Of time."""
    volatility: float
    activity: float
    drift: float = 0.0
    """In standard deviations a second; its sign is drawn for each span."""
    pull: float = 0.0
    """A second, towards where the regime began."""


_RAW = (
    Regime("calm", 0.35, 0.6, 0.6),
    Regime("trending", 0.25, 0.9, 1.1, drift=0.12),
    Regime("reverting", 0.30, 0.9, 0.9, pull=0.08),
    Regime("burst", 0.10, 2.2, 2.6),
)
_VARIANCE = sum(regime.share * regime.volatility**2 for regime in _RAW)
_ACTIVITY = sum(regime.share * regime.activity for regime in _RAW)
REGIMES: Final = tuple(
    Regime(
        name=regime.name,
        share=regime.share,
        volatility=regime.volatility / sqrt(_VARIANCE),
        activity=regime.activity / _ACTIVITY,
        drift=regime.drift,
        pull=regime.pull,
    )
    for regime in _RAW
)
"""Scaled so that over time the variance and the rate are those that were asked for."""


class SyntheticMarket:
    """One symbol's prints, from any moment on."""

    def __init__(
        self,
        instrument: Instrument,
        *,
        seed: int,
        ticks_per_second: float,
        start_price: float,
        annual_volatility: float,
    ) -> None:
        self._symbol = instrument.symbol
        self._increment = instrument.price_increment
        self._lot_size = instrument.lot_size
        self._maximum_lots = instrument.maximum_lots or 10**9
        self._seed = f"{seed}:{instrument.symbol}"
        self._rate = ticks_per_second / _MEAN_PRINTS
        self._log_start = log(start_price)
        self._sigma = annual_volatility / sqrt(SECONDS_PER_YEAR)
        self._block_s = max(1, min(_LARGEST_BLOCK_S, int(_EVENTS_A_BLOCK / ticks_per_second)))
        self._octaves = ceil(log2(_LONGEST_OCTAVE_S / self._block_s)) + 1
        self._median_lots = max(1.0, _MEDIAN_NOTIONAL / start_price / float(instrument.lot_size))
        self._node = lru_cache(maxsize=4096)(self._draw_node)
        self._regimes = lru_cache(maxsize=4)(self._draw_regimes)

    def prints(self, from_us: int) -> Iterator[FeedTick]:
        """All prints at or after ``from_us``, without end, in the order of time."""
        block_us = self._block_s * MICROSECONDS_PER_SECOND
        block = from_us // block_us
        for tick in self._block(block):
            if tick.time_us >= from_us:
                yield tick
        while True:
            block += 1
            yield from self._block(block)

    # --- what time decides ---------------------------------------------------------------------

    def _draw_node(self, octave: int, node: int) -> float:
        return Random(f"{self._seed}:level:{octave}:{node}").gauss(0.0, 1.0)

    def _level(self, block: int) -> float:
        """The log-price at a block's start.

        Octave k has the span b 2^k and the variance sigma^2 b 2^k / 4, so that the step over one
        block of b seconds has the variance sigma^2 b: 2 (1/4) sigma^2 b sum(2^-k), k >= 0.
        """
        level = self._log_start
        for octave in range(self._octaves):
            span = 1 << octave
            node, part = divmod(block, span)
            weight = part / span
            value = self._node(octave, node) * (1 - weight) + self._node(octave, node + 1) * weight
            level += value * self._sigma * sqrt(self._block_s * span / 4)
        return level

    def _draw_regimes(self, epoch: int) -> tuple[tuple[Regime, float], ...]:
        """(regime, sign of its drift) for each span of an epoch."""
        random = Random(f"{self._seed}:regime:{epoch}")
        spans = []
        regime, sign = _draw_regime(random)
        for _ in range(_EPOCH_S // _REGIME_S):
            if random.random() >= _REGIME_STAYS:
                regime, sign = _draw_regime(random)
            spans.append((regime, sign))
        return tuple(spans)

    def _regime(self, second: float) -> tuple[Regime, float]:
        epoch, within = divmod(second, _EPOCH_S)
        return self._regimes(int(epoch))[int(within // _REGIME_S)]

    # --- one block, event by event -------------------------------------------------------------

    def _block(self, block: int) -> Iterator[FeedTick]:
        random = Random(f"{self._seed}:block:{block}")
        start_s = block * self._block_s
        level, target = self._level(block), self._level(block + 1)
        anchor, previous = level, level
        elapsed, excited, heat = 0.0, _HAWKES_BRANCHING / (1 - _HAWKES_BRANCHING), 1.0
        regime, sign = self._regime(start_s)
        buys = random.random() < 0.5
        last_us, within = 0, 0
        while True:
            pause, excited = self._pause(random, regime, excited)
            elapsed += pause
            if elapsed >= self._block_s:
                return
            left = self._block_s - elapsed + pause
            shock = random.gauss(0.0, 1.0)
            spread = self._sigma * regime.volatility * sqrt(heat)
            step = spread * sqrt(pause * max(0.0, left - pause) / left) * shock
            step += (target - level) * pause / left + sign * regime.drift * self._sigma * regime.volatility * pause
            step -= (level - anchor) * min(1.0, regime.pull * pause)
            level += step
            heat = 1 - _GARCH_SHOCK - _GARCH_MEMORY + heat * (_GARCH_SHOCK * shock * shock + _GARCH_MEMORY)

            before = regime, sign
            regime, sign = self._regime(start_s + elapsed)
            if (regime, sign) != before:
                anchor = level
            buys = random.random() < _chance_of_buy(level - previous, buys)
            previous = level
            time_us = start_s * MICROSECONDS_PER_SECOND + int(elapsed * 1000) * _MILLISECOND_US
            count = random.randint(2, _SWEEP_LENGTH + 1) if random.random() < _SWEEP else 1
            for number in range(count):
                within = within + 1 if time_us == last_us else 0
                last_us = time_us
                yield self._print(random, time_us=time_us, within=within, price=exp(level), buys=buys, sweep=number)

    def _pause(self, random: Random, regime: Regime, excited: float) -> tuple[float, float]:
        """Seconds to the next arrival, and how far it leaves the market excited."""
        base = self._rate * regime.activity * (1 - _HAWKES_BRANCHING)
        decay = _HAWKES_DECAY * max(1.0, self._rate * regime.activity / 4)
        pause = 0.0
        while True:
            ceiling = base * (1 + excited)
            wait = random.expovariate(ceiling)
            pause += wait
            excited *= exp(-decay * wait)
            if random.random() * ceiling <= base * (1 + excited):
                return pause, excited + _HAWKES_BRANCHING * decay / base

    def _print(self, random: Random, *, time_us: int, within: int, price: float, buys: bool, sweep: int) -> FeedTick:
        increment = float(self._increment)
        bid = max(1, int(price / increment))
        level = bid + 1 + sweep if buys else max(1, bid - sweep)
        return FeedTick(
            time_us=time_us,
            symbol=self._symbol,
            trade_id=str(time_us * _IDS_A_MICROSECOND + within),
            price=self._increment * level,
            quantity=self._lot_size * self._lots(random),
            taker_side="buy" if buys else "sell",
        )

    def _lots(self, random: Random) -> Decimal:
        size = self._median_lots * exp(random.gauss(0.0, _SIZE_SIGMA))
        if random.random() < _ROUND_SIZES:
            power = 10.0 ** int(log10(max(1.0, size)))
            size = power * min((1, 2, 5, 10), key=lambda step: abs(step - size / power))
        return Decimal(max(1, min(self._maximum_lots, round(size))))


def _draw_regime(random: Random) -> tuple[Regime, float]:
    (regime,) = random.choices(REGIMES, weights=[regime.share for regime in REGIMES])
    return regime, random.choice((-1.0, 1.0))


def _chance_of_buy(move: float, bought: bool) -> float:
    if move > 0:
        return 0.8 if bought else 0.65
    if move < 0:
        return 0.35 if bought else 0.2
    return 0.65 if bought else 0.35
