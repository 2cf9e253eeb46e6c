"""A namespace whose API server may be away for a while: what could not be asked is asked again."""

from __future__ import annotations

import random
import subprocess
import time
from typing import Final

from tests.cluster.helm import CommandFailed, Namespace, ObjectGone

_PATIENCE_S: Final = 120.0
_AWAY: Final = (
    "connection refused",
    "Unable to connect",
    "timed out",
    "timeout",
    "deadline exceeded",
    "EOF",
    "etcdserver",
    "unable to handle the request",
    "InternalError",
    "container not found",
    "unable to upgrade connection",
    "does not have a host assigned",
    "connection reset",
    "http2:",
    "the object has been modified",
    "ServiceUnavailable",
    "TooManyRequests",
)


class PatientNamespace(Namespace):
    def kubectl(self, *arguments: str, input_text: str | None = None, within_s: float = 60.0) -> str:
        """Raises CommandFailed for what the API server has refused, and when it was away for two minutes."""
        deadline, wait_s = time.monotonic() + _PATIENCE_S, 0.5
        while True:
            try:
                return super().kubectl(*arguments, input_text=input_text, within_s=within_s)
            except ObjectGone:
                raise
            except subprocess.TimeoutExpired as error:
                failure = CommandFailed(f"kubectl {' '.join(arguments[:3])}: {error}")
            except CommandFailed as error:
                if not any(word in str(error) for word in _AWAY):
                    raise
                failure = error
            if time.monotonic() >= deadline:
                raise failure
            time.sleep(wait_s * random.uniform(0.7, 1.0))
            wait_s = min(8.0, wait_s * 2)
