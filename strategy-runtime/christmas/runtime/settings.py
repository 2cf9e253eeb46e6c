"""What a runtime process is told when it starts."""

from __future__ import annotations

from typing import Final

from christmas.telemetry.settings import ProcessSettings

EXIT_REFUSED: Final = 3
"""The process ends with it when the gateway refused it for good: starting it again with the same permit
leads to the same answer."""


class RuntimeSettings(ProcessSettings, frozen=True, kw_only=True):
    """No secret is in here but the paths of files that hold one."""

    strategy_file: str
    """JSON of a `christmas.resources.strategy.Strategy`."""
    permit_file: str
    gateway: str
    """``unix:/path`` or ``tcp://host:port``."""
