"""Did you mean: the known name that a mistyped one is closest to."""

from __future__ import annotations

from collections.abc import Iterable


def closest(name: str, known: Iterable[str]) -> str | None:
    """The most similar of ``known`` by difflib's ratio, upper and lower case alike; None when none is near."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it, and it costs memory

    by_lower = {candidate.lower(): candidate for candidate in known}
    matches = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'rsi'?)``, or nothing."""
    match = closest(name, known)
    return f" (did you mean {match!r}?)" if match else ""
