"""What the operator tells Prometheus about itself."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from christmas_operator.kube.kinds import OWNED

QUEUE_DEPTH: Final = Gauge("christmas_operator_queue_objects", "Objects that wait to be looked at.", ["lane"])
QUEUE_DELAYED: Final = Gauge("christmas_operator_queue_delayed_objects", "Objects that wait for their time.")
QUEUE_WAIT: Final = Histogram(
    "christmas_operator_queue_wait_seconds",
    "From when an object was due to when a worker took it up.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
RECONCILE: Final = Histogram(
    "christmas_operator_reconcile_seconds",
    "One look at an object with all that was done about it.",
    ["kind"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
ERRORS: Final = Counter(
    "christmas_operator_errors_total", "Looks that failed; they are tried again.", ["kind", "reason"]
)
RETRIES: Final = Gauge("christmas_operator_queue_failing_objects", "Objects whose last look failed.")
OBJECTS: Final = Gauge(
    "christmas_operator_objects", "Strategies and Brokers by what they are doing.", ["kind", "phase"]
)
REQUESTS: Final = Counter(
    "christmas_operator_api_requests_total", "Requests to the API server, kopf's included.", ["verb", "code"]
)
WRITES: Final = Counter(
    "christmas_operator_api_writes_total", "Writes to the API server by what was written.", ["kind"]
)
DRIFT: Final = Counter(
    "christmas_operator_drift_repairs_total", "Objects that somebody had changed or removed.", ["kind"]
)
for _kind in OWNED:
    DRIFT.labels(_kind.kind)  # begins at 0: increase() sees the first, too
GATEWAY: Final = Counter("christmas_operator_gateway_commands_total", "Commands to gateways.", ["command", "outcome"])
LEADING: Final = Gauge("christmas_operator_leading", "1 while this operator is the active one.")
GHOSTS: Final = Counter("christmas_operator_ghosts_total", "Deletions that no watch told us of.", ["kind"])
LISTS: Final = Counter("christmas_operator_lists_total", "Times that a kind was listed from the start.", ["kind"])
WATCH_LAG: Final = Gauge(
    "christmas_operator_watch_lag_seconds", "Age of the oldest write of ours that no watch has shown yet."
)
UPDATES_WAITING: Final = Gauge("christmas_operator_updates_waiting", "Strategies with the condition ConfigDrift.")
WAITING_FOR_TURN: Final = Gauge(
    "christmas_operator_waiting_for_turn", "Strategies whose update waits until others of their Broker are up again."
)
