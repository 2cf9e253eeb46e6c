"""What every indicator is: an incremental function of the inputs so far.

An indicator is fed one input at a time and has no value until it is warm. It is either a *series*
indicator, which takes one float at a time (a field of the bar, or the output of another indicator),
or a *bar* indicator, which takes a `BarFloats`. `update_bar` feeds either kind.

Inputs must be finite; bars always are, since ticks with absurd prices are quarantined before.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Final, Literal, Self, cast

from christmas.analysis.indicators.bar_floats import SOURCES, BarFloats, Source
from christmas.analysis.indicators.parameters import Parameter, ParameterError, bind

FORGOTTEN: Final = 1e-16
"""The weight below which the start of history no longer counts, see `inputs_to_forget`."""

Anchor = Literal["none", "session", "start"]


def inputs_to_forget(retained: float) -> int:
    """The inputs after which a recursion that keeps ``retained`` of its state has forgotten its seed.

    The smallest k with ``retained ** k`` < `FORGOTTEN`. That is 1e-4 of the 1e-12 which `stable_after`
    promises, so the promise still holds when the start of history moved 10,000 times as much as now.
    """
    if retained <= 0.0:
        return 0
    return math.ceil(math.log(FORGOTTEN) / math.log(retained))


class Indicator(ABC):
    """An incremental indicator. Ordering compares `value`; an indicator that is not warm compares false.

    Use the subclasses: ``RSI(14)``, ``BollingerBands(20, 2)``. A class attribute of a Strategy is a
    declaration; `fresh` makes the one that is fed, for each symbol.
    """

    name: ClassVar[str]
    """In the rule language."""
    outputs: ClassVar[tuple[str, ...]] = ("value",)
    """The attributes that hold its outputs, each ``float | None``; all become defined with the same input."""
    main: ClassVar[str] = "value"
    """The output that `value` is."""
    source_kind: ClassVar[Literal["bar", "series"]]
    parameters: ClassVar[tuple[Parameter, ...]] = ()

    value: float | None
    """The main output; ``None`` until warm."""
    warm_up: int
    """The number of inputs with which the outputs are first defined (TA-Lib's lookback + 1)."""
    stable_after: int
    """The inputs after which the start of history changes no output by more than 1e-12 of its scale.

    Indicators of a window are pure functions of it: `stable_after` is `warm_up`, and the same window
    gives the same value to the last bit, however it was reached.
    """
    anchor: Anchor = "none"
    """What else a restart needs: ``session``, all bars since the session began (00:00 UTC);
    ``start``, nothing is enough, as the level counts from the first input ever."""

    def __init__(self, arguments: Mapping[str, int | float]) -> None:
        self.arguments = self.bind((), arguments)
        """The value of each parameter."""

    @classmethod
    def bind(cls, positional: Sequence[object], named: Mapping[str, object]) -> dict[str, int | float]:
        """The arguments of a call by name, checked, defaults filled in; raises ParameterError.

        Indicators whose arguments constrain each other extend it, so that a rule's checker, which
        calls only this, finds every fault.
        """
        return bind(cls.name, cls.parameters, positional, named)

    @abstractmethod
    def update(self, value: Any, /) -> None:
        """Take the next input: a float for a series indicator, a `BarFloats` for a bar indicator."""

    @abstractmethod
    def update_bar(self, bar: BarFloats, /) -> None:
        """Take the next bar, or of it the field that is the indicator's source."""

    @abstractmethod
    def reset(self) -> None:
        """Forget all inputs."""

    @abstractmethod
    def fresh(self) -> Self:
        """Another one with the same parameters, and no inputs."""

    @property
    def is_warm(self) -> bool:
        return self.value is not None

    @property
    def label(self) -> str:
        """As a rule writes it: ``rsi(14)``, ``sma(20, source=volume)``."""
        return f"{self.name}({', '.join(self._label_arguments())})"

    def output(self, name: str) -> float | None:
        """The output of that name; raises KeyError when there is none."""
        if name not in self.outputs:
            raise KeyError(name)
        return cast("float | None", getattr(self, name))

    def _label_arguments(self) -> list[str]:
        return [f"{value:g}" if isinstance(value, float) else str(value) for value in self.arguments.values()]

    def __repr__(self) -> str:
        return f"<{self.label} = {self.value}>"

    def __float__(self) -> float:
        """The value; not a number while not warm, so that comparisons with it are false too."""
        return math.nan if self.value is None else self.value

    def __lt__(self, other: object) -> bool:
        theirs = _comparable(other)
        if theirs is NotImplemented:
            return NotImplemented
        return self.value is not None and theirs is not None and bool(self.value < theirs)

    def __le__(self, other: object) -> bool:
        theirs = _comparable(other)
        if theirs is NotImplemented:
            return NotImplemented
        return self.value is not None and theirs is not None and bool(self.value <= theirs)

    def __gt__(self, other: object) -> bool:
        theirs = _comparable(other)
        if theirs is NotImplemented:
            return NotImplemented
        return self.value is not None and theirs is not None and bool(self.value > theirs)

    def __ge__(self, other: object) -> bool:
        theirs = _comparable(other)
        if theirs is NotImplemented:
            return NotImplemented
        return self.value is not None and theirs is not None and bool(self.value >= theirs)

    def __eq__(self, other: object) -> bool:
        """With a number by value; indicators are equal only to themselves, so that they can be keys."""
        if isinstance(other, int | float | Decimal):
            return self.value is not None and self.value == other
        return self is other

    __hash__ = object.__hash__


def _comparable(other: object) -> Any:
    """What an indicator compares with: a number, ``None`` for an output that is not warm."""
    if isinstance(other, Indicator):
        return other.value
    if other is None or isinstance(other, int | float | Decimal):
        return other
    return NotImplemented


class SeriesIndicator(Indicator):
    """An indicator of one series of floats; of a bar it reads the field ``source``."""

    source_kind = "series"

    def __init__(self, arguments: Mapping[str, int | float], source: Source) -> None:
        super().__init__(arguments)
        if source not in SOURCES:
            raise ParameterError(
                f"{self.name}: source must be one of {', '.join(SOURCES)}, not {source!r}", parameter="source"
            )
        self.source: Source = source

    @abstractmethod
    def update(self, value: float, /) -> None:
        """Take the next value of the series."""

    def update_bar(self, bar: BarFloats, /) -> None:
        self.update(getattr(bar, self.source))

    def fresh(self) -> Self:
        return cast("Any", type(self))(**self.arguments, source=self.source)  # type: ignore[no-any-return]

    def _label_arguments(self) -> list[str]:
        named = [] if self.source == "close" else [f"source={self.source}"]
        return super()._label_arguments() + named


class BarIndicator(Indicator):
    """An indicator of whole bars."""

    source_kind = "bar"

    @abstractmethod
    def update(self, bar: BarFloats, /) -> None:
        """Take the next bar."""

    def update_bar(self, bar: BarFloats, /) -> None:
        self.update(bar)

    def fresh(self) -> Self:
        return cast("Any", type(self))(**self.arguments)  # type: ignore[no-any-return]
