"""Misbehaviour on request: what the paper venue does wrong, and when.

Each decision is a function of (seed, fault, key), where the key is the request's number or the fill's
id: the same session misbehaves in the same way again, however fast it runs.
"""

from __future__ import annotations

import logging
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

import msgspec

from christmas.brokers.paper.metrics import FAULTS
from christmas.resources.broker import Faults
from christmas.telemetry.unreadable import UNREADABLE

FAULTS_FILE: Final = "faults.json"
Fault = Literal[
    "timeout_after_accepting",
    "duplicate_fill",
    "late_fill",
    "disconnect",
    "wrong_sequence",
    "rate_limited",
    "server_error",
    "reject",
]
_logger = logging.getLogger(__name__)


class FaultSwitch:
    """The faults in force: the Broker's, unless ``faults.json`` beside the ledger says otherwise.

    The file has the fields of the Broker's ``paper.faults`` (camelCase); it is read again whenever it
    has changed, and removing it brings the Broker's own faults back. A file that cannot be read
    changes nothing and is logged.
    """

    def __init__(self, faults: Faults, state_dir: Path) -> None:
        self._own = faults
        self._path = state_dir / FAULTS_FILE
        self._seen: tuple[int, int, int] | None = None
        self._faults = faults

    @property
    def current(self) -> Faults:
        """The faults now; one ``stat`` a call."""
        try:
            stat = self._path.stat()
        except OSError:
            if self._seen is not None:
                self._seen, self._faults = None, self._own
            return self._faults
        seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if seen != self._seen:
            self._seen = seen
            try:
                self._faults = msgspec.json.decode(self._path.read_bytes(), type=Faults)
            except (*UNREADABLE, OSError) as error:
                _logger.warning("faults file ignored", extra={"file": str(self._path), "error": str(error)})
            else:
                _logger.info("faults changed", extra={"file": str(self._path)})
        return self._faults

    def strikes(self, fault: Fault, key: str | int) -> bool:
        """Whether ``fault`` shows at the request or fill that ``key`` names."""
        faults = self.current
        probability: float = getattr(faults, fault)
        if probability <= 0 or chance(faults.seed, fault, key) >= probability:
            return False
        FAULTS.labels(fault).inc()
        return True


def chance(seed: int, purpose: str, key: str | int) -> float:
    """A number in [0, 1) that depends on its arguments alone."""
    digest = sha256(f"{seed}|{purpose}|{key}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / (1 << 56)
