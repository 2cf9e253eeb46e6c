"""The Strategy class: indicators as class attributes, a few hooks, `buy` and `close`.

    class Scalper(Strategy):
        rsi, bands = RSI(14), BollingerBands(20, 2)

        def on_bar(self, bar):
            if self.position.is_flat and self.rsi < 30 and bar.close < self.bands.lower:
                self.buy()

One instance trades one symbol: a Strategy resource with three symbols has three instances, each with its own
copies of the indicators and its own attributes. The engine drives an instance through ``bind`` and the
``handle_*`` methods; it sees only what they were given, so it cannot look ahead. See docs/rules.md.
"""

from __future__ import annotations

import dis
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from types import CodeType, FunctionType, MappingProxyType, TracebackType
from typing import Any, ClassVar, Final

from christmas.analysis.indicators.bar_floats import BarFloats
from christmas.analysis.indicators.base import Anchor, Indicator
from christmas.analysis.rules.rule import strongest_anchor
from christmas.execution.order import Fill
from christmas.execution.strategies.parameters import ParameterValue, apply_parameters, declared_parameters
from christmas.execution.strategies.positions import Position, PositionView
from christmas.execution.strategies.signals import Signal
from christmas.market.bar import Bar
from christmas.market.instrument import Instrument
from christmas.market.tick import Tick
from christmas.telemetry.status import RuleStatus

__all__ = ["Position", "PositionView", "Signal", "Strategy", "StrategyError"]


_RESERVED: Final = frozenset(
    {
        *("bind", "buy", "close", "history", "instrument", "last_price"),
        *("now_us", "parameters", "position", "positions", "symbol"),
    }
)


class StrategyError(Exception):
    """A strategy's own code is wrong: the message names the class, the hook and the line."""


class Strategy:
    """Base of every strategy; override the hooks that are needed.

    Class attributes that are numbers, strings, booleans or decimals are the strategy's parameters: the
    manifest may set them, and both ``self.name`` and ``self.parameters["name"]`` give the value in force.
    Class attributes that are indicators are templates. Indicators that depend on a parameter are made in
    ``on_start``: ``self.rsi = RSI(self.period)``.
    """

    has_exit: bool = False
    """Whether this strategy closes positions itself. Found out from the class (does a method call
    ``self.close``?) unless the class says so. Without it the exit order rests as soon as an entry fills."""
    warm_up: ClassVar[int] = 0
    """Bars that ``on_bar`` wants to have passed, beyond what the indicators need."""
    history_length: ClassVar[int] = 500
    """Closes kept in ``history``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        hidden = _RESERVED.intersection(cls.__dict__)
        if hidden:
            name = min(hidden)
            raise TypeError(f"{cls.__name__}.{name} would hide the Strategy's own {name}; give it another name")
        if "has_exit" not in cls.__dict__:
            cls.has_exit = cls.has_exit or any(
                _calls_close(value.__code__) for value in cls.__dict__.values() if isinstance(value, FunctionType)
            )

    def __init__(self, parameters: Mapping[str, ParameterValue] | None = None) -> None:
        """Raises ParameterError for a parameter that the class does not declare or of another type."""
        declared = declared_parameters(type(self), stop=Strategy)
        values = apply_parameters(type(self).__name__, declared, parameters or {})
        for name, value in values.items():
            setattr(self, name, value)
        self.parameters: Mapping[str, ParameterValue] = MappingProxyType(values)
        self.history: deque[Decimal] = deque(maxlen=self.history_length)
        """Closes of the last bars, the newest last."""
        self._symbol = ""
        self._instrument: Instrument | None = None
        self._views: Callable[[], Sequence[PositionView]] = tuple
        self._now_us = 0
        self._last_price: Decimal | None = None
        self._bars_seen = 0
        self._signals: list[Signal] | None = None
        self._indicators: tuple[Indicator, ...] = ()
        for name, template in _indicator_templates(type(self)).items():
            setattr(self, name, template.fresh())

    # --- hooks: what a strategy's author writes --------------------------------------------------

    def on_start(self) -> None:
        """Once, before the first bar; ``symbol``, ``instrument`` and ``parameters`` are known. No orders yet."""

    def on_bar(self, bar: Bar) -> None:
        """At the end of every bar, when all indicators are warm and contain it."""

    def on_tick(self, tick: Tick) -> None:
        """At every trade print, when all indicators are warm; overriding it makes ``acts_on_ticks`` true."""

    def on_fill(self, fill: Fill) -> None:
        """After an execution of one of this strategy's orders; positions contain it."""

    def on_stop(self) -> None:
        """Once, when the runtime stops. No orders any more."""

    # --- what the hooks may use ------------------------------------------------------------------

    def buy(
        self,
        *,
        reason: str = "",
        limit: Decimal | None = None,
        lots: int | None = None,
        quantity: Decimal | None = None,
        notional: Decimal | None = None,
    ) -> None:
        """Ask for an entry: ``lots``, ``quantity`` (base currency) or ``notional`` (quote currency), at most one.

        None of them means ``capital.perTrade``. Raises ValueError for a size that is not positive or below one lot.
        """
        if sum(size is not None for size in (lots, quantity, notional)) > 1:
            raise ValueError("buy() takes at most one of lots, quantity and notional")
        if quantity is not None:
            lots = self.instrument.lots_floor(Decimal(quantity))
            if lots < 1:
                raise ValueError(f"quantity {quantity} is less than one lot of {self.instrument.lot_size}")
        if lots is not None and lots < 1:
            raise ValueError(f"lots must be at least 1, not {lots}")
        if notional is not None and notional <= 0:
            raise ValueError(f"notional must be positive, not {notional}")
        self._ask(
            Signal(
                symbol=self.symbol,
                kind="entry",
                reason=reason or f"{type(self).__name__} buys",
                limit=None if limit is None else Decimal(limit),
                lots=lots,
                notional=None if notional is None else Decimal(notional),
            )
        )

    def close(self, *, reason: str = "", position: PositionView | None = None) -> None:
        """Ask for an exit of ``position``, or of all positions of the symbol; nothing when flat.

        The exit policy sets the price: under NoLoss a close never sells below break-even.
        """
        if position is None and not self._views():
            return
        self._ask(
            Signal(
                symbol=self.symbol,
                kind="exit",
                reason=reason or f"{type(self).__name__} closes",
                position_id=None if position is None else position.position_id,
            )
        )

    @property
    def symbol(self) -> str:
        return self._symbol

    @property
    def instrument(self) -> Instrument:
        """Increments and lots of the symbol; raises StrategyError before ``bind``."""
        if self._instrument is None:
            raise StrategyError(f"{type(self).__name__} is not bound to a symbol yet; use on_start for set-up")
        return self._instrument

    @property
    def position(self) -> Position:
        """All positions of the symbol together."""
        return Position(self._views(), self._last_price, self._now_us)

    @property
    def positions(self) -> Sequence[PositionView]:
        """Each position of the symbol, the oldest first."""
        return self._views()

    @property
    def now_us(self) -> int:
        """Market time: the end of the last bar, or the last tick or fill (UTC microseconds)."""
        return self._now_us

    @property
    def last_price(self) -> Decimal | None:
        """The newest price that was shown to this strategy."""
        return self._last_price

    # --- the contract with the engine ------------------------------------------------------------

    def bind(
        self, symbol: str, instrument: Instrument, positions: Callable[[], Sequence[PositionView]] = tuple
    ) -> None:
        """Give the instance its symbol and run ``on_start``.

        ``positions`` tells the symbol's positions, the oldest first. Raises StrategyError.
        """
        self._symbol = symbol
        self._instrument = instrument
        self._views = positions
        self._run("on_start", may_trade=False)
        mine = (value for value in vars(self).values() if isinstance(value, Indicator))
        self._indicators = tuple(dict.fromkeys(mine))

    def absorb_bar(self, bar: Bar) -> None:
        """Take a bar of history in: indicators and ``history`` move on, no hook runs (warm-up at a start)."""
        self._now_us = max(self._now_us, bar.end_us)
        self._last_price = bar.close
        self._bars_seen += 1
        self.history.append(bar.close)
        self.observe_bar(bar)

    def observe_bar(self, bar: Bar) -> None:
        """Feed what the strategy looks at; by default its indicators."""
        floats = BarFloats.from_bar(bar)
        for indicator in self._indicators:
            indicator.update_bar(floats)

    def handle_bar(self, bar: Bar) -> list[Signal]:
        """Take a closed bar in and run ``on_bar`` once everything is warm. Raises StrategyError."""
        self.absorb_bar(bar)
        return self._run("on_bar", bar) if self.is_warm else []

    def handle_tick(self, tick: Tick) -> list[Signal]:
        """Run ``on_tick`` once everything is warm. Raises StrategyError."""
        self._now_us = max(self._now_us, tick.time_us)
        self._last_price = tick.price
        return self._run("on_tick", tick) if self.acts_on_ticks and self.is_warm else []

    def handle_fill(self, fill: Fill) -> list[Signal]:
        """Run ``on_fill``. Raises StrategyError."""
        self._now_us = max(self._now_us, fill.time_us)
        return self._run("on_fill", fill)

    def handle_stop(self) -> None:
        """Run ``on_stop``. Raises StrategyError."""
        self._run("on_stop", may_trade=False)

    @property
    def warm_up_bars(self) -> int:
        """Bars before ``on_bar`` is first called, that one included. Known after ``bind``."""
        return max((indicator.warm_up for indicator in self._indicators), default=1) + self.warm_up

    @property
    def stable_bars(self) -> int:
        """Bars of history after which values no longer depend on where the history began. Known after ``bind``."""
        return max((indicator.stable_after for indicator in self._indicators), default=1) + self.warm_up

    @property
    def anchor(self) -> Anchor:
        """What else than ``stable_bars`` a restart needs, see `Indicator.anchor`. Known after ``bind``."""
        return strongest_anchor(indicator.anchor for indicator in self._indicators)

    @property
    def acts_on_ticks(self) -> bool:
        return type(self).on_tick is not Strategy.on_tick

    @property
    def is_warm(self) -> bool:
        return self._bars_seen >= self.warm_up_bars and all(indicator.is_warm for indicator in self._indicators)

    def explain(self) -> tuple[RuleStatus, ...]:
        """Why it trades or not, term by term; empty for code, which has no rules to explain."""
        return ()

    # --- inside ----------------------------------------------------------------------------------

    def _ask(self, signal: Signal) -> None:
        if self._signals is None:
            raise StrategyError("buy() and close() work in on_bar, on_tick and on_fill only")
        self._signals.append(signal)

    def _run(self, hook: str, *arguments: object, may_trade: bool = True) -> list[Signal]:
        signals: list[Signal] = []
        self._signals = signals if may_trade else None
        try:
            getattr(self, hook)(*arguments)
        except Exception as error:
            raise StrategyError(_describe(type(self), hook, error)) from error
        finally:
            self._signals = None
        return signals


def _indicator_templates(kind: type[Strategy]) -> dict[str, Indicator]:
    """Class attributes that are indicators; a subclass's replace its parents'."""
    found: dict[str, Indicator] = {}
    for parent in reversed(kind.__mro__):
        found |= {name: value for name, value in vars(parent).items() if isinstance(value, Indicator)}
    return found


def _calls_close(code: CodeType, instance: str | None = None) -> bool:
    """Whether a method's code, functions within it included, reads ``close`` of its first argument."""
    instance = instance or (code.co_varnames[0] if code.co_argcount else None)
    previous: object = None
    for instruction in dis.get_instructions(code):
        if instruction.opname.startswith("LOAD_") and instruction.argval == "close":
            # Python 3.13 loads two variables in one instruction; the last of them is the one that is asked.
            asked = previous[-1] if isinstance(previous, tuple) and previous else previous
            if asked == instance:
                return True
        previous = instruction.argval
    return any(_calls_close(inner, instance) for inner in code.co_consts if isinstance(inner, CodeType))


def _describe(kind: type[Strategy], hook: str, error: Exception) -> str:
    where = f"{kind.__name__}.{hook}"
    line = line_in(getattr(kind, hook).__code__.co_filename, error.__traceback__)
    what = str(error) if isinstance(error, StrategyError) else f"{type(error).__name__}: {error}"
    return f"{where}, line {line}: {what}" if line else f"{where}: {what}"


def line_in(filename: str, traceback: TracebackType | None) -> int | None:
    """The line of the innermost frame that belongs to the strategy's own file."""
    line = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == filename:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
