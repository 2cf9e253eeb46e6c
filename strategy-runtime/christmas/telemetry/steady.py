"""UTC by the wall's clock as it was when the process began, carried on by a clock that nobody sets.

The wall's clock may be stepped back and forth (a virtual machine restored, a wrong time server). Were it asked again
and again, an expired permit would be valid once more, a market would stand still for as long as the step back, or
run ahead and call an hour of prints late. The system's steady clock is disciplined in its rate as the wall's is, and
goes on through a suspend where the system has such a clock.
"""

from __future__ import annotations

import time
from typing import Final

_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BEGAN_NS: Final = time.time_ns() - time.clock_gettime_ns(_CLOCK)


def steady_us() -> int:
    """UTC µs, never less than it was before in this process."""
    return (_BEGAN_NS + time.clock_gettime_ns(_CLOCK)) // 1000


def stepped_us() -> int:
    """How far the wall's clock has been set forward (back: negative) since the process began, µs."""
    return time.time_ns() // 1000 - steady_us()
