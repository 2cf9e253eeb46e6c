"""Redis keys of the recorder beside those of `christmas.market.stream`."""

from __future__ import annotations

from christmas.execution.journal import journal_stream


def acked_key(market: str) -> str:
    """The last journal entry that is stored: a gateway whose Redis lost data sends what follows it."""
    return f"{journal_stream(market)}:acked"
