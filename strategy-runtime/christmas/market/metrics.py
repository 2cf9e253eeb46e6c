"""What the market's parts count."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_LATENCIES: Final = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0)

TICKS_WRITTEN = Counter("christmas_market_ticks_written_total", "Ticks written to Redis.", ["market"])
LATE_TICKS = Counter("christmas_market_late_ticks_total", "Ticks that came after their second.", ["market"])
DUPLICATES = Counter("christmas_market_duplicate_prints_total", "Prints that had been accepted before.", ["market"])
QUARANTINED = Counter("christmas_market_quarantined_prints_total", "Prints that were refused.", ["market", "reason"])
WRITE_SECONDS = Histogram(
    "christmas_market_write_seconds", "Time from a write's start to Redis' answer.", ["market"], buckets=_LATENCIES
)
WRITE_FAILURES = Counter("christmas_market_write_failures_total", "Writes that had to be tried again.", ["market"])
RESTORED_TICKS = Counter(
    "christmas_market_restored_ticks_total", "Ticks written again because Redis had lost them.", ["market"]
)
TRIMMED_TICKS = Counter("christmas_market_trimmed_ticks_total", "Recorded ticks removed from Redis.", ["market"])
RETAINED_TICKS = Gauge("christmas_market_retained_ticks", "Ticks in Redis.", ["market"])
RETAINED_BYTES = Gauge("christmas_market_retained_bytes", "Memory that Redis spends on ticks.", ["market"])
MEMORY_ALERT = Gauge(
    "christmas_market_memory_alert", "1 while unrecorded ticks fill the memory meant for them.", ["market"]
)

READER_CONNECTS = Counter("christmas_reader_connects_total", "Subscriptions made, the first included.", ["market"])
READER_GAPS = Counter("christmas_reader_gaps_total", "Gaps that sequences showed and the set was to mend.", ["market"])
READER_UNREADABLE = Counter(
    "christmas_reader_unreadable_total", "Doorbells and stored prints that are none of the gateway's.", ["market"]
)
READER_RESETS = Counter("christmas_reader_resets_total", "Streams that began anew under a reader.", ["market"])
READER_CAUGHT_UP = Counter("christmas_reader_caught_up_ticks_total", "Ticks read from the set.", ["market"])
READER_MISSED = Counter(
    "christmas_reader_missed_ticks_total", "Ticks that were in neither doorbell nor set.", ["market"]
)
