"""What a frame may hold at all, whatever it asks for: numbers that can be computed with and stored, and words
that a database takes. Pure; what is within these bounds and still wrong is the risk gate's to deny.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from christmas.execution.order import CancelIntent, OrderIntent
from christmas.execution.protocol import Answered, Cancel, Hello, ProtocolError, RuntimeFrame, SignalNote, Submit

ID_MAXIMUM: Final = 64
TEXT_MAXIMUM: Final = 2_000
PRICE_DIGITS: Final = 20
"""Before the point and behind it: what a price times lots is still exact with."""
_NUMBER_MAXIMUM: Final = 2**63 - 1
_TIME_MAXIMUM_US: Final = 2**53
"""The year 2255; what is later no database column and no float takes."""


def check_form(frame: RuntimeFrame) -> None:
    """Raises ProtocolError that names the field and what it may be."""
    match frame:
        case Submit(intent=intent):
            _intent(intent)
        case Cancel(intent=intent):
            _cancel(intent)
        case SignalNote():
            _time("time_us", frame.time_us)
            _text("symbol", frame.symbol)
            _text("reason", frame.reason)
        case Answered():
            _time("clock_us", frame.clock_us)
            _time("next_wake_us", frame.next_wake_us)
        case Hello():
            _identifier("instance", frame.instance)
            _within("last_report_sequence", frame.last_report_sequence, 0)
            _within("timeframe_us", frame.timeframe_us, 1, _TIME_MAXIMUM_US)
        case _:
            pass


def _intent(intent: OrderIntent) -> None:
    _identifier("intent.client_order_id", intent.client_order_id)
    _identifier("intent.position_id", intent.position_id)
    _text("intent.symbol", intent.symbol)
    _text("intent.reason", intent.reason)
    _text("intent.breaks_policy", intent.breaks_policy or "")
    _time("intent.decided_us", intent.decided_us)
    _within("intent.lots", intent.lots, -_NUMBER_MAXIMUM)
    if intent.price is not None and not _is_exact(intent.price):
        raise ProtocolError(
            f"intent.price is no price; give a finite decimal, at most {PRICE_DIGITS} digits on each side of the point"
        )


def _cancel(intent: CancelIntent) -> None:
    _identifier("intent.client_order_id", intent.client_order_id)
    _text("intent.reason", intent.reason)
    _time("intent.decided_us", intent.decided_us)


def _is_exact(price: Decimal) -> bool:
    if not price.is_finite():
        return False
    _, digits, exponent = price.as_tuple()
    return (
        isinstance(exponent, int)
        and len(digits) <= PRICE_DIGITS
        and exponent >= -PRICE_DIGITS
        and price.adjusted() < PRICE_DIGITS
    )


def _identifier(name: str, text: str) -> None:
    if not (0 < len(text) <= ID_MAXIMUM and text.isascii() and text.isprintable() and " " not in text):
        raise ProtocolError(f"{name} is no id; give 1 to {ID_MAXIMUM} printable ASCII characters without spaces")


def _text(name: str, text: str) -> None:
    if len(text) > TEXT_MAXIMUM or "\0" in text:
        raise ProtocolError(f"{name} is no text; give at most {TEXT_MAXIMUM} characters, U+0000 not among them")


def _time(name: str, time_us: int) -> None:
    _within(name, time_us, 0, _TIME_MAXIMUM_US)


def _within(name: str, number: int, lowest: int, highest: int = _NUMBER_MAXIMUM) -> None:
    if not lowest <= number <= highest:
        raise ProtocolError(f"{name} is out of bounds; give a whole number from {lowest} to {highest}")
