"""A strategy that is two rules: data, so it can always say why it does not trade now."""

from __future__ import annotations

import math
from typing import Final

from christmas.analysis.indicators.base import Anchor
from christmas.analysis.rules.evaluator import PositionTerms, RuleEvaluator, RuleGraph
from christmas.analysis.rules.rule import CompiledRule, strongest_anchor
from christmas.execution.strategies.base import Strategy
from christmas.execution.strategies.positions import PositionView
from christmas.market.bar import Bar
from christmas.telemetry.status import RuleStatus, TermStatus

_MICROSECONDS: Final = 1_000_000
_REASON_LENGTH: Final = 300


class RuleStrategy(Strategy):
    """Buys at every bar at which ``entry`` holds, and closes the positions for which ``exit`` holds.

    The engine limits how many positions that makes. On a bar on which ``exit`` closes a position nothing is
    bought; while there is none to close, ``exit`` does not count. Without ``exit`` the exit order rests as soon as
    an entry fills. Both rules share their indicators.
    """

    def __init__(self, entry: CompiledRule, exit: CompiledRule | None = None) -> None:  # noqa: A002 - the manifest's word
        super().__init__()
        self._rules = [entry] if exit is None else [entry, exit]
        self._graph = RuleGraph(self._rules)
        self._entry = RuleEvaluator(entry, self._graph)
        self._exit = None if exit is None else RuleEvaluator(exit, self._graph)
        self.has_exit = exit is not None

    def observe_bar(self, bar: Bar) -> None:
        self._graph.update(bar)

    def on_bar(self, bar: Bar) -> None:
        if not self._close_where_due() and self._entry.holds:
            self.buy(reason=_reason("entry", self._entry.explain()))

    def _close_where_due(self) -> bool:
        """Close every position for which the exit rule holds and that is not closing yet; whether there was one."""
        rule, closed = self._exit, False
        if rule is None:
            return False
        for view in self.positions:
            terms = self._terms(view)
            if not view.is_closing and rule.holds_for(terms):
                self.close(position=view, reason=_reason("exit", rule.explain(terms)))
                closed = True
        return closed

    def _terms(self, view: PositionView) -> PositionTerms:
        profit = None if self.last_price is None else view.profit(self.last_price)
        age = (self.now_us - view.opened_us) / _MICROSECONDS
        return PositionTerms(profit=math.nan if profit is None else profit, age=age)

    @property
    def warm_up_bars(self) -> int:
        return max(rule.warm_up for rule in self._rules)

    @property
    def stable_bars(self) -> int:
        return max(rule.stable_after for rule in self._rules)

    @property
    def anchor(self) -> Anchor:
        return strongest_anchor(rule.anchor for rule in self._rules)

    def explain(self) -> tuple[RuleStatus, ...]:
        """Both rules at the last bar; a rule that looks at positions is told for the oldest one."""
        oldest = self._terms(self.positions[0]) if self.positions else None
        entry = RuleStatus(
            name="entry",
            symbol=self.symbol,
            text=self._entry.rule.text,
            holds=self._entry.holds,
            terms=self._entry.explain(),
        )
        if self._exit is None:
            return (entry,)
        return (
            entry,
            RuleStatus(
                name="exit",
                symbol=self.symbol,
                text=self._exit.rule.text,
                holds=self._exit.holds if oldest is None else self._exit.holds_for(oldest),
                terms=self._exit.explain(oldest),
            ),
        )


def _reason(kind: str, terms: tuple[TermStatus, ...]) -> str:
    """The comparisons that hold, with their values: ``entry: rsi(14) < 30 (28.1)``."""
    text = f"{kind}: {', '.join(f'{term.text} ({term.value})' for term in terms if term.holds)}"
    return text if len(text) <= _REASON_LENGTH else f"{text[: _REASON_LENGTH - 3]}..."
