"""What the fleet tells a person when something does not work."""

from __future__ import annotations


class FleetError(Exception):
    """One line on what is wrong and, where we know, one on the mend."""

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(f"{what} ({mend})" if mend else what)
        self.what = what
        self.mend = mend


class NotRunningError(FleetError):
    """No supervisor serves this state folder."""
