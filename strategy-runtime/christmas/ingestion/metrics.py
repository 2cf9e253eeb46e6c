"""What the recorder counts."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

TICKS: Final = Counter("christmas_recorder_ticks_total", "Ticks stored, by the way they took.", ["market", "path"])
DUPLICATES: Final = Counter(
    "christmas_recorder_duplicates_total", "Ticks delivered that were stored already.", ["market"]
)
UNSTORABLE: Final = Counter(
    "christmas_recorder_unstorable_total", "Ticks that no column takes; they are in quarantined_ticks.", ["market"]
)
QUARANTINED: Final = Counter("christmas_recorder_quarantined_total", "Quarantined prints stored.", ["market"])
BATCH_TICKS: Final = Histogram(
    "christmas_recorder_batch_ticks",
    "Ticks written in one transaction.",
    ["market"],
    buckets=(1, 10, 100, 500, 1_000, 2_500, 5_000, 10_000, 25_000),
)
BATCH_SECONDS: Final = Histogram(
    "christmas_recorder_batch_seconds",
    "Time of one transaction, commit included.",
    ["market"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30),
)
LAG_TICKS: Final = Gauge("christmas_recorder_lag_ticks", "Ticks in Redis later than the watermark.", ["market"])
LAG_SECONDS: Final = Gauge(
    "christmas_recorder_lag_seconds", "Market time from the watermark to the newest tick in Redis.", ["market"]
)
FULL_READS: Final = Counter(
    "christmas_recorder_full_reads_total",
    "Whole sets read: at each start, and when late ticks are far behind.",
    ["market"],
)
JOURNAL_ENTRIES: Final = Counter("christmas_recorder_journal_entries_total", "Journal entries projected.", ["market"])
JOURNAL_WAITING: Final = Gauge(
    "christmas_recorder_journal_waiting_entries", "Journal entries in Redis that are not projected yet.", ["market"]
)
JOURNAL_BROKEN: Final = Gauge(
    "christmas_recorder_journal_broken", "1 while the journal does not go on where it was left.", ["market"]
)
ERRORS: Final = Counter(
    "christmas_recorder_errors_total", "Failures after which a part tries again.", ["market", "part", "kind"]
)
EXPIRED_CHUNKS: Final = Counter(
    "christmas_recorder_expired_total", "Chunks (or rows, without chunks) of old ticks dropped."
)
