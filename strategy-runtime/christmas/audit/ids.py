"""Whether an order's id is the one that its decision determines."""

from __future__ import annotations

from typing import Final

from christmas.execution.order import OrderIntent, client_order_id

_SECOND_US: Final = 1_000_000
_USUAL_S: Final = (*range(1, 61), 90, 120, 180, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 43_200, 86_400)
_IN_A_BAR: Final = 256
"""Orders of one side that one bar is searched for."""
_FLATTEN_SEQUENCE: Final = 1_000_000
"""Where a gateway that sells by hand begins to count."""


class OrderIdCheck:
    """The journal does not tell a strategy's timeframe, and it may change: the one that fits is looked for.

    An id that fits by chance would be a collision of SHA-256.
    """

    def __init__(self) -> None:
        self._fits: dict[str, int] = {}

    def is_derived(self, uid: str, intent: OrderIntent) -> bool:
        if intent.breaks_policy == "flatten":
            seller = f"{uid}/{intent.position_id}"
            return any(
                client_order_id(seller, intent.decided_us, intent.side, _FLATTEN_SEQUENCE + number)
                == intent.client_order_id
                for number in range(_IN_A_BAR)
            )
        known = self._fits.get(uid)
        first = () if known is None else (known,)
        for seconds in (*first, *_USUAL_S):
            timeframe_us = seconds * _SECOND_US
            bar_us = intent.decided_us - intent.decided_us % timeframe_us
            for number in range(_IN_A_BAR):
                if client_order_id(uid, bar_us, intent.side, number) == intent.client_order_id:
                    self._fits[uid] = seconds
                    return True
        return False
