"""The one order in which the prints of a symbol happened, whatever the order of their arrival."""

from __future__ import annotations

from christmas.market.tick import Tick

TradeKey = tuple[int, int, str]


def trade_key(trade_id: str) -> TradeKey:
    """Sorts trade ids: those of digits only by their number, before all others by their text."""
    if trade_id.isascii() and trade_id.isdigit():
        return (0, int(trade_id), trade_id)
    return (1, 0, trade_id)


def tick_key(tick: Tick) -> tuple[int, TradeKey]:
    """Sorts the ticks of one symbol by exchange time, then trade id."""
    return (tick.time_us, trade_key(tick.trade_id))


def is_after(tick: Tick, other: Tick) -> bool:
    """Whether ``tick`` happened after ``other``; cheap while their times differ."""
    if tick.time_us != other.time_us:
        return tick.time_us > other.time_us
    return trade_key(tick.trade_id) > trade_key(other.trade_id)
