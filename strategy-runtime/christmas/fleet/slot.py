"""What the supervisor knows about one process of the fleet, from its first start on."""

from __future__ import annotations

import random
import signal
import time
from typing import Final

from christmas.fleet.backoff import CRASH_LOOP_FROM, failures_after, restart_delay
from christmas.fleet.decide import Key, Seen, State
from christmas.fleet.launch import Launched
from christmas.fleet.process import exit_text, last_words

_KILLS_MAXIMUM: Final = 20
_STORE_FAULTS_MAXIMUM: Final = 10
"""A store may not start while what is left of the one before it is on its way down."""


class Slot:
    """Survives the restarts of its process."""

    def __init__(self, key: Key, jitter: random.Random) -> None:
        self.key = key
        self.launched: Launched | None = None
        self.state: State = "Absent"
        self.digest = ""
        self.ready = False
        self.was_ready = False
        self.not_ready: str = ""
        self.flat: bool | None = None
        self.failures = 0
        self.retry_at = 0.0
        self.restarts = 0
        self.reason = ""
        self.oom = False
        self.was_killed = False
        """Its last exit was by a signal that we did not send to stop it: not an error of its own."""
        self.kills = 0
        """How often somebody else has ended it."""
        self.faults = 0
        """How often it has failed by itself."""
        self.wound_down = False
        self.stop_why = ""
        self.rss_bytes = 0
        self.cpu_percent = 0.0
        self.http_port = 0
        self.probed_at = 0.0
        self.cpu_limited = False
        self._jitter = jitter
        self._left_by_itself = False

    def seen(self) -> Seen:
        return Seen(
            state=self.state,
            digest=self.digest,
            ready=self.ready,
            was_ready=self.was_ready,
            flat=self.flat,
            failures=self.failures,
            retry_at=self.retry_at,
            reason=self.message,
            oom=self.oom,
            wound_down=self.wound_down,
        )

    @property
    def message(self) -> str:
        if self.state == "Running":
            # One that tries again has not said anything yet: why it failed is what there is to know.
            return f"tries again after {self.reason}" if self.failures and not self.was_ready else self.not_ready
        if self.state == "Stopping":
            return f"stopping: {self.stop_why}"
        return self.reason

    @property
    def running_s(self) -> float:
        if self.launched is None or self.state not in {"Running", "Stopping"}:
            return 0.0
        return time.monotonic() - self.launched.process.started_at

    def started(self, launched: Launched, digest: str) -> None:
        if self._left_by_itself:
            self.restarts += 1
        self._left_by_itself = False
        self.launched = launched
        self.digest = digest
        self.state = "Running"
        self.ready, self.was_ready, self.not_ready = False, False, "starting"
        self.flat = None
        self.oom = False
        self.wound_down = False
        self.http_port = 0
        self.stop_why = ""

    @property
    def may_be_resumed(self) -> bool:
        """In a lock-step replay the market waits for who was killed. What failed by itself would only fail again;
        a store has on disk what it held.
        """
        if self.kills > _KILLS_MAXIMUM:
            return False
        if self.key.kind == "store":
            return self.kills > 0 and self.faults < _STORE_FAULTS_MAXIMUM
        return self.was_killed and self.faults < CRASH_LOOP_FROM

    def not_started(self, reason: str) -> None:
        """The program could not even be started."""
        self.state = "Exited"
        self._failed(reason, ran_s=0.0)

    def over_memory(self, reason: str) -> None:
        """It is about to be killed for taking more than its limit."""
        self.oom, self.reason = True, reason

    def stopping(self, why: str) -> None:
        self.state, self.stop_why = "Stopping", why

    def exited(self, code: int, *, ended: bool) -> None:
        """Its process is gone. ``ended``: it had come to the end of what it had to do."""
        assert self.launched is not None  # noqa: S101 (only what was started exits)
        self.ready = False
        self.rss_bytes, self.cpu_percent = 0, 0.0
        ran_s = time.monotonic() - self.launched.process.started_at
        self._left_by_itself = self.state != "Stopping"
        self.was_killed = self._left_by_itself and code < 0
        is_foreign = self.was_killed and -code == signal.SIGKILL and not self.oom
        if is_foreign:
            self.kills += 1
        elif self._left_by_itself and code != 0:
            self.faults += 1
        if self.state == "Stopping":
            self.state = "Exited"
            self.failures, self.retry_at = 0, 0.0
            self.reason = self.stop_why
        elif ended and code == 0:
            self.state, self.reason, self.failures = "Ended", "the market has ended", 0
        elif code == 0:
            # Its gateway said goodbye; it is started again as soon as that is back.
            self.state, self.reason, self.failures = "Exited", "left in order", 0
            self.retry_at = time.monotonic() + restart_delay(1, self._jitter)
        else:
            self.state = "Exited"
            words = last_words(self.launched.log)
            if "MemoryError" in words and not self.oom:
                # It ran into the hard limit before the supervisor saw it above the soft one.
                self.over_memory(words)
            cause = "out of memory: " + self.reason if self.oom else exit_text(code) + (f": {words}" if words else "")
            if is_foreign and self.was_ready and self.kills <= _KILLS_MAXIMUM:
                # It worked until somebody ended it: nothing says that it would fail again.
                self.failures = 0
            self._failed(cause, ran_s=ran_s)

    def _failed(self, reason: str, *, ran_s: float) -> None:
        self.reason = reason
        self.failures = failures_after(self.failures, ran_s)
        self.retry_at = time.monotonic() + restart_delay(self.failures, self._jitter)
