"""What a gateway measures about itself."""

from __future__ import annotations

from typing import Final, Literal, get_args

from prometheus_client import Counter, Gauge, Histogram

from christmas.brokers.gateway.risk import DenialCode
from christmas.execution.protocol import RefusalCode

VenueErrorKind = Literal["rate_limited", "timeout", "ambiguous"]
TickRefusal = Literal["duplicate", "quarantined"]
UnmatchedKind = Literal["order", "fill"]

_MILLISECONDS: Final = (
    0.0001,
    0.0002,
    0.0003,
    0.0004,
    0.0005,
    0.00075,
    0.001,
    0.00125,
    0.0015,
    0.00175,
    0.002,
    0.0025,
    0.003,
    0.0035,
    0.004,
    0.0045,
    0.005,
    0.006,
    0.007,
    0.008,
    0.01,
    0.0125,
    0.015,
    0.02,
    0.03,
    0.05,
    0.1,
    0.25,
    1,
    5,
)

TICK_TO_ORDER = Histogram(
    "christmas_gateway_tick_to_order_seconds",
    "From the receipt of the ticks that led to an order to its sending, the journal synced before.",
    buckets=_MILLISECONDS,
)
SIGNAL_TO_ORDER = Histogram(
    "christmas_gateway_signal_to_order_seconds",
    "From when a strategy on this machine was shown what made it decide to the sending of its order, the journal "
    "synced before.",
    buckets=_MILLISECONDS,
)
INTENT_TO_ORDER = Histogram(
    "christmas_gateway_intent_to_order_seconds",
    "From the receipt of an intent to its sending, the journal synced before.",
    buckets=_MILLISECONDS,
)
JOURNAL_COMMIT = Histogram(
    "christmas_gateway_journal_commit_seconds", "One commit of the journal, synced to disk.", buckets=_MILLISECONDS
)
JOURNAL_GROUP = Histogram(
    "christmas_gateway_journal_group_entries", "Entries in one commit.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 512)
)
JOURNAL_STALLED = Gauge(
    "christmas_gateway_journal_stalled", "1 while the disk does not take entries: nothing is sent meanwhile."
)
REDIS_AWAY = Gauge("christmas_gateway_redis_away", "1 while ticks wait for Redis.")
JOURNAL_WAITING = Gauge("christmas_gateway_journal_waiting_entries", "Entries that are not yet on disk.")
VENUE_CALL = Histogram(
    "christmas_gateway_venue_call_seconds",
    "A request to the venue until its answer.",
    ["request"],
    buckets=(0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
VENUE_ERRORS = Counter("christmas_gateway_venue_errors_total", "Requests that the venue did not answer well.", ["kind"])
SESSIONS = Gauge("christmas_gateway_sessions", "Open sessions of strategies.")
SESSIONS_ENDED = Counter("christmas_gateway_sessions_ended_total", "Sessions that ended.", ["why"])
REFUSED = Counter("christmas_gateway_refused_total", "Sessions that were refused.", ["code"])
SESSION_BUFFER = Gauge("christmas_gateway_session_buffer_bytes", "Unsent bytes of the slowest session.")
INTENTS = Counter("christmas_gateway_intents_total", "Intents that came in.", ["kind"])
REPEATED = Counter("christmas_gateway_repeated_intents_total", "Intents whose order was already known.")
CONFLICTING = Counter("christmas_gateway_conflicting_intents_total", "Intents with the id of another order.")
DENIED = Counter("christmas_gateway_denied_total", "Orders that the risk gate denied.", ["reason"])
ORDERS_SENT = Counter("christmas_gateway_orders_sent_total", "Orders handed to the venue.")
ORDERS_OPEN = Gauge("christmas_gateway_orders_open", "Orders that may still be filled.")
ORDERS_UNKNOWN = Gauge(
    "christmas_gateway_orders_unknown", "Orders of which nobody knows whether they are at the venue."
)
FILLS = Counter("christmas_gateway_fills_total", "Fills written to the journal.")
BUDGET_WAITING = Gauge("christmas_gateway_budget_waiting_requests", "Requests that wait for their share of the budget.")
RECONCILED = Gauge("christmas_gateway_reconciled", "1 when the journal and the venue agree.")
RECONCILIATIONS = Counter("christmas_gateway_reconciliations_total", "Attempts to reconcile.", ["outcome"])
LATE_FILLS = Counter(
    "christmas_gateway_late_fills_total", "Fills of orders that are no longer in memory: no position has them."
)
FOREIGN = Counter("christmas_gateway_foreign_total", "Orders and fills at the venue that are not ours.", ["what"])
OUTBOX_SENT = Counter("christmas_gateway_outbox_entries_total", "Journal entries written to Redis.")
OUTBOX_WAITING = Gauge("christmas_gateway_outbox_waiting_entries", "Journal entries that Redis has not yet.")
TICKS = Counter("christmas_gateway_ticks_total", "Prints that the feed handed over.")
TICKS_REFUSED = Counter("christmas_gateway_ticks_refused_total", "Prints that were not passed on.", ["why"])
FEED_SILENT = Gauge(
    "christmas_gateway_feed_silent_seconds",
    "How long no print has come from outside, once that is longer than feed.exchange.silentAfter; 0: the feed is not "
    "silent, or its market is closed.",
)
MARKET_BATCH = Histogram(
    "christmas_gateway_market_batch_seconds",
    "From the receipt of a batch of prints until it is published and matched.",
    buckets=_MILLISECONDS,
)
UNMATCHED = Gauge("christmas_gateway_unmatched_batches", "Batches that the simulated venue has not seen yet.")
WINDOWS = Counter("christmas_gateway_lockstep_windows_total", "Windows of a lock-step replay.")
REPLAY_DONE = Gauge("christmas_gateway_replay_done_rows", "Rows of the replayed files that have been read.")
REPLAY_TOTAL = Gauge("christmas_gateway_replay_total_rows", "Rows in the replayed files; 0 when that is not known.")
MARKET_TIME = Gauge("christmas_gateway_market_time_seconds", "The market's clock, seconds since the epoch.")

# The first step of a series that begins at 1 is in no rate() and no increase(): what has few labels begins at 0.
for _counter, _labels in (
    (VENUE_ERRORS, VenueErrorKind),
    (REFUSED, RefusalCode),
    (DENIED, DenialCode),
    (FOREIGN, UnmatchedKind),
    (TICKS_REFUSED, TickRefusal),
):
    for _label in get_args(_labels):
        _counter.labels(_label)
