"""Why a recorder is not ready: the first of its parts that waits, in its own words."""

from __future__ import annotations

from collections.abc import Callable

from christmas.ingestion.retry import Reason


class Reasons:
    """Why each part is not at work; the first of them is shown. None is at work until it says so."""

    def __init__(self, show: Callable[[str | None], None]) -> None:
        self._show = show
        self._reasons: dict[str, str | None] = {}

    def of(self, part: str) -> Reason:
        """Where ``part`` tells its reason; from now on it counts."""
        self._reasons[part] = f"{part}: starting"
        self._tell()

        def tell(reason: str | None) -> None:
            if self._reasons.get(part, reason) != reason:
                self._reasons[part] = reason
                self._tell()

        return tell

    def forget(self, part: str) -> None:
        """The part is done; nobody waits for it."""
        self._reasons.pop(part, None)
        self._tell()

    def _tell(self) -> None:
        self._show(next((text for text in self._reasons.values() if text is not None), None))
